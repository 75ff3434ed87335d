"""Encoding, loss and colour conversion beside other ways to do the same, with 313 bins."""

import functools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from colorize.benchmarks.timing import Timing, Way, measure
from colorize.bins import Bins, zhang313_centers
from colorize.color import rgb_to_lab
from colorize.losses import soft_cross_entropy

OURS = "ours, sparse"
_SIGMA_SQUARED = 25


def encoding(rgb: Float[Tensor, "b 3 h w"], runs: int) -> list[Timing]:
    """Soft encoding: ours, scikit-learn's ball tree, and all distances sorted; the last two dense."""
    ab = rgb_to_lab(rgb)[:, 1:]
    bins = Bins(zhang313_centers()).to(rgb.device)
    ways = {OURS: lambda: bins.soft_encode(ab), **dense_encodings(ab)}
    return measure("soft encoding", ways, runs, rgb.device)


def loss(rgb: Float[Tensor, "b 3 h w"], runs: int) -> list[Timing]:
    """Rebalanced cross-entropy forward and backward: ours, and with dense targets that are there already."""
    training = _Training(rgb)
    index, weight = training.bins.soft_encode(training.ab)
    dense = training.dense(index, weight)
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: training.sparse_step(index, weight, overwrite=True),
        "ours, logits kept": lambda: training.sparse_step(index, weight, overwrite=False),
        "log_softmax, dense target": lambda: training.log_softmax_step(dense),
        "CrossEntropyLoss, dense target": lambda: training.cross_entropy_step(dense),
    }
    return training.measure("loss, forward + backward", ways, runs)


def encoding_and_loss(rgb: Float[Tensor, "b 3 h w"], runs: int) -> list[Timing]:
    """Both together, from ab to the gradient of the logits."""
    training = _Training(rgb)
    names = {"scikit-learn ball tree, dense": "ball tree + log_softmax, dense",
             "cdist + argsort, dense": "cdist + argsort + log_softmax, dense"}  # fmt: skip
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: training.sparse_step(*training.bins.soft_encode(training.ab), overwrite=True)
    }
    for name, encode in dense_encodings(training.ab).items():
        ways[names[name]] = functools.partial(training.dense_step, encode)
    return training.measure("encoding + loss, forward + backward", ways, runs)


def lab(rgb: Float[Tensor, "b 3 h w"], runs: int, task: str = "RGB to Lab") -> list[Timing]:
    """RGB to Lab in float32: ours, scikit-image, and kornia where it is installed."""
    import skimage.color

    pixels = np.ascontiguousarray(rgb.movedim(1, -1).cpu().numpy())
    ways = {"ours": lambda: rgb_to_lab(rgb), "scikit-image": lambda: skimage.color.rgb2lab(pixels)}
    try:
        from kornia.color import rgb_to_lab as kornia_rgb_to_lab
    except ImportError:
        pass
    else:
        ways["kornia"] = lambda: kornia_rgb_to_lab(rgb)
    return measure(task, ways, runs, rgb.device)


def dense_encodings(ab: Float[Tensor, "b 2 h w"]) -> dict[str, Callable[[], Tensor]]:
    """Two ways to a dense target (n, q) of all n pixels: name -> function."""
    from sklearn.neighbors import NearestNeighbors

    centers = zhang313_centers().to(ab.device)
    tree = NearestNeighbors(n_neighbors=5, algorithm="ball_tree").fit(centers.cpu().numpy())
    pixels = ab.movedim(1, -1).reshape(-1, 2)

    def dense(distance: Tensor, index: Tensor) -> Tensor:
        weight = torch.exp(-(distance**2) / (2 * _SIGMA_SQUARED))
        target = torch.zeros(len(pixels), len(centers), device=ab.device)
        return target.scatter_(1, index, (weight / weight.sum(dim=1, keepdim=True)).float())

    def ball_tree() -> Tensor:
        distance, index = tree.kneighbors(pixels.cpu().numpy())
        return dense(*(torch.from_numpy(x).to(ab.device) for x in (distance, index)))

    def sort_all() -> Tensor:
        distance = torch.cdist(pixels, centers)
        index = distance.argsort(dim=1)[:, :5]
        return dense(distance.gather(1, index), index)

    return {"scikit-learn ball tree, dense": ball_tree, "cdist + argsort, dense": sort_all}


class _Training:
    """The end of a training step: logits, as a network leaves them, and what comes back to it."""

    def __init__(self, rgb: Float[Tensor, "b 3 h w"]) -> None:
        self.ab = rgb_to_lab(rgb)[:, 1:]
        self.bins = Bins(zhang313_centers()).to(rgb.device)
        b, _, h, w = rgb.shape
        self.fresh = torch.randn(b, len(self.bins), h, w, device=rgb.device)
        self.logits = torch.empty_like(self.fresh)
        self.pixel_weight = torch.rand(b, h, w, device=rgb.device)
        self.parameter = torch.zeros((), device=rgb.device, requires_grad=True)

    def measure(self, task: str, ways: dict[str, Callable[[], object]], runs: int) -> list[Timing]:
        # Ours may write over the logits: each run finds them as they were.
        prepared = {name: Way(run, lambda: self.logits.copy_(self.fresh)) for name, run in ways.items()}
        return measure(task, prepared, runs, self.ab.device)

    def sparse_step(self, index: Tensor, weight: Tensor, overwrite: bool) -> None:
        self._back(soft_cross_entropy(self._forward(), index, weight, overwrite))

    def log_softmax_step(self, target: Tensor) -> None:
        self._back(-(target * torch.log_softmax(self._forward(), dim=1)).sum(dim=1))

    def cross_entropy_step(self, target: Tensor) -> None:
        self._back(torch.nn.functional.cross_entropy(self._forward(), target, reduction="none"))

    def dense_step(self, encode: Callable[[], Tensor]) -> None:
        b, q, h, w = self.fresh.shape
        self.log_softmax_step(encode().view(b, h, w, q).movedim(-1, 1))

    def dense(self, index: Tensor, weight: Tensor) -> Tensor:
        return torch.zeros_like(self.fresh).scatter_(1, index, weight)

    def _forward(self) -> Tensor:
        logits: Tensor = _Network.apply(self.parameter, self.logits)
        return logits

    def _back(self, pixel_loss: Tensor) -> None:
        torch.autograd.backward((pixel_loss * self.pixel_weight).mean())


class _Network(torch.autograd.Function):
    """Stands for a network that takes no time: hands on its logits, and drops the gradient."""

    @staticmethod
    def forward(ctx: object, parameter: Tensor, logits: Tensor) -> Tensor:
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        return torch.zeros((), device=grad.device), None
