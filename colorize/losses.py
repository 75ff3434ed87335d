"""Cross-entropy of logits against sparse soft targets, without a dense target and with one buffer for the
gradient.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


def soft_cross_entropy(
    logits: Float[Tensor, "b q h w"], index: Int[Tensor, "b k h w"], weight: Float[Tensor, "b k h w"]
) -> Float[Tensor, "b h w"]:
    """Cross-entropy of each pixel: -sum_q target_q log softmax(logits)_q, with the target given by its
    nonzero bins.

    Args:
        logits: scores of the bins; any floating type, the log-sum-exp is done in float32 or wider.
        index: bins of the target, int64, no bin twice in a pixel.
        weight: their weights, which sum to 1 over k.

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
    loss: Tensor = _SoftCrossEntropy.apply(logits, index, weight)
    return loss


class _SoftCrossEntropy(torch.autograd.Function):
    """Forward keeps the logits and their log-sum-exp; backward writes softmax - target into the one new
    buffer.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        weight = weight.to(wide)
        log_sum_exp = torch.empty(logits.shape[0], *logits.shape[2:], dtype=wide, device=logits.device)
        expected = torch.empty_like(log_sum_exp)  # logit of the target
        parts = _cache_sized(logits)
        scratch = torch.empty_like(
            logits[: parts[0].stop], dtype=wide
        )  # fresh memory a part costs more than exp
        for part in parts:
            largest = logits[part].amax(dim=1, keepdim=True).to(wide)
            shifted = torch.sub(logits[part], largest, out=scratch).exp_()
            log_sum_exp[part] = shifted.sum(dim=1).log_().add_(largest[:, 0])
            expected[part] = logits[part].gather(1, index[part]).mul(weight[part]).sum(dim=1)
        ctx.save_for_backward(logits, index, weight, log_sum_exp)
        return log_sum_exp - expected

    @staticmethod
    def backward(ctx: Any, grad_pixel: Tensor) -> tuple[Tensor, None, None]:
        logits, index, weight, log_sum_exp = ctx.saved_tensors
        grad = torch.empty_like(logits)
        grad_pixel = grad_pixel[:, None]
        from_target = (weight * grad_pixel).neg_().to(grad.dtype)
        for part in _cache_sized(logits):
            if grad.dtype == log_sum_exp.dtype:
                softmax = torch.sub(logits[part], log_sum_exp[part][:, None], out=grad[part]).exp_()
                softmax.mul_(grad_pixel[part])
            else:  # half-precision logits: subtract and exponentiate in float32, then round once
                grad[part] = (logits[part] - log_sum_exp[part][:, None]).exp_().mul_(grad_pixel[part])
            grad[part].scatter_add_(1, index[part], from_target[part])
        return grad, None, None


def _cache_sized(logits: Tensor) -> list[slice]:
    """The batch in pieces. On a CPU one picture at a time stays in cache between the steps; a GPU takes it
    whole.
    """
    if logits.device.type == "cpu":
        return [slice(i, i + 1) for i in range(len(logits))]
    return [slice(None)]
