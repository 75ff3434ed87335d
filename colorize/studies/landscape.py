"""What L1 and L2 do to a network's weights, to the optimum of a regression, to a weight in each step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from colorize.data.decoding import with_progress
from colorize.data.toy import wavy_surface
from colorize.optimization import Optimization
from colorize.regularizers import Regularizer, kernel_layers, soft_threshold
from colorize.studies import line
from colorize.studies.stacked import relu_network
from colorize.studies.summary import Record, Table


def penalties(strength: float) -> dict[str, Regularizer]:
    """The four ways that are compared, each of the same strength lambda on the kernels."""
    return {name: way for name, way in line.penalties(strength).items() if name != "elastic net"}


def trained_weights(
    strength: float, hidden: Sequence[int], steps: int, lr: float, seeds: Sequence[int]
) -> tuple[list[Record], dict[str, Float[Tensor, " w"]]]:
    """Train one network under each penalty, on 200 noisy samples of a function of three of eight inputs.

    Args:
        strength: lambda of each penalty.
        hidden: units of the hidden layers.
        steps: of gradient descent on the mean squared error of all samples.
        lr: learning rate.
        seeds: a run of each penalty for each of them.

    Returns:
        a record for each run, with shares of the kernels' weights in percent and the error on 1000 fresh
        samples without noise; and all weights under each penalty, the seeds' joined.
    """
    records: list[Record] = []
    weights: dict[str, list[Tensor]] = {}
    runs = [(name, seed) for seed in seeds for name in penalties(strength)]
    for name, seed in with_progress(runs, "training", len(runs)):
        regularizer = penalties(strength)[name]
        x, y = wavy_surface(seed=seed)
        fresh_x, fresh_y = wavy_surface(1000, noise=0.0, seed=seed + 1_000_000)
        network = relu_network([x.shape[1], *hidden, 1], torch.Generator().manual_seed(seed))
        descend(network, regularizer, x, y, steps, lr)
        kernels = torch.cat([layer.weight.detach().flatten() for layer in kernel_layers(network)])
        weights.setdefault(name, []).append(kernels)
        with torch.no_grad():
            error = nn.functional.mse_loss(network(fresh_x), fresh_y).item()
        records.append(
            {
                "penalty": name,
                "seed": seed,
                "exact zeros (%)": 100 * (kernels == 0).float().mean().item(),
                "below 1e-3 (%)": 100 * (kernels.abs() < 1e-3).float().mean().item(),
                "sum of |w|": kernels.abs().sum().item(),
                "largest |w|": kernels.abs().max().item(),
                "error": error,
            }
        )
    return records, {name: torch.cat(runs) for name, runs in weights.items()}


def descend(
    network: nn.Module,
    regularizer: Regularizer,
    x: Float[Tensor, "n i"],
    y: Float[Tensor, "n o"],
    steps: int,
    lr: float,
) -> None:
    """Plain gradient descent on mean squared error and penalty, all samples in each step."""
    optimizer = Optimization("sgd", lr=lr, momentum=0.0).optimizer(network)
    stop = regularizer.watch(network)
    for _ in range(steps):
        cost = nn.functional.mse_loss(network(x), y) + regularizer.penalty(network)
        optimizer.zero_grad()
        torch.autograd.backward(cost)
        optimizer.step()
        regularizer.proximal_step(network, lr)
    stop()


@dataclass(frozen=True)
class Paths:
    """A regression's mean squared error over two weights, and its optimum as each penalty grows."""

    w1: Float[Tensor, " m"]
    w2: Float[Tensor, " m"]
    loss: Float[Tensor, "m m"]  # rows w2, columns w1
    strengths: Float[Tensor, " s"]  # lambda, from 0
    l1: Float[Tensor, "s 2"]
    l2: Float[Tensor, "s 2"]

    def first_zero(self, penalty: str = "L1") -> float:
        """The least lambda at which the optimum of "L1" or "L2" has a weight that is 0 or has changed its
        sign; infinite if none has.
        """
        path = self.l1 if penalty == "L1" else self.l2
        there = self.strengths[(path.sign() != path[0].sign()).any(dim=1)]
        return there[0].item() if len(there) else math.inf


