import pytest
import torch
from torch import nn

from colorize.activations import ACTIVATIONS, make_activation
from colorize.networks import make_network
from colorize.pruning import prune, units, without_small_weights


def network(activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 8), (8, 6), (6, 7)):
        layers += [nn.Linear(inputs, outputs), make_activation(activation, outputs), nn.Dropout(0.3)]
    return nn.Sequential(*layers, nn.Linear(7, 2)).double()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dead_units_go_and_the_output_stays(activation: str) -> None:
    whole = network(activation).eval()
    with torch.no_grad():
        whole[0].weight[[1, 4]] = 0  # nothing enters: constants of either sign
        whole[0].bias[[1, 4]] = torch.tensor([0.7, -0.8]).double()
        whole[3].weight[:, 6] = 0  # nothing leaves
        whole[6].weight[5] = 0
    smaller = prune(whole)
    assert units(smaller) == [5, 6, 6, 2]
    assert units(whole) == [8, 6, 7, 2], "the original stays as it is"
    x = torch.randn(50, 3).double() * 4
    assert (smaller(x) - whole(x)).abs().max() < 1e-6


def test_what_feeds_only_dead_units_goes_too() -> None:
    whole = network("relu").eval()
    with torch.no_grad():
        whole[6].weight[:, 2] = 0  # unit 2 of the second layer is not heard
        whole[3].weight[:, 3] = 0
        whole[3].weight[2, 3] = 5.0  # unit 3 of the first layer speaks to that one only
    assert units(prune(whole)) == [7, 5, 7, 2]


def test_a_cut_network_keeps_a_unit_a_layer_and_its_constant_output() -> None:
    whole = network("elu").eval()
    with torch.no_grad():
        whole[3].weight.zero_()
    smaller = prune(whole)
    assert units(smaller) == [1, 1, 1, 2]
    x = torch.randn(9, 3).double()
    assert (smaller(x) - whole(x)).abs().max() < 1e-6


def test_the_smaller_network_trains() -> None:
    whole = network("prelu")
    with torch.no_grad():
        whole[0].weight[2] = 0
    smaller = prune(whole)
    assert smaller.training
    smaller(torch.randn(4, 3).double()).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in smaller.parameters())


def test_small_weights_count_as_zero_within_the_tolerance() -> None:
    whole = network("relu").eval()
    with torch.no_grad():
        whole[0].weight[0] = 0.002
    assert units(prune(whole)) == [8, 6, 7, 2]
    thinned, smaller = without_small_weights(whole, 0.003), prune(whole, 0.003)
    assert units(smaller)[0] == 7
    x = torch.randn(50, 3).double()
    assert (smaller(x) - thinned(x)).abs().max() < 1e-6
    assert (whole(x) - thinned(x)).abs().max() > 1e-6
    with pytest.raises(ValueError, match="tolerance"):
        prune(whole, -1)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "prelu"])
def test_dead_channels_of_conv8_go_with_their_norms(activation: str) -> None:
    whole = make_network("conv8", 16, activation=activation, dropout=0.1).double().eval()
    norms = [module for module in whole.layers if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.running_mean.normal_()
            norm.bias.normal_()
        norms[1].weight[2] = 0  # a constant whatever comes in
        whole.layers[0].weight[1] = 0
    smaller = prune(whole.layers)
    assert units(smaller) == [1, 3, 6, 8, 10, 12, 14, 16]
    x = torch.rand(2, 1, 20, 20).double()
    assert (smaller(x) - whole.layers(x)).abs().max() < 1e-6


def test_constants_stay_where_zero_padding_would_make_them_vary() -> None:
    def two(padding_mode: str, bias: float) -> nn.Sequential:
        first = nn.Conv2d(1, 4, 3, padding=1, padding_mode=padding_mode)
        second = nn.Conv2d(4, 2, 3, padding=1, padding_mode=padding_mode)
        with torch.no_grad():
            first.weight[0], first.bias[0] = 0, bias
        return nn.Sequential(first, nn.ReLU(), second).double()

    x = torch.rand(1, 1, 6, 6).double()
    for mode, bias, left in (("zeros", 1.0, 4), ("zeros", -1.0, 3), ("reflect", 1.0, 3)):
        whole = two(mode, bias)
        smaller = prune(whole)
        assert units(smaller)[0] == left
        assert (smaller(x) - whole(x)).abs().max() < 1e-6


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot prune Flatten"):
        prune(nn.Sequential(nn.Linear(2, 2), nn.Flatten()))
    with pytest.raises(ValueError, match="groups"):
        prune(nn.Sequential(nn.Conv1d(4, 4, 1, groups=2)))
