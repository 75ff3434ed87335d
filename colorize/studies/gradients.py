"""The vanishing gradient: how large each layer's gradient is in a deep network, by activation."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.activations import RReLU, he_gain, make_activation
from colorize.data.decoding import with_progress
from colorize.data.toy import two_spirals
from colorize.optimization import Optimization
from colorize.regularizers import kernel_layers
from colorize.studies.summary import Record, Table


def deep_network(
    activation: str, depth: int, width: int, inputs: int = 2, classes: int = 2, batch_norm: bool = False
) -> nn.Sequential:
    """`depth` hidden layers of `width` units; He initialisation for the activation, biases 0."""
    widths = [inputs, *[width] * depth]
    layers: list[nn.Module] = []
    for fan_in, units in pairwise(widths):
        norm = [nn.BatchNorm1d(units)] if batch_norm else []
        layers += [nn.Linear(fan_in, units), *norm, make_activation(activation, units)]
    network = nn.Sequential(*layers, nn.Linear(width, classes))
    for layer in kernel_layers(network):
        nn.init.normal_(layer.weight, std=he_gain(activation) / layer.weight.shape[1] ** 0.5)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


def gradient_norms(
    network: nn.Module, x: Float[Tensor, "n i"], y: Int[Tensor, " n"]
) -> Float[Tensor, " layers"]:
    """Euclidean norm of the cross-entropy's gradient by each layer's kernel, from the first layer on."""
    kernels = [layer.weight for layer in kernel_layers(network)]
    cost = nn.functional.cross_entropy(network(x), y)
    return torch.stack([g.norm() for g in torch.autograd.grad(cost, kernels)])


def compare(
    activations: Sequence[str], depth: int, width: int, steps: int, measured: int, lr: float,
    seeds: Sequence[int],
) -> list[Record]:  # fmt: skip
    """Train a deep network with each activation to tell two spirals apart, and measure its gradients.

    Args:
        activations: names of `activations.ACTIVATIONS`.
        depth: hidden layers.
        width: units of each.
        steps: of gradient descent (momentum 0.9) on all 200 points.
        measured: how many steps apart the gradients are measured.
        lr: learning rate.
        seeds: a run of each activation for each of them.

    Returns:
        a record for each activation, seed, step and layer (from 1), with the norm of the layer's gradient and
        the share of points told right at that step, in percent.

    Raises:
        ValueError: if the sigmoid is not among the activations, or there is nothing to compare it with.
    """
    if "sigmoid" not in activations or len(set(activations)) < 2:
        raise ValueError(f"activations must be sigmoid and others, got {', '.join(activations)}")
    records: list[Record] = []
    runs = [(name, seed) for name in activations for seed in seeds]
    for name, seed in with_progress(runs, "training", len(runs)):
        torch.manual_seed(seed)
        x, y = two_spirals(seed=seed)
        network = deep_network(name, depth, width)
        optimizer = Optimization("sgd", lr=lr, momentum=0.9).optimizer(network)
        for step in range(steps + 1):
            if step % measured == 0:
                norms = gradient_norms(network, x, y).tolist()
                with torch.no_grad():
                    right = 100 * (network(x).argmax(dim=1) == y).float().mean().item()
                records += [
                    {"activation": name, "seed": seed, "step": step, "layer": layer, "gradient norm": norm,
                     "right (%)": right}
                    for layer, norm in enumerate(norms, start=1)
                ]  # fmt: skip
            cost = nn.functional.cross_entropy(network(x), y)
            optimizer.zero_grad()
            torch.autograd.backward(cost)
            optimizer.step()
    return records


def first_over_last(records: Sequence[Record]) -> list[Record]:
    """A record for each activation and seed: the norms of the first and the last layer at the start, the
    first one's share of the last one's, the first layer's norm averaged over the training, and the share of
    points told right at its end.
    """
    runs: dict[tuple[str, float], list[Record]] = {}
    for record in records:
        runs.setdefault((str(record["activation"]), float(record["seed"])), []).append(record)
    rows: list[Record] = []
    for (activation, seed), run in runs.items():
        last_layer = max(int(record["layer"]) for record in run)
        norm = {(int(r["step"]), int(r["layer"])): float(r["gradient norm"]) for r in run}
        first = [value for (_, layer), value in norm.items() if layer == 1]
        rows.append(
            {
                "activation": activation,
                "seed": seed,
                "first layer, at the start": norm[0, 1],
                "last layer, at the start": norm[0, last_layer],
                "first / last": norm[0, 1] / norm[0, last_layer],
                "first layer, in training": sum(first) / len(first),
                "told right at the end (%)": float(run[-1]["right (%)"]),
            }
        )
    return rows


def curves(name: str, x: Float[Tensor, " n"]) -> Mapping[str, Float[Tensor, " n"]]:
    """An activation and its derivative at the points x, in evaluation mode.

    Returns:
        `value` and `derivative`; for rrelu also the band of training, between `value, low` and `value, high`
        (the divisors 8 and 3 of negative x) and the same of the derivative.
    """
    modules = {"": make_activation(name).eval()}
    if isinstance(module := modules[""], RReLU):
        modules |= {", low": RReLU(module.high, module.high), ", high": RReLU(module.low, module.low)}
    found = {}
    for suffix, module in modules.items():
        at = x.clone().requires_grad_()
        value = module.eval()(at)
        (found[f"derivative{suffix}"],) = torch.autograd.grad(value.sum(), at)
        found[f"value{suffix}"] = value.detach()
    return found


def finding(table: Table) -> str:
    """The sigmoid against the others, from `first_over_last` summarised by activation."""
    first = {name: columns["first layer, at the start"].mean for (name,), columns in table.items()}
    right = {name: columns["told right at the end (%)"].mean for (name,), columns in table.items()}
    others = [name for name in first if name != "sigmoid"]
    weakest = min(others, key=first.__getitem__)
    orders = torch.tensor(first[weakest] / first["sigmoid"]).log10().item()
    return (
        f"At the start the first layer's gradient is {first['sigmoid']:.1e} with the sigmoid and at least"
        f" {first[weakest]:.1e} ({weakest}) with the others, {orders:.1f} orders of magnitude more; after"
        f" training the sigmoid tells {right['sigmoid']:.0f} % of the points right, each of the"
        f" others at least {min(right[n] for n in others):.0f} %."
    )
