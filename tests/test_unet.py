import pytest
import torch

from colorize.networks import make_network

SMALL = {"widths": [8, 12, 16], "down": [1, 1, 1], "up": [1, 1]}


def test_the_released_size_is_within_three_million_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in make_network("unet", 313).parameters()) < 3e6


@pytest.mark.parametrize("name", ["unet", "zhang16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 20)])
def test_pictures_of_any_size_have_logits_at_a_quarter(name: str, size: tuple[int, int]) -> None:
    network = make_network(name, 16, **({"width": 4} if name == "zhang16" else SMALL)).eval()
    logits = network.predict(torch.rand(1, 1, *size) * 100)
    assert logits.shape[2:] == (-(-size[0] // 4), -(-size[1] // 4))
    assert network.to_grid(torch.rand(1, 2, *size), cropped=False).shape[2:] == logits.shape[2:]


@pytest.mark.parametrize("context", ["pool", "attention"])
def test_context_carries_a_far_corner_to_every_place(context: str) -> None:
    lightness = (torch.rand(1, 1, 16, 800) * 100).requires_grad_()
    seen = {}
    for kind in ("none", context):
        network = make_network("unet", 4, **SMALL, context=kind).eval()
        for parameter in network.parameters():  # blocks start as the identity, and hear nothing yet
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
        logits = network(lightness)[0, :, 0, 0].sum()
        seen[kind] = torch.autograd.grad(logits, lightness)[0][..., -16:].abs().max().item()
    assert seen["none"] == 0 < seen[context]


@pytest.mark.parametrize("name", ["unet", "zhang16"])
def test_every_parameter_learns_from_the_smallest_window(name: str) -> None:
    network = make_network(name, 16, **({"width": 4} if name == "zhang16" else SMALL))
    window = torch.rand(1, 1, network.min_window(), network.min_window()) * 100
    for _ in range(2):  # what starts at zero lets nothing through to what is before it
        network.zero_grad()
        network(window).square().mean().backward()
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad.sign()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8, 8]}, "widths must be 3 integers"),
        ({"up": [1, 0]}, "up must be 2 integers of 1 or more"),
        ({"expansion": 0}, "expansion must be an integer of 1 or more"),
        (
            {"context": "attention", "widths": [8, 8, 10]},
            "attention needs a last width that 4 divides, got 10",
        ),
        ({"context": "global"}, "context must be one of none, pool, attention, got 'global'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_network("unet", 16, **options)
