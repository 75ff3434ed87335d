"""Shapes in the package's type hints are checked at every call while tests run."""

import gzip
import io
import os
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  the hook looks it up by name
from tests.photos import save_photo

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # share the cores, with subprocesses as well
    threads = max(1, (os.cpu_count() or 1) // int(workers))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported: its kernels then run on the CPU

_hook = install_import_hook("colorize", "tests.typecheck.check")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def sample() -> Path:
    """The sample photographs, split into train/, val/ and test/."""
    return ROOT / "data" / "sample"


@pytest.fixture(autouse=True)
def _alike() -> Iterator[None]:
    """Each test begins with the same seed and as many threads: more than cores make all that follows slow."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["compiled", "not compiled"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled passes, and as where there is no compiler."""
    from colorize import compiled

    if request.param == "not compiled":
        monkeypatch.setattr(compiled, "passes", None)
    elif compiled.passes is None:
        pytest.skip("no C compiler was found to install with")


@pytest.fixture(scope="session")
def frozen_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where tests/frozen.py keeps its files: one folder for all processes of a test run."""
    from tests import frozen  # not before the hook is in place

    own = tmp_path_factory.getbasetemp()
    frozen.folder = own.parent if workers else own


@pytest.fixture
def rgb_cube() -> torch.Tensor:
    """33^3 sRGB colours on a regular grid, as a picture (1, 3, 33 * 33, 33)."""
    levels = torch.linspace(0, 1, 33)
    return torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 33 * 33, 33)


def idx(folder: Path, name: str, values: torch.Tensor) -> None:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    (folder / f"{name}.gz").write_bytes(gzip.compress(header + bytes(values.flatten().tolist())))


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder like MNIST's, with a bright row for each of ten digits."""
    generator = torch.Generator().manual_seed(0)
    for split, n in (("train", 400), ("t10k", 100)):
        labels = torch.randint(10, (n,), generator=generator)
        images = torch.randint(60, (n, 28, 28), generator=generator)
        images[torch.arange(n), 2 * labels + 4] += 120
        idx(tmp_path, f"{split}-images-idx3-ubyte", images)
        idx(tmp_path, f"{split}-labels-idx1-ubyte", labels)
    return tmp_path


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.pictures import tiny_colorizer  # not before the hook is in place

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    tiny_colorizer().save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder: x/a.jpg, y/a.jpg, y/A.jpg, a.gif, a.png, done.jpg and done-color.jpg."""
    from tests.pictures import good_files

    monkeypatch.chdir(tmp_path)
    files = good_files()
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Path(folder, "a.jpg").write_bytes(files["rgb.jpg"])
    for name in ("y/A.jpg", "a.gif", "a.png", "done.jpg", "done-color.jpg"):
        kind = {".jpg": "rgb.jpg", ".gif": "palette.gif", ".png": "rgb.png"}[Path(name).suffix]
        Path(name).write_bytes(files[kind])
    return tmp_path


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
