"""Small networks side by side: one batched product a layer trains many of them in the time of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.activations import he_gain
from colorize.data.decoding import with_progress
from colorize.regularizers import Regularizer, kernel_layers, soft_threshold


def relu_network(widths: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """A fully connected network with ReLU between its layers; He initialisation, biases 0."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layer = nn.Linear(inputs, outputs)
        nn.init.normal_(layer.weight, std=he_gain("relu") / inputs**0.5, generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class StackedNetworks(nn.Module):
    """Networks of linear layers and ReLU as one module; those with fewer units are padded with zeros.

    A unit whose weights in and out are all 0 and whose bias is 0 has no gradient behind a ReLU, so padding
    stays what it is while the stack trains.

    Args:
        networks: r networks with the same number of layers, as of `relu_network`.
    """

    def __init__(self, networks: Sequence[nn.Sequential]) -> None:
        super().__init__()
        layers = [list(kernel_layers(network)) for network in networks]
        self.widths = [[layer.weight.shape[0] for layer in one] for one in layers]
        self.inputs = layers[0][0].weight.shape[1]
        self.kernels, self.biases = nn.ParameterList(), nn.ParameterList()
        fan_in = self.inputs
        for depth in range(len(layers[0])):
            units = max(widths[depth] for widths in self.widths)
            kernel = torch.zeros(len(networks), units, fan_in)
            bias = torch.zeros(len(networks), units, 1)
            for run, one in enumerate(layers):
                out, into = one[depth].weight.shape
                kernel[run, :out, :into] = one[depth].weight.detach()
                bias[run, :out, 0] = one[depth].bias.detach()  # type: ignore[union-attr]
            self.kernels.append(kernel)
            self.biases.append(bias)
            fan_in = units

    def __len__(self) -> int:
        return len(self.widths)

    def forward(self, x: Float[Tensor, "r i b"]) -> Float[Tensor, "r o b"]:
        """Outputs of every network for its own batch; samples are columns."""
        last = len(self.kernels) - 1
        for depth, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            x = torch.baddbmm(bias, kernel, x)
            if depth < last:
                x = x.relu()
        return x

    @torch.no_grad()
    def network(self, run: int) -> nn.Sequential:
        """A copy of one network, at its own size."""
        network = relu_network([self.inputs, *self.widths[run]], torch.Generator())
        for depth, layer in enumerate(kernel_layers(network)):
            out, into = layer.weight.shape
            layer.weight.copy_(self.kernels[depth][run, :out, :into])
            layer.bias.copy_(self.biases[depth][run, :out, 0])  # type: ignore[union-attr]
        return network


@dataclass(frozen=True)
class Snapshot:
    """Kernels of some networks after so many epochs: layer by layer, (run, out, in)."""

    epoch: int
    kernels: list[Float[Tensor, "_ _ _"]]


def train_side_by_side(
    stack: StackedNetworks,
    x: Float[Tensor, " n"],
    y: Float[Tensor, " n"],
    orders: Int[Tensor, "r steps"],
    regularizers: Sequence[tuple[Regularizer, slice]],
    lr: float,
    watch: Sequence[int] = (),
    description: str = "training",
) -> list[Snapshot]:
    """Train every network by SGD at batch size 1 on the absolute error; nothing of one run enters another.

    Args:
        stack: r networks of one input and one output; trained in place.
        x: of the samples.
        y: of the samples.
        orders: index of the sample that each network sees at each step.
        regularizers: which runs each regularizer is for; runs in none have no penalty. Kernels only.
        lr: learning rate.
        watch: runs whose kernels are kept at the start and after each epoch.
        description: of the progress bar.

    Returns:
        The snapshots, n steps apart.

    Raises:
        ValueError: for a penalty on biases or activities, which is not done here.
    """
    if any(regularizer.bias or regularizer.activity for regularizer, _ in regularizers):
        raise ValueError("stacked networks take penalties on kernels only")
    optimizer = torch.optim.SGD(stack.parameters(), lr=lr)
    watched = list(watch)

    def snapshot(epoch: int) -> Snapshot:
        return Snapshot(epoch, [kernel.detach()[watched].clone() for kernel in stack.kernels])

    snapshots = [snapshot(0)]
    xs, ys = x[orders].T[:, :, None, None], y[orders].T[:, :, None, None]  # steps r 1 1
    for step in with_progress(range(len(xs)), description, len(xs)):
        # A sum over the runs: the gradient of each run's own weights is that of its own error.
        cost = (stack(xs[step]) - ys[step]).abs().sum()
        for regularizer, runs in regularizers:
            for kernel in stack.kernels:
                cost = cost + regularizer.in_loss(regularizer.kernel)(kernel[runs])
        optimizer.zero_grad()
        torch.autograd.backward(cost)
        optimizer.step()
        _proximal_step(stack, regularizers, lr)
        if (step + 1) % len(x) == 0:
            snapshots.append(snapshot((step + 1) // len(x)))
    return snapshots


@torch.no_grad()
def _proximal_step(
    stack: StackedNetworks, regularizers: Sequence[tuple[Regularizer, slice]], lr: float
) -> None:
    for regularizer, runs in regularizers:
        if regularizer.proximal and regularizer.kernel.l1:
            for kernel in stack.kernels:
                kernel[runs] = soft_threshold(kernel[runs], lr * regularizer.kernel.l1)
