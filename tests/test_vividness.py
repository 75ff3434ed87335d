from pathlib import Path

import numpy as np
import pytest
import torch

from colorize import Colorizer
from colorize.bins import Bins, srgb_centers
from colorize.decoding import Decoding, decode
from colorize.guided import guided_upsample
from colorize.networks import make_network
from colorize.prior import rebalancing_weights
from colorize.vividness import vivid_offset


def test_offset_gives_what_training_with_weights_would_have_learned() -> None:
    prior = (torch.rand(12) ** 3).softmax(dim=0)
    truth = torch.rand(12).softmax(dim=0)  # how often each bin is the colour of some kind of pixel
    weights = rebalancing_weights(prior, 0.5)
    learned = torch.zeros(12, requires_grad=True)  # logits, fitted under the rebalanced loss
    optimizer = torch.optim.LBFGS([learned], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = -(truth * weights * learned.log_softmax(dim=0)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    natural = truth.log()
    vivid = (natural + vivid_offset(prior, 1.0)).softmax(dim=0)
    torch.testing.assert_close(vivid, learned.detach().softmax(dim=0), atol=1e-3, rtol=0)
    calm = (learned.detach() + vivid_offset(prior, 0.0, trained_lambda=0.5)).softmax(dim=0)
    torch.testing.assert_close(calm, truth, atol=1e-3, rtol=0)


def test_a_network_is_decoded_as_trained_at_its_own_vividness() -> None:
    prior = torch.rand(12).softmax(dim=0)
    torch.testing.assert_close(vivid_offset(prior, 0.0, trained_lambda=1.0), torch.zeros(12))
    torch.testing.assert_close(vivid_offset(prior, 1.0, trained_lambda=0.5), torch.zeros(12))


def test_saturation_offset_and_guide_act_in_decoding() -> None:
    logits, lightness = torch.randn(1, 3, 2, 2), torch.rand(1, 1, 7, 8) * 100
    centers = torch.tensor([[0.0, 0.0], [40.0, 0.0], [0.0, -40.0]])
    plain = decode(logits, lightness, centers, Decoding(1.0), 4)
    torch.testing.assert_close(decode(logits, lightness, centers, Decoding(1.0, 0.5), 4), plain / 2)
    only_red = torch.tensor([0.0, 100.0, 0.0])
    red = decode(logits, lightness, centers, Decoding(1.0, 1.0, only_red), 4)
    torch.testing.assert_close(red, centers[1].view(1, 2, 1, 1).expand(1, 2, 2, 2))
    guided = decode(logits, lightness, centers, Decoding(1.0, guide=10.0), 4)
    torch.testing.assert_close(guided, guided_upsample(plain, lightness, 4, 10.0))


def test_colorizer_keeps_vividness_and_guide(tmp_path: Path) -> None:
    network = make_network("unet", 261, widths=[8, 8, 8], down=[1, 1, 1], up=[1, 1])
    prior = (torch.rand(261) ** 3).softmax(dim=0)
    network.init_last_bias(prior)
    bins = Bins(srgb_centers())
    settings = {"loss": {"lambda": 1.0}}
    plain = Colorizer(
        network, bins, name="unet", prior=prior, temperature=1.0, training={"settings": settings}
    )
    lightness = torch.rand(1, 1, 30, 41) * 100
    ab = plain.predict_ab(lightness)
    assert ab.shape == (1, 2, 8, 11)
    plain.vividness = 0.0
    torch.testing.assert_close(plain.predict_ab(lightness), ab)
    plain.vividness = 1.0
    assert plain.predict_ab(lightness).norm(dim=1).mean() != ab.norm(dim=1).mean()
    plain.guide = 10.0
    guided = plain.predict_ab(lightness)
    assert guided.shape == (1, 2, 30, 41)
    plain.save(tmp_path / "w.safetensors")
    loaded = Colorizer.load(tmp_path / "w.safetensors", device="cpu")
    assert (loaded.vividness, loaded.guide, loaded.stride) == (1.0, 10.0, 1)
    torch.testing.assert_close(loaded.predict_ab(lightness), guided)
    assert loaded(np.full((50, 70, 3), 128, np.uint8)).shape == (50, 70, 3)


def test_vividness_needs_a_prior_and_is_not_negative() -> None:
    bins = Bins(srgb_centers(20.0), step=20.0)
    network = make_network("conv8", len(bins))
    with pytest.raises(ValueError, match="hold no prior, which vividness needs"):
        Colorizer(network, bins, name="conv8", vividness=0.5)
    with pytest.raises(ValueError, match="vividness must be 0 or more"):
        Colorizer(network, bins, name="conv8", vividness=-1.0)
