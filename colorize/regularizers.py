"""L1, L2 and elastic-net penalties on kernels, biases and activities; proximal step; groups for weight decay.

The penalty is lambda * sum |w| (L1) plus lambda * sum w^2 (L2): a step of SGD at rate r then takes off
r * lambda * sign(w), or 2 * r * lambda * w. torch's coupled `weight_decay` of d equals L2 with lambda = d /
2; AdamW's is decoupled from the gradient and a different thing (`decay_groups`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from colorize.activations import ACTIVATION_TYPES

# Layers with a kernel and a bias. Norm layers and PReLU slopes are not among them, so nothing ever penalises
# those.
KernelLayer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d


@dataclass(frozen=True)
class Penalty:
    """An elastic net l1 * sum |x| + l2 * sum x^2; both 0 is none, one of them 0 is L2 or L1 alone."""

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        if not (self.l1 >= 0 and self.l2 >= 0):
            raise ValueError(f"penalties must be 0 or more, got l1={self.l1}, l2={self.l2}")

    def __call__(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
        total = x.new_zeros(())
        if self.l1:
            total = total + self.l1 * x.abs().sum()
        if self.l2:
            total = total + self.l2 * x.square().sum()
        return total

    def __bool__(self) -> bool:
        return bool(self.l1 or self.l2)


class Regularizer:
    """The penalties of a network: one for its kernels, one for its biases, one for its activities.

    Args:
        kernel, bias: penalty on the weights, or the biases, of every convolution and linear layer.
        activity: penalty on every layer's output (of the activation modules, and of the last layer, which has
            none): summed over the units, averaged over the batch.
        proximal: leave the L1 part of kernel and bias out of the loss and soft-threshold after each optimizer
            step instead (`proximal_step`), which gives exact zeros where the subgradient only comes near
            them.

    Source: Tibshirani 1996; Zou & Hastie 2005; Parikh & Boyd 2014, Proximal Algorithms, section 6.5.2.
    """

    def __init__(
        self,
        kernel: Penalty = Penalty(),
        bias: Penalty = Penalty(),
        activity: Penalty = Penalty(),
        proximal: bool = False,
    ) -> None:
        self.kernel, self.bias, self.activity, self.proximal = kernel, bias, activity, proximal
        self._activities: list[Tensor] = []

    def watch(self, network: nn.Module) -> Callable[[], None]:
        """Collect the outputs that the activity penalty needs; returns a function that stops it.

        Only forward passes in training mode are collected, and `penalty` empties the collection.
        """
        if not self.activity:
            return lambda: None

        def collect(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if module.training:
                self._activities.append(output)

        hooks = [module.register_forward_hook(collect) for module in _output_modules(network)]

        def stop() -> None:
            for hook in hooks:
                hook.remove()

        return stop

    def penalty(self, network: nn.Module) -> Float[Tensor, ""]:
        """The penalties that are part of the loss; a scalar with gradients. Without the proximal part."""
        total = torch.zeros((), device=next(network.parameters()).device)
        kernel, bias = (self.in_loss(self.kernel), self.in_loss(self.bias))
        for layer in kernel_layers(network):
            total = total + kernel(layer.weight)
            if layer.bias is not None:
                total = total + bias(layer.bias)
        for output in self._activities:
            total = total + self.activity(output.float()) / len(output)
        self._activities.clear()
        return total

    @torch.no_grad()
    def proximal_penalty(self, network: nn.Module) -> Float[Tensor, ""]:
        """l1 * sum |w|, which `proximal_step` takes the place of: to be shown, not added to the loss."""
        total = torch.zeros((), device=next(network.parameters()).device)
        if self.proximal:
            for layer in kernel_layers(network):
                total += self.kernel.l1 * layer.weight.abs().sum()
                if layer.bias is not None:
                    total += self.bias.l1 * layer.bias.abs().sum()
        return total

    @torch.no_grad()
    def proximal_step(self, network: nn.Module, rate: float) -> None:
        """Soft-threshold kernels and biases by rate * l1; does nothing unless `proximal`."""
        if not self.proximal:
            return
        for layer in kernel_layers(network):
            if self.kernel.l1:
                layer.weight.copy_(soft_threshold(layer.weight, rate * self.kernel.l1))
            if self.bias.l1 and layer.bias is not None:
                layer.bias.copy_(soft_threshold(layer.bias, rate * self.bias.l1))

    def in_loss(self, penalty: Penalty) -> Penalty:
        return Penalty(l1=0.0, l2=penalty.l2) if self.proximal else penalty


def soft_threshold(x: Float[Tensor, "*shape"], threshold: float) -> Float[Tensor, "*shape"]:
    """sign(x) max(|x| - threshold, 0), the proximal operator of threshold * |x|."""
    return x.sign() * (x.abs() - threshold).clamp(min=0)


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Optimizer parameter groups in which `weight_decay` reaches the kernels alone: no bias, norm or PReLU
    slope.
    """
    decayed = {id(layer.weight) for layer in kernel_layers(network)}
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
    ]


def kernel_layers(network: nn.Module) -> Iterator[KernelLayer]:
    """The layers of a network that have a kernel, in order."""
    return (module for module in network.modules() if isinstance(module, KernelLayer))


def _output_modules(network: nn.Module) -> list[nn.Module]:
    """The modules whose outputs are activities: all activation functions, and the last kernel layer."""
    activations = [module for module in network.modules() if isinstance(module, ACTIVATION_TYPES)]
    return [*activations, list(kernel_layers(network))[-1]]
