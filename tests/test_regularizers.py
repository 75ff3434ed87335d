import pytest
import torch
from torch import nn

from colorize.activations import RReLU
from colorize.regularizers import Penalty, Regularizer, decay_groups, soft_threshold

RATE, LAMBDA = 0.1, 0.03


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.PReLU(3), nn.Flatten(), nn.Linear(3 * 4, 2)
    )


def step(network: nn.Module, regularizer: Regularizer) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """One SGD step on the penalty alone: parameter name -> (before, after)."""
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    regularizer.penalty(network).backward()
    optimizer.step()
    regularizer.proximal_step(network, RATE)
    return {name: (before[name], p.detach()) for name, p in network.named_parameters()}


@pytest.mark.parametrize("part", ["kernel", "bias"])
@pytest.mark.parametrize(
    ("penalty", "update"),
    [
        (Penalty(l1=LAMBDA), lambda w: w - RATE * LAMBDA * w.sign()),
        (Penalty(l2=LAMBDA), lambda w: w - 2 * RATE * LAMBDA * w),
        (Penalty(l1=LAMBDA, l2=LAMBDA), lambda w: w - RATE * LAMBDA * (w.sign() + 2 * w)),
    ],
)
def test_one_sgd_step_is_the_articles_formula(part: str, penalty: Penalty, update) -> None:  # type: ignore[no-untyped-def]
    touched = {"0.weight", "4.weight"} if part == "kernel" else {"0.bias", "4.bias"}
    for name, (before, after) in step(small_network(), Regularizer(**{part: penalty})).items():
        expected = update(before) if name in touched else before  # norm layers and PReLU slopes stay
        torch.testing.assert_close(after, expected)


def test_penalty_value_by_hand() -> None:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, -4.0]]))
        layer.bias.fill_(2.0)
    regularizer = Regularizer(kernel=Penalty(l1=0.1, l2=0.01), bias=Penalty(l2=1.0))
    assert regularizer.penalty(layer).item() == pytest.approx(0.1 * 7 + 0.01 * 25 + 4)


def test_coupled_weight_decay_of_d_is_l2_of_half_d() -> None:
    torch.manual_seed(3)
    ours, theirs = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    theirs.load_state_dict(ours.state_dict())
    step(ours, Regularizer(kernel=Penalty(l2=LAMBDA / 2)))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=RATE, weight_decay=LAMBDA)
    (0 * theirs.weight.sum()).backward()
    optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_activity_is_summed_over_units_and_averaged_over_the_batch() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    regularizer = Regularizer(activity=Penalty(l1=0.5))
    stop = regularizer.watch(network)
    x = torch.randn(5, 3)
    hidden = network[1](network[0](x))
    expected = 0.5 * (hidden.abs().sum() + network[2](hidden).abs().sum()) / 5
    regularizer.penalty(network)  # forget the calls just made
    network(x)
    torch.testing.assert_close(regularizer.penalty(network), expected)
    assert regularizer.penalty(network) == 0, "each forward pass counts once"
    network.eval()(x)
    assert regularizer.penalty(network) == 0, "evaluation is not penalised"
    stop()
    network.train()(x)
    assert regularizer.penalty(network) == 0


def test_activity_penalty_has_gradients() -> None:
    network = nn.Sequential(nn.Linear(3, 4), RReLU())
    regularizer = Regularizer(activity=Penalty(l2=1.0))
    regularizer.watch(network)
    network(torch.randn(2, 3))
    regularizer.penalty(network).backward()
    assert network[0].weight.grad.abs().sum() > 0


def test_soft_threshold_gives_exact_zeros() -> None:
    x = torch.tensor([-0.5, -0.1, 0.0, 0.05, 0.3])
    torch.testing.assert_close(soft_threshold(x, 0.1), torch.tensor([-0.4, 0.0, 0.0, 0.0, 0.2]))


def test_proximal_step_zeroes_what_the_subgradient_only_nears() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 10)
    y = x[:, :2].sum(dim=1, keepdim=True)
    zeros = {}
    for proximal in (True, False):
        torch.manual_seed(1)
        layer = nn.Linear(10, 1)
        regularizer = Regularizer(kernel=Penalty(l1=0.2), proximal=proximal)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            ((layer(x) - y).square().mean() + regularizer.penalty(layer)).backward()
            optimizer.step()
            regularizer.proximal_step(layer, 0.05)
        zeros[proximal] = int((layer.weight == 0).sum())
    assert zeros[True] == 8
    assert zeros[False] == 0


def test_the_proximal_penalty_is_shown_but_not_in_the_loss() -> None:
    layer = nn.Linear(3, 1)
    regularizer = Regularizer(kernel=Penalty(l1=0.5), proximal=True)
    assert regularizer.penalty(layer) == 0
    torch.testing.assert_close(regularizer.proximal_penalty(layer), 0.5 * layer.weight.detach().abs().sum())
    assert Regularizer(kernel=Penalty(l1=0.5)).proximal_penalty(layer) == 0


def test_decoupled_decay_reaches_kernels_alone() -> None:
    network = small_network()
    decayed, rest = decay_groups(network, 0.01)
    assert decayed["weight_decay"] == 0.01
    assert {id(p) for p in decayed["params"]} == {id(network[0].weight), id(network[4].weight)}
    assert rest["weight_decay"] == 0
    assert len(decayed["params"]) + len(rest["params"]) == len(list(network.parameters()))


def test_negative_penalty_is_named() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Penalty(l1=-1.0)
