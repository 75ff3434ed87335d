import pytest
import torch

from colorize.bins import Bins, srgb_centers
from colorize.choosing import Score, best, scores
from colorize.color import rgb_to_lab
from colorize.decoding import Decoding
from colorize.evaluation import baselines, evaluate, network_colorers
from colorize.networks import make_network


def test_scores_equal_those_of_the_evaluation() -> None:
    photographs = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    bins = Bins(srgb_centers(20.0), step=20.0)
    lab = rgb_to_lab(photographs.float() / 255)
    prior = (3 * torch.randn(len(bins))).softmax(dim=0)
    network = make_network("unet", len(bins), widths=[8, 8, 8], down=[1, 1, 1], up=[1, 1]).eval()
    decodings = {"a": Decoding(0.38), "b": Decoding(1.0, 1.3, torch.randn(len(bins)))}
    ours = scores(network, bins, prior, decodings, photographs.split(2))
    colorers = [network_colorers(network, bins, decodings), baselines(bins, prior)]
    theirs = evaluate(colorers, photographs.split(2), bins, prior)
    for name, score in ours.items():
        assert score.auc == pytest.approx(theirs[name]["auc"], abs=1e-4)
        assert score.auc_rebalanced == pytest.approx(theirs[name]["auc_rebalanced"], abs=1e-4)
    ab = network_colorers(network, bins, decodings)(lab)["b"]
    assert ours["b"].chroma == pytest.approx(
        (ab.norm(dim=1).mean() / lab[:, 1:].norm(dim=1).mean()).item(), rel=1e-4
    )
    assert ours["gray"].chroma == 0


def test_best_is_the_most_rebalanced_within_the_limits() -> None:
    found = {
        "gray": Score(88.0, 60.0, 0.0),
        "pale": Score(89.0, 75.0, 0.5),
        "garish": Score(88.5, 76.0, 1.5),
        "wrong": Score(87.0, 74.0, 1.0),
        "good": Score(87.6, 70.0, 1.0),
        "dull": Score(89.0, 65.0, 0.9),
    }
    assert best(found, below_gray=0.5) == "good"
    assert best(found, below_gray=0.3) == "dull"
    assert best({name: found[name] for name in ("gray", "pale")}, below_gray=0.5) is None
