"""The Lightning data module: photographs in, uint8 windows out, from memory where they fit and from disk
otherwise.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor

from colorize.data.augment import Augment
from colorize.data.decoding import BrokenFiles, available_cpus, decode_all, with_progress
from colorize.data.sources import Photo, find_splits
from colorize.data.streaming import StreamedBatches
from colorize.data.windows import EpochOrder, HeldPhotos, HeldSquares, HeldWindows
from colorize.ranges import check_values


class PhotoData(lightning.LightningDataModule):
    """Training, validation and test photographs.

    Args:
        root, val_root, val_share: which photographs, see `sources.find_splits`.
        image_size: shorter side to which photographs are scaled before windows are cut, in pixels. With the
            network's receptive field it decides how much of a picture the network sees; it is stored with the
            weights.
        window: side of a training window, in pixels.
        batch_size: windows in a batch, on each device.
        windows_per_photo: how many windows of each photograph make an epoch.
        memory_gb: validation, test and training photographs, in this order, are decoded once and held in
            memory where their estimated uint8 size still fits into it; others are decoded when needed.
        max_broken: share of broken files above which training stops.
        workers: processes that decode where photographs are not held; null for one a CPU.
        augment: settings of `Augment`.
        seed: of the split and of the windows.

    Raises:
        ValueError: if a setting is out of range or the photographs are missing or broken.
    """

    def __init__(
        self,
        root: str | Sequence[str],
        val_root: str | Sequence[str] | None = None,
        val_share: float = 0.05,
        image_size: int = 64,
        window: int = 32,
        batch_size: int = 32,
        windows_per_photo: int = 1,
        memory_gb: float = 4.0,
        max_broken: float = 0.01,
        workers: int | None = None,
        augment: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        limits = {"memory_gb": memory_gb, "max_broken": max_broken, "workers": workers}
        sizes = {"image_size": image_size, "window": window, "batch_size": batch_size}
        check_values({**sizes, "windows_per_photo": windows_per_photo, **limits}, "data.")
        self.image_size, self.window, self.batch_size = image_size, window, batch_size
        self.windows_per_photo, self.memory_gb, self.max_broken = windows_per_photo, memory_gb, max_broken
        self.workers = available_cpus() if workers is None else workers
        self.augment = make_augment(augment or {})
        self.seed = seed
        self.splits = find_splits(root, val_root, val_share, seed)
        self.broken = BrokenFiles(max_broken, sum(len(photos) for photos in vars(self.splits).values()))
        self.held: dict[str, HeldPhotos] = {}

    def setup(self, stage: str | None = None) -> None:
        """Decode what memory holds, once: what every validation needs before what an epoch needs."""
        if self.held:
            return
        room = self.memory_gb * 2**30
        for name in ("val", "test", "train"):
            photos = getattr(self.splits, name)
            estimate = len(photos) * 3 * self.image_size**2 * 4 / 3  # taken as 4:3 pictures
            if photos and estimate < room:
                room -= estimate
                self.held[name] = HeldPhotos(decode_all(photos, self.image_size, self.broken))

    def train_dataloader(self) -> Iterable[Tensor]:
        """Random windows, large enough for the augmentation to turn and scale them."""
        side = self.augment.source_side(self.window)
        photos = self.splits.train
        held = self.held.get("train")
        count = len(photos) if held is None else len(held)
        order = EpochOrder(
            count, min(self.batch_size, count), self.windows_per_photo, self.seed,
            epoch=self.trainer.current_epoch if self.trainer else 0,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )  # fmt: skip
        if held is None:
            return StreamedBatches(
                photos, order, self.image_size, side, self.broken, self.workers, persistent=True
            )
        return HeldWindows(held.to(self.trainer.strategy.root_device if self.trainer else "cpu"), order, side)

    def val_dataloader(self) -> Iterable[Tensor]:
        """The middle squares of the validation photographs, (b, 3, image_size, image_size)."""
        return self.squares("val")

    def squares(self, split: str, batch_size: int = 32) -> HeldSquares | StreamedBatches:
        """The middle squares of a split in uint8 batches (b, 3, image_size, image_size)."""
        if split in self.held:
            return HeldSquares(self.held[split], batch_size, self.image_size)
        photos = getattr(self.splits, split)
        keys = [(which, None) for which in torch.split(torch.arange(len(photos)), batch_size)]
        return StreamedBatches(photos, keys, self.image_size, self.image_size, self.broken, self.workers)

    def train_squares(self) -> Iterator[Tensor]:
        """The middle squares of all training photographs, with a progress bar: what prior and bins are
        counted on.
        """
        squares = self.squares("train", 64)
        yield from with_progress(squares, "Counting colours", len(squares))

    def fingerprint(self, split: str = "train") -> str:
        """A key of a split's photographs: of their pixels where they are held, else of their names and
        sizes.
        """
        digest = hashlib.blake2b(digest_size=16)
        if split in self.held:
            digest.update(self.held[split].sizes.numpy().tobytes())
            digest.update(self.held[split].pixels.cpu().numpy().data)
            return digest.hexdigest()
        for photo in getattr(self.splits, split):
            digest.update(f"{photo.name}\0{photo.size}\0{_modified(photo)}\n".encode())
        return digest.hexdigest()


def make_augment(settings: Mapping[str, Any]) -> Augment:
    """Build the augmentation from its settings.

    Raises:
        ValueError: if a setting is unknown; the message lists the valid ones.
    """
    valid = list(Augment.__init__.__annotations__)[:-1]
    unknown = [key for key in settings if key not in valid]
    if unknown:
        raise ValueError(f"augment has no setting {', '.join(unknown)}; it has {', '.join(valid)}")
    return Augment(**settings)


def _modified(photo: Photo) -> int:
    return photo.path.stat().st_mtime_ns
