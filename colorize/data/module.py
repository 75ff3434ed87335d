"""The Lightning data module: photographs in, uint8 windows out, from memory where they fit and from disk
otherwise.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from colorize.data import kept
from colorize.data.augment import Augment
from colorize.data.decoding import BrokenFiles, available_cpus, with_progress
from colorize.data.held import HeldPhotos
from colorize.data.sources import find_splits
from colorize.data.streaming import StreamedBatches, read_ahead, squares_of
from colorize.data.windows import EpochOrder, HeldSquares, HeldWindows
from colorize.ranges import check_values

DEVICE_SHARE = 0.25  # of a GPU's free memory, which photographs may take without being told to


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
        cache: "ram" decodes all photographs once and holds them as uint8 in memory, "device" the training
            ones on the device that trains, "none" decodes them each time they are needed. "auto" holds
            validation, test and training photographs, in this order, as far as `memory_gb` goes, the training
            ones on a GPU of which they take at most a quarter of the free memory.
        memory_gb: what "auto" may hold, by an estimate that takes photographs as 4:3.
        disk_copy: whether held photographs are kept decoded in `cache_dir` too, for the next run.
        disk_gb: what all such sets in `cache_dir` may take; those used longest ago are removed, but never
            this one.
        max_broken: share of broken files above which training stops.
        workers: processes that decode where photographs are not held; null for one a CPU.
        shuffle_block: for shards on disks that are slow at random access, where photographs are not held: how
            many photographs that lie behind each other stay together, see `windows.EpochOrder`; 0 shuffles
            all.
        augment: settings of `Augment`.
        seed: of the split and of the windows.
        cache_dir: folder of decoded photographs and of the indexes of shards; null to keep neither.

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
        cache: str = "auto",
        memory_gb: float = 4.0,
        disk_copy: bool = True,
        disk_gb: float = 20.0,
        max_broken: float = 0.01,
        workers: int | None = None,
        shuffle_block: int = 0,
        augment: Mapping[str, float] | None = None,
        seed: int = 0,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__()
        limits = {"memory_gb": memory_gb, "disk_gb": disk_gb, "max_broken": max_broken}
        choices = {"workers": workers, "cache": cache}
        sizes = {"image_size": image_size, "window": window, "batch_size": batch_size}
        counts = {"windows_per_photo": windows_per_photo, "shuffle_block": shuffle_block}
        check_values({**sizes, **counts, **limits, **choices}, "data.")
        self.image_size, self.window, self.batch_size = image_size, window, batch_size
        self.windows_per_photo, self.shuffle_block = windows_per_photo, shuffle_block
        self.cache, self.memory_gb, self.max_broken = cache, memory_gb, max_broken
        self.workers = available_cpus() if workers is None else workers
        self.augment = make_augment(augment or {})
        self.seed = seed
        folder = None if cache_dir is None else Path(cache_dir)
        self.copies, self.disk_gb = folder if disk_copy else None, disk_gb
        self.splits = find_splits(root, val_root, val_share, seed, folder)
        self.broken = BrokenFiles(max_broken, sum(len(photos) for photos in vars(self.splits).values()))
        self.held: dict[str, HeldPhotos] = {}
        self.order: EpochOrder | None = None
        self.resumed: dict[str, Any] = {}

    def setup(self, stage: str | None = None) -> None:
        """Decode what memory holds, once: what every validation needs before what an epoch needs."""
        if self.held:
            return
        names = self._to_hold()
        # All in one order that no split changes: a run with another seed finds the same copy on disk.
        photos = sorted(
            (p for name in names for p in getattr(self.splits, name)), key=lambda p: (p.path, p.offset)
        )
        if not photos:
            return
        most = self.disk_gb * 2**30
        everything = kept.hold(photos, self.image_size, self.broken, self.copies, most)
        whole = [photo for photo in photos if photo not in self.broken.found]
        place = {photo: i for i, photo in enumerate(whole)}
        for name in names:
            which = [place[photo] for photo in getattr(self.splits, name) if photo in place]
            if not which:
                raise ValueError(
                    f"none of the {len(getattr(self.splits, name))} {name} photographs could be read"
                )
            self.held[name] = everything.select(which)

    def _to_hold(self) -> list[str]:
        """The splits to hold."""
        room = {"auto": self.memory_gb * 2**30, "none": 0.0}.get(self.cache, float("inf"))
        names = []
        for name in ("val", "test", "train"):
            photos = getattr(self.splits, name)
            estimate = len(photos) * 3 * self.image_size**2 * 4 / 3  # taken as 4:3 pictures
            if photos and estimate < room:
                room -= estimate
                names.append(name)
        return names

    def train_dataloader(self) -> Iterable[Tensor]:
        """Random windows, large enough for the augmentation to turn and scale them."""
        side = self.augment.source_side(self.window)
        photos = self.splits.train
        held = self.held.get("train")
        count = len(photos) if held is None else len(held)
        self.order = EpochOrder(
            count, min(self.batch_size, count), self.windows_per_photo, self.seed,
            epoch=self.trainer.current_epoch if self.trainer else 0,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            block=self.shuffle_block if held is None else 0, ahead=lambda which: read_ahead(photos, which),
        )  # fmt: skip
        self._go_on(self.order)
        if held is None:
            return StreamedBatches(
                photos, self.order, self.image_size, side, self.broken, self.workers, persistent=True
            )
        return HeldWindows(self._placed(held), self.order, side)

    def _placed(self, held: HeldPhotos) -> HeldPhotos:
        """Photographs where batches are to be cut from them."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if self.cache == "device" or (
            self.cache == "auto"
            and device.type == "cuda"
            and held.pixels.numel() < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]
        ):
            return held.to(device)
        held.pinned = device.type == "cuda"
        return held

    def state_dict(self) -> dict[str, Any]:
        """How far the epoch is, for a checkpoint: a resumed run goes on with what it has not yet shown."""
        if self.order is None:
            return {}
        return {
            "epoch": self.order.epoch,
            "batches": self.order.shown,
            "order": self._order_of(self.order),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` said."""
        self.resumed = state_dict

    def _go_on(self, order: EpochOrder) -> None:
        """Begin where the checkpoint ended, if there is one."""
        if not self.resumed:
            return
        order.epoch = self.resumed["epoch"]
        if self.resumed["order"] == self._order_of(order):
            order.shown = self.resumed["batches"]
        elif self.resumed["batches"]:
            print(
                "warning: the run before ended within an epoch and had other photographs, batches or "
                "devices; this run begins an epoch anew, in which some photographs are shown again",
                file=sys.stderr,
            )
        self.resumed = {}

    def _order_of(self, order: EpochOrder) -> list[int]:
        """What the order of an epoch depends on, beside the epoch."""
        sizes = [order.photos, order.repeats, order.batch_size, order.world_size, order.block]
        return [*sizes, self.seed]

    def val_dataloader(self) -> Iterable[Tensor]:
        """The middle squares of the validation photographs, (b, 3, image_size, image_size)."""
        return self.squares("val")

    def squares(self, split: str, batch_size: int = 32) -> HeldSquares | StreamedBatches:
        """The middle squares of a split in uint8 batches (b, 3, image_size, image_size)."""
        if split in self.held:
            return HeldSquares(self.held[split], batch_size, self.image_size)
        photos = getattr(self.splits, split)
        return squares_of(photos, self.image_size, self.broken, self.workers, batch_size)

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
        if split in self.held:
            digests = self.held[split].digests.numpy().tobytes()
            return hashlib.blake2b(digests, digest_size=16).hexdigest()
        return kept.key(getattr(self.splits, split))


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
