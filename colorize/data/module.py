"""The Lightning data module: photographs in, uint8 windows out, from memory where they fit and from disk
otherwise.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from colorize.data.augment import Augment
from colorize.data.decoding import BrokenFiles, decode_all, with_progress
from colorize.data.sources import Photo, find_splits
from colorize.data.windows import HeldPhotos, StreamedWindows, WindowBatches


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
        memory_gb: photographs whose estimated uint8 size is below it are decoded once and held in memory.
        max_broken: share of broken files above which training stops.
        workers: processes that decode where photographs are not held; null for one a core.
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
        for name, value in (("image_size", image_size), ("window", window), ("batch_size", batch_size),
                            ("windows_per_photo", windows_per_photo)):  # fmt: skip
            if value < 1:
                raise ValueError(f"data.{name} must be 1 or more, got {value}")
        self.image_size, self.window, self.batch_size = image_size, window, batch_size
        self.windows_per_photo, self.memory_gb, self.max_broken = windows_per_photo, memory_gb, max_broken
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        self.augment = make_augment(augment or {})
        self.seed = seed
        self.splits = find_splits(root, val_root, val_share, seed)
        self.held: dict[str, HeldPhotos] = {}

    @property
    def holds_training_set(self) -> bool:
        """Whether the training photographs fit into `memory_gb`, taken as 4:3 pictures."""
        return len(self.splits.train) * self.image_size**2 * 4 / 3 * 3 < self.memory_gb * 2**30

    def setup(self, stage: str | None = None) -> None:
        """Decode what is held in memory, once."""
        broken = BrokenFiles(self.max_broken, sum(len(photos) for photos in vars(self.splits).values()))
        for name, photos in vars(self.splits).items():
            wanted = photos and (name != "train" or self.holds_training_set)
            if wanted and name not in self.held:
                decoded = decode_all(photos, self.image_size, broken)
                if not decoded:
                    raise ValueError(f"none of the {len(photos)} {name} photographs could be read")
                self.held[name] = HeldPhotos(decoded)

    def train_dataloader(self) -> Iterable[Tensor]:
        """Random windows, large enough for the augmentation to turn and scale them."""
        side = self.augment.source_side(self.window)
        if "train" in self.held:
            held = self.held["train"].to(self.trainer.strategy.root_device if self.trainer else "cpu")
            return WindowBatches(
                held, min(self.batch_size, len(held)), side, self.windows_per_photo, self.seed,
                epoch=self.trainer.current_epoch if self.trainer else 0,
                rank=self.trainer.global_rank if self.trainer else 0,
                world_size=self.trainer.world_size if self.trainer else 1,
            )  # fmt: skip
        windows = StreamedWindows(
            list(self.splits.train) * self.windows_per_photo, self.image_size, side, self.max_broken
        )
        return DataLoader(
            windows,
            self.batch_size,
            shuffle=True,
            drop_last=len(windows) > self.batch_size,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),
        )

    def val_dataloader(self) -> Iterable[Tensor]:
        """The middle squares of the validation photographs, (b, 3, image_size, image_size)."""
        return DataLoader(self.squares("val"), batch_size=None)  # type: ignore[arg-type]  # a list is a dataset

    def squares(self, split: str, batch_size: int = 32) -> list[Tensor]:
        """The middle squares of a held split, in uint8 batches."""
        held = self.held[split]
        return [
            held.center_squares(which, self.image_size)
            for which in torch.split(torch.arange(len(held)), batch_size)
        ]

    def train_squares(self) -> Iterator[Tensor]:
        """The middle squares of all training photographs, with a progress bar: what prior and bins are
        counted on.
        """
        if "train" in self.held:
            held = self.held["train"]
            batches = torch.split(torch.arange(len(held)), 64)
            for which in with_progress(batches, "Counting colours", len(batches)):
                yield held.center_squares(which, self.image_size)
            return
        streamed = StreamedWindows(
            self.splits.train, self.image_size, self.image_size, self.max_broken, random=False
        )
        loader: DataLoader[Tensor] = DataLoader(streamed, 64, num_workers=self.workers)
        yield from with_progress(loader, "Counting colours", len(loader))

    def fingerprint(self) -> str:
        """A key of the training photographs: of their pixels where they are held, else of their names and
        sizes.
        """
        digest = hashlib.blake2b(digest_size=16)
        if "train" in self.held:
            digest.update(self.held["train"].sizes.numpy().tobytes())
            digest.update(self.held["train"].pixels.cpu().numpy().data)
            return digest.hexdigest()
        for photo in self.splits.train:
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
