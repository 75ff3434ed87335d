import pytest
import torch
from torch import nn

from colorize.activations import ACTIVATIONS
from colorize.networks import NETWORKS, make_network


def test_conv8_turns_a_32_window_into_16_and_has_the_articles_widths() -> None:
    network = make_network("conv8", 320)
    assert network(torch.rand(2, 1, 32, 32) * 100).shape == (2, 320, 16, 16)
    widths = [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [40, 80, 120, 160, 200, 240, 280, 320]
    assert all(
        m.kernel_size == (3, 3) and m.padding == (0, 0) for m in network.modules() if isinstance(m, nn.Conv2d)
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (9, 9), (33, 20)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_pictures_of_any_size_come_out_at_their_own(size: tuple[int, int], stride: int) -> None:
    network = make_network("conv8", 16, stride=stride).eval()
    ab = torch.rand(1, 2, *size)
    logits = network.predict(torch.rand(1, 1, *size) * 100)
    assert logits.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
    assert network.to_grid(ab, cropped=False).shape[2:] == logits.shape[2:]


def test_predict_equals_forward_away_from_the_border() -> None:
    network = make_network("conv8", 16).eval()
    lightness = torch.rand(1, 1, 40, 40) * 100
    inner = network(lightness)
    torch.testing.assert_close(network.predict(lightness)[:, :, 8:-8, 8:-8], inner, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dilations", [(1,) * 8, (1, 1, 2, 2, 4, 4, 2, 1)])
def test_receptive_field_is_one_plus_twice_the_dilations(dilations: tuple[int, ...]) -> None:
    network = make_network("conv8", 16, dilations=dilations, batch_norm=False).eval()
    side = 2 * sum(dilations) + 1
    lightness = (torch.rand(1, 1, side + 4, side + 4) * 100).requires_grad_()
    network(lightness)[0, :, 2, 2].sum().backward()
    assert lightness.grad is not None
    seen = lightness.grad[0, 0].abs() > 0
    rows, columns = seen.any(dim=1).nonzero().flatten(), seen.any(dim=0).nonzero().flatten()
    assert rows.min() >= 2
    assert rows.max() <= side + 1
    assert rows.max() - rows.min() == columns.max() - columns.min() == side - 1


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_trains(activation: str) -> None:
    network = make_network("conv8", 16, activation=activation, dropout=0.2)
    network(torch.rand(2, 1, 20, 20) * 100).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_channel_multiple_rounds_up_the_hidden_widths_only() -> None:
    widths = [
        m.out_channels
        for m in make_network("conv8", 261, channel_multiple=8).modules()
        if isinstance(m, nn.Conv2d)
    ]
    assert widths[-1] == 261
    assert all(w % 8 == 0 for w in widths[:-1])
    assert all(0 <= w - round(k * 261 / 8) < 8 for k, w in enumerate(widths[:-1], start=1))


def test_an_untrained_network_predicts_the_prior() -> None:
    prior = torch.rand(32) ** 3
    prior /= prior.sum()
    network = make_network("conv8", 32).eval()
    network.init_last_bias(prior)
    share = network.predict(torch.rand(1, 1, 24, 24) * 100).softmax(dim=1).mean(dim=(0, 2, 3))
    assert (share - prior).abs().sum() < 0.25
    with pytest.raises(ValueError, match="prior has 31 bins but the network has 32"):
        network.init_last_bias(prior[1:])


def test_dropout_scales_the_survivors_up() -> None:
    drop = next(m for m in make_network("conv8", 16, dropout=0.3).modules() if isinstance(m, nn.Dropout))
    out = drop.train()(torch.ones(100_000))
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert out.max().item() == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_options_rebuild_the_same_network(name: str) -> None:
    network = make_network(name, 24)
    twin = make_network(name, 24, **network.options)
    twin.load_state_dict(network.state_dict())
    assert set(network.options) == set(NETWORKS[name].option_names())


def test_wrong_names_and_options_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown network 'vgg'; choose one of conv8"):
        make_network("vgg", 10)
    with pytest.raises(
        ValueError, match=r"conv8 has no option depth; it has activation, dropout, batch_norm"
    ):
        make_network("conv8", 10, depth=3)
    with pytest.raises(ValueError, match="dilations must be 8 integers"):
        make_network("conv8", 10, dilations=[1, 2])
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\)"):
        make_network("conv8", 10, dropout=1.0)
