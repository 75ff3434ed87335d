"""The kernels of `soft_cross_entropy` for CUDA, in Triton: the logits are read once forward and once
backward, and the gradient is written once, in any layout.
"""

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

_TILE = 4096  # logits that a program holds at a time


def forward(
    logits: Float[Tensor, "b q h w"], index: Int[Tensor, "b k h w"], weight: Float[Tensor, "b k h w"]
) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
    """The loss of each pixel and the log-sum-exp of its logits, in float32; weights in float32."""
    shape = (logits.shape[0], *logits.shape[2:])
    loss, log_sum_exp = (torch.empty(shape, dtype=torch.float32, device=logits.device) for _ in range(2))
    grid, sizes, strides = _launch(logits, index, weight)
    _forward_kernel[grid](
        logits, index, weight, loss, log_sum_exp, *sizes, *strides, index.shape[1], **_tile(logits)
    )
    return loss, log_sum_exp


def backward(
    logits: Float[Tensor, "b q h w"],
    index: Int[Tensor, "b k h w"],
    weight: Float[Tensor, "b k h w"],
    log_sum_exp: Float[Tensor, "b h w"],
    grad_pixel: Float[Tensor, "b h w"],
    grad: Float[Tensor, "b q h w"],
) -> None:
    """Write (softmax - target) grad_pixel into `grad`, which has the strides of `logits` and may be them."""
    grid, sizes, strides = _launch(logits, index, weight)
    _backward_kernel[grid](
        logits, index, weight, log_sum_exp, grad_pixel.float().contiguous(), grad,
        *sizes, *strides, index.shape[1], **_tile(logits),
    )  # fmt: skip


def _launch(
    logits: Tensor, index: Tensor, weight: Tensor
) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...]]:
    """The grid of programs, a block of a picture's pixels each, and the sizes and strides for the kernels."""
    b, q, h, w = logits.shape
    grid = (triton.cdiv(h * w, _tile(logits)["BLOCK_P"]), b)
    return grid, (q, h * w, w), (*logits.stride(), *index.stride(), *weight.stride())


def _tile(logits: Tensor) -> dict[str, int]:
    """Bins and pixels that a program holds at a time: long along whichever lies together in memory."""
    bins = min(512, triton.next_power_of_2(logits.shape[1])) if logits.stride(1) == 1 else 32
    return {"BLOCK_Q": bins, "BLOCK_P": _TILE // bins}


@triton.jit
def _forward_kernel(
    logits, index, weight, loss, log_sum_exp, q_size, n, width,  # n pixels in a picture
    z_b, z_q, z_h, z_w, i_b, i_k, i_h, i_w, w_b, w_k, w_h, w_w,  # strides
    K: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    picture = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    row, column, inside = pixel // width, pixel % width, pixel < n
    z = logits + picture * z_b + row * z_h + column * z_w
    largest = tl.full([BLOCK_P], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_P], tl.float32)
    for start in range(0, q_size, BLOCK_Q):
        q = (start + tl.arange(0, BLOCK_Q)).to(tl.int64)
        there = (q < q_size)[:, None] & inside[None, :]
        tile = tl.load(z[None, :] + q[:, None] * z_q, mask=there, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(largest, tl.max(tile, axis=0))
        shift = tl.where(higher == float("-inf"), 0.0, higher)  # inf - inf is no number
        total = total * tl.exp(largest - shift) + tl.sum(tl.exp(tile - shift[None, :]), axis=0)
        largest = higher
    expected = tl.zeros([BLOCK_P], tl.float32)  # logit of the target
    for k in tl.static_range(K):
        i = tl.load(index + picture * i_b + k * i_k + row * i_h + column * i_w, mask=inside, other=0)
        share = tl.load(weight + picture * w_b + k * w_k + row * w_h + column * w_w, mask=inside, other=0.0)
        expected += share * tl.load(z + i * z_q, mask=inside, other=0.0).to(tl.float32)
    result = largest + tl.log(tl.where(inside, total, 1.0))
    tl.store(log_sum_exp + picture * n + pixel, result, mask=inside)
    tl.store(loss + picture * n + pixel, result - expected, mask=inside)


@triton.jit
def _backward_kernel(
    logits, index, weight, log_sum_exp, grad_pixel, grad, q_size, n, width,
    z_b, z_q, z_h, z_w, i_b, i_k, i_h, i_w, w_b, w_k, w_h, w_w,
    K: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    picture = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    row, column, inside = pixel // width, pixel % width, pixel < n
    place = picture * z_b + row * z_h + column * z_w
    shift = tl.load(log_sum_exp + picture * n + pixel, mask=inside, other=0.0)
    scale = tl.load(grad_pixel + picture * n + pixel, mask=inside, other=0.0)
    for start in range(0, q_size, BLOCK_Q):
        q = (start + tl.arange(0, BLOCK_Q)).to(tl.int64)
        there = (q < q_size)[:, None] & inside[None, :]
        at = place[None, :] + q[:, None] * z_q
        tile = tl.load(logits + at, mask=there, other=0.0).to(tl.float32)
        difference = tl.exp(tile - shift[None, :])
        for k in tl.static_range(K):  # from the cache: the first round brought them there
            i = tl.load(index + picture * i_b + k * i_k + row * i_h + column * i_w, mask=inside, other=-1)
            share = tl.load(
                weight + picture * w_b + k * w_k + row * w_h + column * w_w, mask=inside, other=0.0
            )
            difference -= tl.where(q[:, None] == i[None, :], share[None, :], 0.0)
        tl.store(grad + at, (difference * scale[None, :]).to(grad.dtype.element_ty), mask=there)