def optimum_paths(
    x: Float[Tensor, "n 2"], y: Float[Tensor, " n"], strengths: Float[Tensor, " s"], points: int = 121
) -> Paths:
    """The landscape of mean (x w - y)^2, and the w that minimises it plus lambda |w| or plus lambda w^2.

    L2's optimum solves (A + lambda I) w = c with A = x'x / n and c = x'y / n; L1's is found by iterated
    soft-thresholding.

    Source: Hoerl & Kennard 1970; Tibshirani 1996; Daubechies, Defrise & De Mol 2004.
    """
    x, y = x.double(), y.double()
    a, c = x.T @ x / len(x), x.T @ y / len(x)
    l2 = torch.stack([torch.linalg.solve(a + s * torch.eye(2, dtype=a.dtype), c) for s in strengths.double()])
    rate = 1 / (2 * torch.linalg.eigvalsh(a)[-1].item())
    w, l1 = torch.linalg.solve(a, c), []
    for strength in strengths.tolist():
        change = math.inf
        while change > 1e-12:  # each round is a contraction: no two weights of the inputs are alike
            before, w = w, soft_threshold(w - rate * 2 * (a @ w - c), rate * strength)
            change = (w - before).abs().max().item()
        l1.append(w)
    reach = 1.35 * l2[0].abs().max().item()
    axis = torch.linspace(-0.6 * reach, reach, points, dtype=a.dtype)
    grid = torch.cartesian_prod(axis, axis)  # w2, w1
    loss = (grid.flip(1) @ x.T - y).square().mean(dim=1).view(points, points)
    return Paths(axis, axis, loss, strengths, torch.stack(l1), l2)


def update_rules(
    starts: Sequence[float], lr: float, strength: float, steps: int
) -> tuple[list[Record], dict[str, tuple[Float[Tensor, "k n"], Float[Tensor, "k n"]]]]:
    """Let each penalty alone act on weights, by SGD steps, beside the closed form after k steps.

    L2: w (1 - 2 r lambda)^k. L1: sign(w) max(|w| - k r lambda, 0), which the proximal step follows to 0 and
    the subgradient within r lambda of it.

    Args:
        starts: weights before the first step.
        lr: r.
        strength: lambda.
        steps: how many.

    Returns:
        a record for each rule and start with the largest difference over all steps; and rule -> the weights
        after 0, 1 .. steps steps as computed, and by the closed form.
    """
    w = torch.tensor(starts, dtype=torch.float64)
    k = torch.arange(steps + 1, dtype=torch.float64)[:, None]
    shrunk = w.sign() * (w.abs() - k * lr * strength).clamp(min=0)
    closed = {"L1": shrunk, "L1, proximal": shrunk, "L2": w * (1 - 2 * lr * strength) ** k}
    paths = {}
    for name, formula in closed.items():
        regularizer = penalties(strength)[name]
        network = nn.Linear(len(starts), 1, bias=False, dtype=torch.float64)
        network.weight.data.copy_(w)
        optimizer = torch.optim.SGD(network.parameters(), lr=lr)
        path = [w.clone()]
        for _ in range(steps):
            # Times 0: the proximal rule has no penalty in its loss, and backward needs a loss.
            torch.autograd.backward(network.weight.sum() * 0 + regularizer.penalty(network))
            optimizer.step()
            optimizer.zero_grad()
            regularizer.proximal_step(network, lr)
            path.append(network.weight.detach()[0].clone())
        paths[name] = torch.stack(path), formula
    records: list[Record] = [
        {"rule": name, "start": start, "largest difference": difference, "one step at most": lr * strength}
        for name, (computed, formula) in paths.items()
        for start, difference in zip(starts, (computed - formula).abs().amax(dim=0).tolist(), strict=True)
    ]
    return records, paths


def finding(weights: Table, rules: Sequence[Record], paths: Paths) -> str:
    """What became of the weights, in one sentence.

    Args:
        weights: the records of `trained_weights`, summarised by penalty.
        rules: the records of `update_rules`.
        paths: of the optimum.
    """

    def mean(name: str, column: str) -> float:
        return weights[(name,)][column].mean

    def axis(penalty: str) -> str:
        first = paths.first_zero(penalty)
        return f"at lambda = {first:.2g}" if first < math.inf else f"at none up to {paths.strengths[-1]:g}"

    def off(*names: str) -> float:
        return max(float(record["largest difference"]) for record in rules if record["rule"] in names)

    return (
        f"Exactly 0 are {mean('L1, proximal', 'exact zeros (%)'):.0f} % of the weights under proximal L1,"
        f" {mean('L1', 'exact zeros (%)'):.0f} % under subgradient L1"
        f" ({mean('L1', 'below 1e-3 (%)'):.0f} % are below 1e-3) and"
        f" {mean('L2', 'exact zeros (%)'):.0f} % under L2 ({mean('L2', 'below 1e-3 (%)'):.0f} % below 1e-3);"
        f" L1's optimum meets an axis {axis('L1')}, L2's {axis('L2')}; from the closed form the steps of L2"
        f" and proximal L1 are at most {off('L2', 'L1, proximal'):.0e} away, those of subgradient L1"
        f" {off('L1'):.1g}, where one step is {float(rules[0]['one step at most']):.1g}."
    )
