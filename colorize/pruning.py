"""Dead units and channels of a trained network -> a smaller network with the same output.

A unit is dead when no weight leaves it, or when no weight enters it: then its output is a constant, the
activation of its bias, which goes into the biases of the next layer.
"""

import copy
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from colorize.activations import ACTIVATION_TYPES

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
FOLLOWERS = (*ACTIVATION_TYPES, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.Dropout, nn.Identity)


@torch.no_grad()
def prune(network: nn.Sequential, tolerance: float = 0.0) -> nn.Sequential:
    """A copy without the dead units: in evaluation mode its output equals the network's to rounding.

    Every layer keeps a unit, so that a network of which nothing is left still has its shape.

    Args:
        network: linear layers or convolutions, with batch norm, activations and dropout between them, as
            `relu_network` or the `layers` of conv8.
        tolerance: kernel weights up to it in size count as 0. Above 0 the output is that of
            `without_small_weights(network, tolerance)` instead: subgradient L1 leaves weights that jump
            about 0 by up to rate * lambda, which is then the tolerance to take.

    Raises:
        ValueError: if the network has other modules, or layers with groups.
    """
    smaller = without_small_weights(network, tolerance).eval()
    blocks = _blocks(smaller)
    while any(_remove_dead(*one, after[0]) for one, after in pairwise(blocks)):
        pass  # what fed only a removed unit is dead by now
    return smaller.train(network.training)


@torch.no_grad()
def without_small_weights(network: nn.Sequential, tolerance: float) -> nn.Sequential:
    """A copy in which kernel weights of at most `tolerance` in size are 0.

    Raises:
        ValueError: as `prune` does, or if the tolerance is negative.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance}")
    thinned = copy.deepcopy(network)
    for layer, _ in _blocks(thinned):
        layer.weight.masked_fill_(layer.weight.abs() <= tolerance, 0.0)
    return thinned


def units(network: nn.Sequential) -> list[int]:
    """Units, or channels, of each layer, the last one's included.

    Raises:
        ValueError: as `prune` does.
    """
    return [len(layer.weight) for layer, _ in _blocks(network)]


def _blocks(network: nn.Sequential) -> list[tuple[Layer, list[nn.Module]]]:
    """Each kernel layer with the modules between it and the next one."""
    blocks: list[tuple[Layer, list[nn.Module]]] = []
    for module in network:
        if isinstance(module, Layer):
            if getattr(module, "groups", 1) != 1:
                raise ValueError(f"cannot prune a layer with groups: {module}")
            blocks.append((module, []))
        elif isinstance(module, FOLLOWERS) and blocks:
            blocks[-1][1].append(module)
        else:
            raise ValueError(
                f"cannot prune {type(module).__name__}; expected linear layers and convolutions with"
                f" {', '.join(sorted({kind.__name__ for kind in FOLLOWERS}))} behind them"
            )
    return blocks


def _remove_dead(layer: Layer, followers: list[nn.Module], after: Layer) -> bool:
    """Take the dead units of a layer out; whether anything changed."""
    constant = (layer.weight == 0).flatten(1).all(dim=1)
    for follower in followers:
        if isinstance(follower, Norm) and follower.affine:
            constant |= follower.weight == 0
    value = _constant_outputs(layer, followers)
    if _pads_with_zeros(after):  # at the border the next layer sees 0 instead of the constant
        constant &= value == 0
    folded = constant & ~_unheard(after)
    if folded.any():
        taps = torch.einsum("oi...->io", after.weight)[folded]  # summed over the places of a kernel
        _add_to_bias(after, value[folded] @ taps)
        after.weight[:, folded] = 0
    dead = _unheard(after)
    if dead.all():
        dead[0] = False
    if dead.any():
        _keep(layer, followers, after, ~dead)
    return bool(folded.any() or dead.any())


def _unheard(after: Layer) -> Bool[Tensor, " c"]:
    return (after.weight == 0).transpose(0, 1).flatten(1).all(dim=1)


def _constant_outputs(layer: Layer, followers: list[nn.Module]) -> Float[Tensor, " c"]:
    """What each unit puts out when nothing comes in."""
    bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
    out = bias.view(1, -1, *[1] * (layer.weight.ndim - 2))
    for follower in followers:
        out = follower(out)
    return out.flatten()


def _pads_with_zeros(layer: Layer) -> bool:
    if isinstance(layer, nn.Linear) or layer.padding_mode != "zeros":
        return False
    return layer.padding == "same" or (layer.padding != "valid" and any(layer.padding))


def _add_to_bias(layer: Layer, amount: Float[Tensor, " o"]) -> None:
    if layer.bias is None:  # a norm follows, or none was wanted
        layer.bias = nn.Parameter(torch.zeros_like(amount))
    layer.bias += amount


def _keep(layer: Layer, followers: list[nn.Module], after: Layer, kept: Bool[Tensor, " c"]) -> None:
    """Keep some units of a layer: its rows, what belongs to them behind it, the next layer's columns."""
    n = int(kept.sum())
    layer.weight = nn.Parameter(layer.weight[kept])
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[kept])
    after.weight = nn.Parameter(after.weight[:, kept])
    setattr(layer, "out_features" if isinstance(layer, nn.Linear) else "out_channels", n)
    setattr(after, "in_features" if isinstance(after, nn.Linear) else "in_channels", n)
    for follower in followers:
        if isinstance(follower, Norm):
            for name, tensor in [*follower.named_parameters(), *follower.named_buffers()]:
                if tensor.ndim:  # not the count of batches
                    setattr(follower, name, _like(tensor, tensor[kept]))
            follower.num_features = n
        elif isinstance(follower, nn.PReLU) and follower.num_parameters > 1:
            follower.weight, follower.num_parameters = nn.Parameter(follower.weight[kept]), n


def _like(tensor: Tensor, values: Tensor) -> Tensor:
    return nn.Parameter(values) if isinstance(tensor, nn.Parameter) else values
