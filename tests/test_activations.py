import pytest
import torch
from torch import nn

from colorize.activations import ACTIVATIONS, RReLU, he_gain, make_activation

X = torch.linspace(-4, 4, 81)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sigmoid", lambda x: 1 / (1 + torch.exp(-x))),
        ("relu", lambda x: torch.where(x > 0, x, 0 * x)),
        ("lrelu", lambda x: torch.where(x > 0, x, 0.01 * x)),
        ("prelu", lambda x: torch.where(x > 0, x, 0.25 * x)),
        ("prelu_shared", lambda x: torch.where(x > 0, x, 0.25 * x)),
        ("rrelu", lambda x: torch.where(x > 0, x, x / 5.5)),
        ("elu", lambda x: torch.where(x > 0, x, torch.exp(x) - 1)),
    ],
)
def test_values_at_evaluation(name: str, formula) -> None:  # type: ignore[no-untyped-def]
    module = make_activation(name, channels=1).eval()
    torch.testing.assert_close(module(X.view(1, 1, 9, 9)).flatten(), formula(X))


def test_rrelu_divides_by_uniform_numbers_in_training() -> None:
    x = torch.full((200_000,), -1.0)
    divisor = -1 / RReLU().train()(x)
    assert divisor.min() >= 3
    assert divisor.max() <= 8
    assert divisor.mean().item() == pytest.approx(5.5, abs=0.02)
    assert divisor.var().item() == pytest.approx(25 / 12, abs=0.03), "the divisor is uniform, not the slope"
    assert (RReLU().train()(x.abs()) == 1).all()


def test_rrelu_gradient_uses_the_slope_that_was_drawn() -> None:
    x = torch.full((1000,), -2.0, requires_grad=True)
    y = RReLU().train()(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach() / -2)


def test_prelu_has_a_slope_a_channel_or_one() -> None:
    assert make_activation("prelu", 7).weight.shape == (7,)
    assert make_activation("prelu_shared", 7).weight.shape == (1,)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"sigmoid"}))
def test_he_gain_keeps_the_second_moment(name: str) -> None:
    """Var(w) = gain^2 / n keeps E[y^2] constant through a layer; elu is only near it, as is usual."""
    x = torch.randn(400_000)
    moment = (make_activation(name, 1).eval()(x.view(1, 1, 400, 1000)) ** 2).mean().item() * he_gain(
        name
    ) ** 2
    assert moment == pytest.approx(1, abs=0.35 if name == "elu" else 0.02)


def test_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown activation 'swish'; choose one of sigmoid, relu, lrelu"):
        make_activation("swish")


def test_torch_rrelu_is_another_function() -> None:
    ours, theirs = RReLU().eval(), nn.RReLU(1 / 8, 1 / 3).eval()
    x = torch.tensor([-1.0])
    assert ours(x).item() == pytest.approx(-1 / 5.5)
    assert theirs(x).item() == pytest.approx(-(1 / 8 + 1 / 3) / 2)
