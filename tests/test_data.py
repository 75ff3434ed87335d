import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from colorize.data import Augment, PhotoData
from colorize.data.decoding import BrokenFiles, decode, decode_all
from colorize.data.module import make_augment
from colorize.data.sources import expand_pattern, find_photos, find_splits
from colorize.data.streaming import StreamedBatches
from colorize.data.windows import EpochOrder, HeldPhotos, HeldWindows


def save_photo(path: Path, seed: int, size: tuple[int, int] = (80, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photographs in two classes, upper-case suffixes and other files among them."""
    root = tmp_path / "photos"
    for i in range(10):
        save_photo(root / ("sea" if i % 2 else "wood") / f"{i}.{'PNG' if i == 3 else 'png'}", i)
    (root / "notes.txt").write_text("not a photograph")
    return root


@pytest.fixture
def shards(folder: Path, tmp_path: Path) -> Path:
    """The same ten photographs in two shards."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".png")
    for number, part in enumerate((files[:6], files[6:])):
        with tarfile.open(tmp_path / f"set-{number:03d}.tar", "w") as tar:
            for file in part:
                tar.add(file, arcname=file.name)
            tar.addfile(tarfile.TarInfo("readme.txt"), io.BytesIO())
    return tmp_path


def test_a_folder_is_searched_recursively_in_a_fixed_order(folder: Path) -> None:
    names = [photo.name for photo in find_photos(str(folder))]
    assert names == sorted(names)
    assert len(names) == 10


def test_shards_hold_the_same_photographs_by_brace_and_glob(folder: Path, shards: Path) -> None:
    by_brace = find_photos(f"{shards}/set-{{000..001}}.tar")
    by_glob = find_photos(f"{shards}/set-*.tar")
    assert by_brace == by_glob
    of_folder = {Path(p.name).name: p.read() for p in find_photos(str(folder))}
    assert {p.name: p.read() for p in by_brace} == of_folder
    assert [p.name for p in expand_pattern(f"{shards}/set-{{000,001}}.tar")] == ["set-000.tar", "set-001.tar"]


def test_names_with_brackets_and_braces_are_taken_literally_where_they_exist(tmp_path: Path) -> None:
    folder = tmp_path / "my[photos] {a,b}"
    for i in range(3):
        save_photo(folder / f"{i}.png", i)
    assert len(find_photos(str(folder))) == 3
    assert len(find_photos(f"{folder}/*.png")) == 3
    assert [p.name for p in find_photos(f"{folder}/{{2..1}}.png")] == ["2.png", "1.png"]
    with pytest.raises(ValueError, match=r"no file matches .*/x\*\.png"):
        find_photos(f"{folder}/x*.png")


def test_ranges_count_as_in_bash(tmp_path: Path) -> None:
    for name in ("8", "9", "10", "08", "09", "008", "009", "010"):
        (tmp_path / name).touch()
    for text, names in {
        "{8..10}": ["8", "9", "10"],
        "{10..8}": ["10", "9", "8"],
        "{08..10}": ["08", "09", "10"],
        "{010..8}": ["010", "009", "008"],
    }.items():
        assert [path.name for path in expand_pattern(f"{tmp_path}/{text}")] == names


def test_photographs_beside_a_folder_named_train_are_not_left_out_in_silence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find_splits(str(folder))
    (folder / "test").mkdir()
    save_photo(folder / "test" / "0.png", 0)
    assert capsys.readouterr().err == ""
    for i in range(3):
        save_photo(folder / "train" / f"{i}.png", i)
    assert sum(len(photos) for photos in vars(find_splits(str(folder))).values()) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "is taken as split into train/, test/; 10 photographs beside them, such as in sea, are not used"
        in line
    )
    assert f"data.root=[{folder}/train,{folder}/sea,...]" in line
    assert "data.val_root" in line


def test_a_list_file_names_paths_from_its_own_folder(folder: Path) -> None:
    listing = folder / "list.txt"
    listing.write_text("# two of them\nwood/0.png\n\nsea/1.png\n")
    assert [p.path.name for p in find_photos(str(listing))] == ["0.png", "1.png"]
    listing.write_text("wood/0.png\nmissing.png\n")
    with pytest.raises(ValueError, match=r"line 2: there is no .*missing.png"):
        find_photos(str(listing))


def test_split_is_seeded_disjoint_and_complete(folder: Path) -> None:
    one, again, other = (find_splits(str(folder), val_share=0.3, seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other
    assert (len(one.train), len(one.val), len(one.test)) == (7, 3, 0)
    assert sorted(p.name for p in one.train + one.val) == [p.name for p in find_photos(str(folder))]


def test_split_folders_are_used_and_test_is_never_trained_on(sample: Path) -> None:
    splits = find_splits(str(sample))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (56, 13, 15)
    assert all(p.path.parent.name == "test" for p in splits.test)


def test_several_roots_and_a_root_for_validation(folder: Path, shards: Path, sample: Path) -> None:
    splits = find_splits([str(folder), f"{shards}/set-000.tar"], val_root=str(sample / "val"))
    assert (len(splits.train), len(splits.val)) == (16, 13)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("nowhere", "there is no .*nowhere; data.root takes a folder"),
        ("empty", "found no photograph in .*empty; looked for"),
        ("set-{000..009}.tar", "no file matches .*set-000.tar"),
        ("broken.tar", "no readable, uncompressed .tar shard"),
        ("notes.md", "neither a folder, a .txt list, a .tar shard nor a photograph"),
    ],
)
def test_missing_and_empty_roots_are_clear_errors(tmp_path: Path, root: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.tar").write_bytes(b"x" * 2000)
    (tmp_path / "notes.md").write_text("#")
    with pytest.raises(ValueError, match=message):
        find_splits(str(tmp_path / root))


def test_broken_files_are_named_counted_and_limited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wood" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (folder / "sea" / "empty.png").write_bytes(b"")
    photos = find_photos(str(folder))
    assert len(list(decode_all(photos, 32, BrokenFiles(0.2, len(photos))))) == 10
    err = capsys.readouterr().err
    assert "broken.jpg" in err
    assert "empty.png" in err
    with pytest.raises(ValueError, match=r"2 of 12 photographs are broken, more than data.max_broken=0.1"):
        list(decode_all(photos, 32, BrokenFiles(0.1, len(photos))))


def test_one_broken_file_is_forgiven_whatever_split_it_falls_into(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"broken")
    for seed in range(6):
        data = PhotoData(str(folder), val_share=0.3, image_size=32, seed=seed)
        data.setup()
        assert len(data.held["train"]) + len(data.held["val"]) == 10


def test_hidden_files_and_empty_roots(folder: Path) -> None:
    (folder / "._0.png").write_bytes(b"what some systems leave beside a picture")
    assert len(find_photos(str(folder))) == 10
    for root in ("", [], [str(folder), ""]):
        with pytest.raises(ValueError, match=r"data\.root is empty"):
            find_splits(root)


def test_decoding_scales_the_shorter_side(folder: Path) -> None:
    photo = decode(find_photos(str(folder))[0], 32)
    assert photo.shape == (3, 40, 32)
    assert photo.dtype == torch.uint8


def held(*sizes: tuple[int, int]) -> tuple[HeldPhotos, list[torch.Tensor]]:
    photos = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    return HeldPhotos(photos), photos


def test_windows_are_exact_cuts() -> None:
    store, photos = held((20, 30), (16, 16), (40, 12))
    cut = store.cut(torch.tensor([2, 0]), torch.tensor([5, 3]), torch.tensor([1, 7]), 8)
    assert (cut[0] == photos[2][:, 5:13, 1:9]).all()
    assert (cut[1] == photos[0][:, 3:11, 7:15]).all()


def test_small_photographs_go_on_mirrored() -> None:
    store, photos = held((4, 6))
    cut = store.center_squares(torch.tensor([0]), 8)[0]
    expected = np.pad(photos[0].numpy(), ((0, 0), (2, 2), (1, 1)), mode="reflect")
    assert (cut.numpy() == expected).all()


def test_an_epoch_shows_every_photograph_once_and_depends_on_seed_and_epoch_alone() -> None:
    photos = [torch.full((3, 10, 12), i, dtype=torch.uint8) for i in range(23)]
    batches = HeldWindows(HeldPhotos(photos), EpochOrder(23, batch_size=4, seed=5), side=6)
    first = torch.cat(list(batches))
    shown = first[:, 0, 0, 0].tolist()
    assert len(batches) == 5
    assert len(set(shown)) == len(shown) == 20, "23 photographs make five whole batches, none twice"
    second = torch.cat(list(batches))
    assert second[:, 0, 0, 0].tolist() != shown
    resumed = HeldWindows(HeldPhotos(photos), EpochOrder(23, batch_size=4, seed=5, epoch=1), side=6)
    assert (torch.cat(list(resumed)) == second).all()


def test_ranks_share_an_epoch_without_overlap() -> None:
    shown = [torch.cat([which for which, _ in EpochOrder(24, 4, rank=rank, world_size=2)]) for rank in (0, 1)]
    assert sorted(torch.cat(shown).tolist()) == list(range(24))


def test_windows_reach_every_position() -> None:
    ramp = torch.arange(10 * 10, dtype=torch.uint8).view(1, 10, 10).expand(3, 10, 10).contiguous()
    batches = HeldWindows(HeldPhotos([ramp]), EpochOrder(1, 50, repeats=200), 8)
    corners = {int(w[0, 0, 0]) for batch in batches for w in batch}
    assert corners == {10 * y + x for y in range(3) for x in range(3)}


def streamed(folder: Path, workers: int, max_broken: float, **options: object) -> PhotoData:
    data = PhotoData(
        str(folder), val_share=0.2, image_size=32, window=24, batch_size=4, memory_gb=0, workers=workers,
        max_broken=max_broken, **options,
    )  # fmt: skip
    data.setup()
    assert not data.held, "validation photographs are in the budget too"
    return data


@pytest.mark.filterwarnings(
    "ignore:This DataLoader will create:UserWarning"
)  # more workers than CPUs, on purpose
@pytest.mark.parametrize("workers", [0, 3])
def test_broken_files_are_counted_over_all_workers_passes_and_splits(
    folder: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for i in range(6):
        (folder / f"broken{i}.png").write_bytes(b"no picture")
    data = streamed(folder, workers, max_broken=6 / 16)
    for _ in range(2):
        batches = [*data.train_dataloader(), *data.train_squares(), *data.squares("val")]
        assert {tuple(batch.shape[2:]) for batch in batches} == {(24, 24), (32, 32)}
    assert len(data.broken.found) == 6
    err = capfd.readouterr().err.splitlines()
    assert sorted(line.split(": ")[0] for line in err) == [
        f"skipped {folder}/broken{i}.png" for i in range(6)
    ]

    data = streamed(folder, workers, max_broken=5 / 16)
    with pytest.raises(
        ValueError, match=r"^6 of 16 photographs are broken, more than data\.max_broken=0\.3125"
    ):
        list(data.squares("train")), list(data.squares("val"))
    assert len(capfd.readouterr().err.splitlines()) == 6


def test_when_all_streamed_photographs_are_broken_the_first_ones_end_it(tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    photos = find_photos(str(tmp_path))
    order = EpochOrder(200, 4)
    with pytest.raises(ValueError, match="3 of 200 photographs are broken"):
        list(StreamedBatches(photos, order, 32, 24, BrokenFiles(0.01, 200), workers=0))
    with pytest.raises(ValueError, match="none of the 200 photographs could be read"):
        list(StreamedBatches(photos, order, 32, 24, BrokenFiles(1.0, 200), workers=0))


def test_memory_is_given_to_validation_first(folder: Path) -> None:
    def held(memory_gb: float) -> list[str]:
        data = PhotoData(str(folder), val_share=0.2, image_size=32, memory_gb=memory_gb, workers=0)
        data.setup()
        return list(data.held)

    photo = 32 * 32 * 4 / 2**30
    assert held(10.5 * photo) == ["val", "train"]
    assert held(9.5 * photo) == ["val"]
    assert held(1.5 * photo) == []


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_streamed_and_held_windows_are_the_same(folder: Path) -> None:
    """Whichever and how many processes decode."""
    in_memory = PhotoData(str(folder), val_share=0.2, image_size=32, window=24, batch_size=4)
    in_memory.setup()
    for workers in (0, 2):
        data = streamed(folder, workers, max_broken=0.01)
        for ours, theirs in (
            (data.train_dataloader(), in_memory.train_dataloader()),
            (data.train_squares(), in_memory.train_squares()),
            (data.squares("val"), in_memory.squares("val")),
        ):
            assert (torch.cat(list(ours)) == torch.cat(list(theirs))).all()
    assert in_memory.fingerprint() != data.fingerprint()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts peaks of memory")
def test_holding_photographs_needs_their_memory_once() -> None:
    def peak_mb() -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak_mb()
    held = HeldPhotos(torch.full((3, 64, 85), i % 256, dtype=torch.uint8) for i in range(10_000))
    size = held.pixels.numel() / 2**20
    assert size > 150
    assert peak_mb() - before < 1.25 * size


def test_workers_are_as_many_as_cpus_that_may_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert PhotoData(str(folder)).workers == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert PhotoData(str(folder)).workers == 64


def test_fingerprint_follows_the_pixels(folder: Path, tmp_path: Path) -> None:
    def fingerprint(root: Path) -> str:
        data = PhotoData(str(root), val_share=0.2, image_size=32)
        data.setup()
        return data.fingerprint()

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert fingerprint(folder) == fingerprint(copy)
    for photo in find_splits(str(copy), val_share=0.2).train[:1]:
        save_photo(photo.path, 99)
    assert fingerprint(folder) != fingerprint(copy)


def test_augmentation_off_is_the_photograph_itself() -> None:
    batch = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    off = Augment()
    assert off.source_side(16) == 16
    assert (off.geometry(batch, 16) == batch.float() / 255).all()
    lightness = torch.rand(3, 1, 16, 16) * 100
    assert off.age(lightness) is lightness


def test_flip_and_quarter_turns_are_exact() -> None:
    batch = torch.randint(0, 256, (64, 3, 9, 9), dtype=torch.uint8)
    x = batch.float() / 255
    assert (Augment(flip=1.0).geometry(batch, 9) == x.flip(-1)).all()
    turned = Augment(rotate90=1.0).geometry(batch, 9)
    kinds = {
        k
        for photo, out in zip(x, turned, strict=True)
        for k in range(4)
        if torch.equal(out, torch.rot90(photo, k, (1, 2)))
    }
    assert kinds == {1, 2, 3}
    share = (
        (Augment(flip=0.5).geometry(batch.repeat(20, 1, 1, 1), 9) != x.repeat(20, 1, 1, 1)).flatten(1).any(1)
    )
    assert share.float().mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "setting", [{"scale": 0.5}, {"translate": 0.3}, {"rotate": 30}, {"scale": 0.3, "rotate": 10}]
)
def test_warps_look_at_real_pixels_and_at_the_middle(setting: dict[str, float]) -> None:
    augment = make_augment(setting)
    side = augment.source_side(32)
    ramp = torch.linspace(20, 230, side).expand(8, 3, side, side).contiguous().byte()
    out = augment.geometry(ramp, 32)
    assert out.shape == (8, 3, 32, 32)
    assert len({round(float(o[0, 0, 0]), 4) for o in out}) > 1, "each window has its own"
    # A linear ramp stays linear under scale, shift and rotation unless mirrored pixels were looked at.
    bend = out.diff(dim=-1).diff(dim=-1).abs().amax()
    assert bend < 0.02


def test_ageing_changes_lightness_within_range_and_as_set() -> None:
    lightness = torch.rand(64, 1, 32, 32) * 100
    for setting in ({"gamma": 0.5}, {"contrast": 0.5}, {"grain": 8}, {"blur": 1.5}):
        aged = make_augment(setting).age(lightness)
        assert aged.min() >= 0
        assert aged.max() <= 100
        assert (aged != lightness).flatten(1).any(1).float().mean() > 0.8, setting
    flat = torch.full((256, 1, 32, 32), 50.0)
    assert make_augment({"blur": 2}).age(flat).sub(50).abs().max() < 1e-3
    assert make_augment({"contrast": 0.5}).age(flat).sub(50).abs().max() < 1e-3
    grain = make_augment({"grain": 8}).age(flat).flatten(1).std(dim=1)
    assert grain.max().item() == pytest.approx(8, rel=0.15)
    assert grain.mean().item() == pytest.approx(4, rel=0.15)


def test_gaussian_blur_equals_scipy() -> None:
    from scipy.ndimage import gaussian_filter

    from colorize.data.augment import _gaussian_blur

    x = torch.rand(2, 1, 24, 24)
    ours = _gaussian_blur(x, torch.tensor([0.8, 1.4]), radius=6)
    for picture, out, sigma in zip(x, ours, (0.8, 1.4), strict=True):
        expected = gaussian_filter(picture[0].numpy(), sigma, mode="nearest", radius=6)
        np.testing.assert_allclose(out[0].numpy(), expected, atol=1e-5)


def test_wrong_augmentation_is_named() -> None:
    with pytest.raises(ValueError, match=r"augment has no setting flipp; it has flip, scale"):
        make_augment({"flipp": 1.0})
    with pytest.raises(ValueError, match=r"augment.flip must be in \[0, 1\]"):
        Augment(flip=2.0)
    with pytest.raises(ValueError, match=r"augment.grain must be 0"):
        Augment(grain=-1.0)
