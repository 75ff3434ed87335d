import numpy as np
import pytest
import torch
from packaging.version import Version

from colorize import losses
from colorize.losses import soft_cross_entropy
from tests.typecheck import unchecked

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def sparse_target(b: int, q: int, k: int, h: int, w: int) -> tuple[torch.Tensor, torch.Tensor]:
    index = torch.rand(b, q, h, w).topk(k, dim=1).indices
    weight = torch.rand(b, k, h, w, dtype=torch.float64)
    return index, weight / weight.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("b", [1, 3])
def test_equals_the_dense_form_in_float64(layout: torch.memory_format, b: int) -> None:
    logits = (
        (torch.randn(b, 31, 4, 5, dtype=torch.float64) * 5).contiguous(memory_format=layout).requires_grad_()
    )
    index, weight = sparse_target(b, 31, 5, 4, 5)
    dense = torch.zeros(b, 31, 4, 5, dtype=torch.float64).scatter_(1, index, weight)
    expected = -(dense * torch.log_softmax(logits, dim=1)).sum(dim=1)
    loss = soft_cross_entropy(logits, index, weight)
    torch.testing.assert_close(loss, expected)
    pixel_weight = torch.rand(b, 4, 5, dtype=torch.float64)
    (ours,) = torch.autograd.grad((loss * pixel_weight).mean(), logits)
    (reference,) = torch.autograd.grad((expected * pixel_weight).mean(), logits)
    torch.testing.assert_close(ours, reference)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradcheck(layout: torch.memory_format) -> None:
    logits = torch.randn(2, 7, 3, 2, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    index, weight = sparse_target(2, 7, 3, 3, 2)
    assert torch.autograd.gradcheck(lambda z: soft_cross_entropy(z, index, weight), logits)


def test_overwritten_logits_become_the_same_gradient_once() -> None:
    index, weight = sparse_target(2, 31, 5, 4, 5)
    leaf = torch.randn(2, 31, 4, 5)
    gradients = []
    for overwrite in (False, True):
        leaf = leaf.detach().requires_grad_()
        logits = leaf * 2
        loss = soft_cross_entropy(logits, index, weight.float(), overwrite).square().sum()
        loss.backward(retain_graph=True)
        assert leaf.grad is not None
        gradients.append(leaf.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")  # in Triton
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_kernels_equal_the_float64_form(
    layout: torch.memory_format, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused_loss = pytest.importorskip("colorize.fused_loss", reason="needs Triton", exc_type=ImportError)
    device = "cuda" if torch.cuda.is_available() else "cpu"  # there by Triton's interpreter
    old = Version(fused_loss.triton.__version__) < Version("3.7")
    if device == "cpu" and old and Version(np.__version__) >= Version("2.4"):
        pytest.skip(
            "Triton before 3.7 interprets with int() of arrays of one element, which NumPy 2.4 refuses"
        )
    monkeypatch.setattr(losses, "_kernels", lambda logits: fused_loss)
    logits = (torch.randn(2, 43, 7, 45) * 9).to(device, dtype).contiguous(memory_format=layout)
    index, weight = (x.to(device) for x in sparse_target(2, 43, 5, 7, 45))
    exact, ours = logits.double().requires_grad_(), logits.clone().requires_grad_()
    dense = torch.zeros_like(exact).scatter_(1, index, weight)
    expected = -(dense * torch.log_softmax(exact, dim=1)).sum(dim=1)
    loss = soft_cross_entropy(ours, index, weight.float())
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    expected.square().mean().backward()
    loss.square().mean().backward()
    assert ours.grad is not None
    assert ours.grad.stride() == logits.stride()
    torch.testing.assert_close(
        ours.grad, exact.grad.to(dtype), rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=1e-7
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_view_with_gaps_is_left_as_it_is(overwrite: bool) -> None:
    whole = torch.randn(2, 9, 5, 6)
    kept = whole.clone()
    index, weight = sparse_target(2, 9, 3, 4, 4)
    gradients = []
    for logits in (whole[:, :, :4, 1:5], whole[:, :, :4, 1:5].clone()):
        logits = logits.detach().requires_grad_()
        loss = soft_cross_entropy(logits, index, weight.float(), overwrite).sum()
        gradients.extend(torch.autograd.grad(loss, logits))
    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(whole, kept, rtol=0, atol=0)


def test_equals_torch_with_hard_targets() -> None:
    logits = torch.randn(2, 11, 6, 6)
    target = torch.randint(0, 11, (2, 6, 6))
    loss = soft_cross_entropy(logits, target[:, None], torch.ones(2, 1, 6, 6))
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, target, reduction="none"))


def test_finite_and_exact_for_huge_logits() -> None:
    logits = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1)
    target = torch.tensor([2]).view(1, 1, 1, 1)
    for offset in (0.0, -2e4):  # the sum of exp would be infinite, and zero
        loss = soft_cross_entropy(logits + offset, target, torch.ones(1, 1, 1, 1))
        assert loss.item() == pytest.approx(1e4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_float32(dtype: torch.dtype) -> None:
    logits = (torch.randn(2, 313, 8, 8) * 4).to(dtype).requires_grad_()
    index, weight = sparse_target(2, 313, 5, 8, 8)
    loss = soft_cross_entropy(logits, index, weight.float())
    exact = soft_cross_entropy(logits.detach().double(), index, weight)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), exact, atol=1e-4, rtol=1e-5)
    loss.mean().backward()
    assert logits.grad is not None
    assert logits.grad.dtype == dtype


def test_wrong_shapes_are_named() -> None:
    index, weight = sparse_target(1, 9, 2, 3, 3)
    function = unchecked(soft_cross_entropy)
    function(torch.zeros(1, 9, 3, 3), index, weight.float())
    with pytest.raises(ValueError, match="must agree in b, h and w"):
        function(torch.zeros(1, 9, 4, 3), index, weight.float())
    with pytest.raises(ValueError, match="must have the same shape"):
        function(torch.zeros(1, 9, 3, 3), index, weight.float()[:, :1])


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="the batch is empty"):
        soft_cross_entropy(torch.zeros(0, 5, 2, 2), torch.zeros(0, 2, 2, 2).long(), torch.zeros(0, 2, 2, 2))
