"""Our maths beside other ways to do the same: median times of one run, on photographs or noise of the paper's
size.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from colorize.bins import Bins, zhang313_centers
from colorize.color import rgb_to_lab
from colorize.losses import soft_cross_entropy


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one way: the median and the middle half of the runs."""

    task: str
    way: str
    median: float
    low: float
    high: float


def measure(task: str, ways: dict[str, Callable[[], object]], runs: int) -> list[Timing]:
    """Time each way `runs` times, the ways taking turns, so that a busy moment of the machine meets all of
    them.
    """
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(runs + 1):
        for way, run in ways.items():
            started = time.perf_counter()
            run()
            if turn:  # the first is to warm up
                times[way].append(1e3 * (time.perf_counter() - started))
    quartiles = {way: statistics.quantiles(values, n=4) for way, values in times.items()}
    return [Timing(task, way, middle, low, high) for way, (low, middle, high) in quartiles.items()]


def encoding(rgb: Float[Tensor, "b 3 h w"], runs: int) -> list[Timing]:
    """Soft encoding with 313 bins: ours, scikit-learn's ball tree, and all distances sorted; the last two
    dense.
    """
    from sklearn.neighbors import NearestNeighbors

    ab = rgb_to_lab(rgb)[:, 1:]
    centers = zhang313_centers()
    bins = Bins(centers)
    tree = NearestNeighbors(n_neighbors=5, algorithm="ball_tree").fit(centers.numpy())
    pixels = ab.movedim(1, -1).reshape(-1, 2)

    def dense(distance: Tensor, index: Tensor) -> Tensor:
        weight = torch.exp(-(distance**2) / 50)
        target = torch.zeros(len(pixels), len(centers))
        return target.scatter_(1, index, (weight / weight.sum(dim=1, keepdim=True)).float())

    def ball_tree() -> Tensor:
        distance, index = tree.kneighbors(pixels.numpy())
        return dense(torch.from_numpy(distance), torch.from_numpy(index))

    def sort_all() -> Tensor:
        distance = torch.cdist(pixels, centers)
        index = distance.argsort(dim=1)[:, :5]
        return dense(distance.gather(1, index), index)

    ways = {"ours, sparse": lambda: bins.soft_encode(ab), "scikit-learn ball tree, dense": ball_tree,
            "cdist + argsort, dense": sort_all}  # fmt: skip
    return measure("soft encoding", ways, runs)


def loss(rgb: Float[Tensor, "b 3 h w"], runs: int) -> list[Timing]:
    """Rebalanced cross-entropy forward and backward with 313 bins: ours and the dense form."""
    bins = Bins(zhang313_centers())
    index, weight = bins.soft_encode(rgb_to_lab(rgb)[:, 1:])
    logits = torch.randn(rgb.shape[0], len(bins), *rgb.shape[2:], requires_grad=True)
    pixel_weight = torch.rand(rgb.shape[0], *rgb.shape[2:])
    target = torch.zeros_like(logits).scatter_(1, index, weight)

    def ours() -> None:
        logits.grad = None
        torch.autograd.backward((soft_cross_entropy(logits, index, weight) * pixel_weight).mean())

    def dense() -> None:
        logits.grad = None
        torch.autograd.backward(
            (-(target * torch.log_softmax(logits, dim=1)).sum(dim=1) * pixel_weight).mean()
        )

    return measure(
        "loss, forward + backward", {"ours, sparse": ours, "log_softmax, dense target": dense}, runs
    )


def lab(rgb: Float[Tensor, "b 3 h w"], runs: int) -> list[Timing]:
    """RGB to Lab: ours and scikit-image, both in float32."""
    import skimage.color

    pixels = np.ascontiguousarray(rgb.movedim(1, -1).numpy())
    ways = {"ours": lambda: rgb_to_lab(rgb), "scikit-image": lambda: skimage.color.rgb2lab(pixels)}
    return measure("RGB to Lab", ways, runs)
