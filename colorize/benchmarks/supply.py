"""How fast batches of windows come, from memory and from files."""

import itertools
from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from colorize.benchmarks.timing import Timing, measure
from colorize.data.decoding import BrokenFiles, available_cpus, decode_all
from colorize.data.held import HeldPhotos
from colorize.data.photo import Photo
from colorize.data.sources import find_photos
from colorize.data.windows import EpochOrder, HeldWindows


def supply(
    data: str | list[str], batch: int, side: int, image_size: int, runs: int, device: torch.device
) -> list[Timing]:
    """One uint8 batch of random windows: from photographs held in memory, and from a DataLoader that decodes.

    Args:
        data: photographs, as `data.root` takes them; at most 400 are used.
        batch: windows.
        side: of the windows, pixels.
        image_size: shorter side of the photographs, pixels.
        runs: batches to time.
        device: where the photographs are held.
    """
    photos = find_photos(data, "data")[:400]
    held = HeldPhotos(decode_all(photos, image_size, BrokenFiles(0.0, len(photos)))).to(device)
    repeats = -(-(runs + 2) * batch // len(photos))  # an epoch that lasts
    windows = iter(HeldWindows(held, EpochOrder(len(held), batch, repeats), side))
    loader: DataLoader[Tensor] = DataLoader(
        _Files(photos, side, image_size), batch, sampler=_again(len(photos)), num_workers=available_cpus()
    )
    ways = {"ours, held in memory": lambda: next(windows), "DataLoader over files": iter(loader).__next__}
    return measure(f"{batch} windows of {side} from {image_size} px", ways, runs, device)


def _again(count: int) -> Iterator[int]:
    return itertools.cycle(torch.randperm(count).tolist())


class _Files(Dataset[Tensor]):
    """Photographs as they are mostly read: decoded, scaled and cut one by one in worker processes."""

    def __init__(self, photos: list[Photo], side: int, image_size: int) -> None:
        self.photos, self.side, self.image_size = photos, side, image_size

    def __getitem__(self, i: int) -> Tensor:
        with Image.open(self.photos[i].path) as image:
            pixels = functional.pil_to_tensor(image.convert("RGB"))
        scaled = functional.resize(pixels, [self.image_size], antialias=True)
        top, left = (int(torch.randint(n - self.side + 1, ())) for n in scaled.shape[1:])
        window: Tensor = functional.crop(scaled, top, left, self.side, self.side)
        return window
