"""Cross-entropy of logits against sparse soft targets, without a dense target and with one buffer for the
gradient, or none.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

_PLAIN_SUMS = (1e-30, 1e30)  # between them a sum of exp(logits), not shifted, is exact in float32


def soft_cross_entropy(
    logits: Float[Tensor, "b q h w"],
    index: Int[Tensor, "b k h w"],
    weight: Float[Tensor, "b k h w"],
    overwrite: bool = False,
) -> Float[Tensor, "b h w"]:
    """Cross-entropy of each pixel: -sum_q target_q log softmax(logits)_q, with the target given by its
    nonzero bins.

    Args:
        logits: scores of the bins; any floating type, the log-sum-exp is done in float32 or wider.
        index: bins of the target, int64, no bin twice in a pixel.
        weight: their weights, which sum to 1 over k.
        overwrite: let backward write the gradient into the memory of the logits, which are gone then. It
            saves a buffer of their size, and on a CPU half the time of backward, which goes into fresh
            memory. A second backward through them raises a RuntimeError.

    Returns:
        The loss of each pixel, not weighted, not averaged. Gradients flow to `logits` alone.

    Raises:
        ValueError: if the shapes do not agree.

    Source: Zhang, Isola & Efros 2016, equation 2, as logsumexp(z) - sum_k w_k z[i_k].
    """
    if index.shape != weight.shape:
        raise ValueError(
            f"index {tuple(index.shape)} and weight {tuple(weight.shape)} must have the same shape"
        )
    if logits.ndim != 4 or logits.shape[:1] + logits.shape[2:] != index.shape[:1] + index.shape[2:]:
        raise ValueError(
            f"logits (b, q, h, w) and targets (b, k, h, w) must agree in b, h and w; "
            f"got {tuple(logits.shape)} and {tuple(index.shape)}"
        )
    if not len(logits):
        raise ValueError(f"the batch is empty: logits {tuple(logits.shape)}, expected one picture or more")
    loss: Tensor = _SoftCrossEntropy.apply(logits, index, weight, overwrite)
    return loss


class _SoftCrossEntropy(torch.autograd.Function):
    """Forward keeps the logits and their log-sum-exp; backward writes softmax - target into one buffer."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, index: Tensor, weight: Tensor, overwrite: bool) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        weight = weight.to(wide)
        if not (logits.is_contiguous() or logits.is_contiguous(memory_format=torch.channels_last)):
            logits = logits.contiguous()  # a view with gaps or overlaps has no room for a gradient
        ctx.overwrite, ctx.kernels = overwrite, _kernels(logits)
        loss: Tensor
        if ctx.kernels:
            loss, log_sum_exp = ctx.kernels.forward(logits, index, weight)
        else:
            log_sum_exp = _log_sum_exp(logits, wide)
            loss = log_sum_exp - logits.gather(1, index).mul(weight).sum(dim=1)
        ctx.save_for_backward(logits, index, weight, log_sum_exp)
        return loss

    @staticmethod
    def backward(ctx: Any, grad_pixel: Tensor) -> tuple[Tensor, None, None, None]:
        logits, index, weight, log_sum_exp = ctx.saved_tensors
        # Written to under its own name, the overwritten tensor counts as changed, which a second backward
        # finds out.
        grad = logits if ctx.overwrite else torch.empty_like(logits)
        if ctx.kernels:
            ctx.kernels.backward(logits, index, weight, log_sum_exp, grad_pixel, grad)
            return grad, None, None, None
        wide, parts = log_sum_exp.dtype, _cache_sized(logits)
        grad_pixel = grad_pixel[:, None]
        from_target = (weight * grad_pixel).neg_().to(wide)
        # Half-precision logits are subtracted and exponentiated in float32, and rounded once.
        scratch = None if grad.dtype == wide else torch.empty_like(logits[: parts[0].stop], dtype=wide)
        for part in parts:
            out = grad[part] if scratch is None else scratch
            torch.sub(logits[part], log_sum_exp[part][:, None], out=out).exp_().mul_(grad_pixel[part])
            out.scatter_add_(1, index[part], from_target[part])
            if scratch is not None:
                grad[part] = scratch
        return grad, None, None, None


def _log_sum_exp(logits: Tensor, wide: torch.dtype) -> Float[Tensor, "b h w"]:
    """The log-sum-exp over the bins in `wide` precision."""
    parts = _cache_sized(logits)
    scratch = torch.empty_like(logits[: parts[0].stop], dtype=wide)  # fresh memory a part costs more than exp
    total = torch.empty(logits.shape[0], *logits.shape[2:], dtype=wide, device=logits.device)
    if logits.device.type == "cpu":  # elsewhere the host would wait to know whether the sums are plain
        ones = torch.ones(1, logits.shape[1], dtype=wide)
        for part in parts:  # a product with ones adds twice as fast as a sum over channels
            torch.matmul(ones, scratch.copy_(logits[part]).exp_()[0].flatten(1), out=total[part].view(1, -1))
        if torch.all((total > _PLAIN_SUMS[0]) & (total < _PLAIN_SUMS[1])):
            return total.log_()
    for part in parts:
        largest = logits[part].amax(dim=1, keepdim=True).to(wide)
        shifted = torch.sub(logits[part], largest, out=scratch).exp_()
        total[part] = shifted.sum(dim=1).log_().add_(largest[:, 0])
    return total


def _cache_sized(logits: Tensor) -> list[slice]:
    """The batch in pieces. On a CPU one picture at a time stays in cache between the steps; a GPU takes it
    whole.
    """
    if logits.device.type == "cpu":
        return [slice(i, i + 1) for i in range(len(logits))]
    return [slice(None)]


def _kernels(logits: Tensor) -> Any:
    """The fused kernels where they can be had, else None."""
    if logits.device.type != "cuda" or logits.dtype == torch.float64:
        return None
    try:
        from colorize import fused_loss
    except ImportError:  # no Triton, as on Windows
        return None
    return fused_loss
