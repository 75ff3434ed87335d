import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorize import arrays, images, pipeline
from colorize.colorizer import Colorizer
from colorize.images import Picture
from colorize.pipeline import Outcome, Settings, color_files
from colorize.targets import Job
from tests.pictures import photo, pillow_bytes, tiff_bytes, tiny_colorizer


class _Batched(Colorizer):
    """One that wants its pictures together, as on a GPU, and records how many it was given at a time."""

    batch = 3

    def __init__(self) -> None:
        tiny = tiny_colorizer()
        super().__init__(tiny.network, tiny.bins, name="conv8")
        self.sizes: list[int] = []
        self.go = threading.Event()

    def small_ab(self, small: np.ndarray, *settings: float | None) -> np.ndarray:
        self.sizes.append(len(small))
        assert self.go.wait(60)
        return super().small_ab(small, *settings)


def _wait(condition: object) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never came to that")


def test_pictures_of_one_size_share_a_batch_and_nothing_else() -> None:
    colorizer = _Batched()
    together = pipeline._Together(colorizer, Settings())
    small = [arrays.small(np.roll(photo(), 9 * i, axis=1), 32) for i in range(5)]
    small.append(np.ascontiguousarray(small[0].swapaxes(0, 1)))
    with ThreadPoolExecutor(len(small)) as pool:
        results = [pool.submit(together, small[0])]
        _wait(lambda: colorizer.sizes)  # the first is in the network, and the others come meanwhile
        results += [pool.submit(together, picture) for picture in small[1:]]
        _wait(lambda: len(together._waiting) == 5)
        colorizer.go.set()
    assert colorizer.sizes[0] == 1
    assert sorted(colorizer.sizes) == [1, 1, 1, 3]
    for picture, result in zip(small, results, strict=True):
        alone = Colorizer.small_ab(colorizer, picture[None])[0]
        np.testing.assert_allclose(result.result(), alone, atol=1e-3)


def test_an_error_in_the_network_reaches_all_of_the_batch() -> None:
    colorizer = _Batched()
    together = pipeline._Together(colorizer, Settings(temperature=-1.0))
    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(together, arrays.small(photo(), 32)) for _ in range(3)]
        _wait(lambda: colorizer.sizes and len(together._waiting) == 2)
        colorizer.go.set()
    for result in results:
        with pytest.raises(ValueError, match="temperature must be"):
            result.result()


def test_results_depend_on_neither_batches_nor_threads(tmp_path: Path) -> None:
    jobs = []
    for i in range(7):
        source = tmp_path / f"{i}.png"
        images.write(source, Picture(np.roll(photo(60 + i // 5, 80), 11 * i, axis=1)))
        jobs.append(Job(source, tmp_path / f"{i}-color.png"))
    batched = _Batched()
    batched.go.set()
    pictures = {}
    ways = {"alone": (tiny_colorizer(), 1), "side": (tiny_colorizer(), 4), "batch": (batched, 4)}
    for name, (colorizer, threads) in ways.items():
        outcomes = list(color_files(jobs, lambda c=colorizer: c, Settings(), threads))
        assert outcomes == [Outcome(job) for job in jobs]
        pictures[name] = np.concatenate([images.read(job.target).rgb for job in jobs]).astype(int)
    np.testing.assert_array_equal(pictures["side"], pictures["alone"])
    assert np.abs(pictures["batch"] - pictures["alone"]).max() <= 1
    assert sum(batched.sizes) == 7


def test_large_pictures_come_one_by_one() -> None:
    memory = pipeline._Memory(100)
    inside, most = [], []

    def visit(pixels: int) -> None:
        with memory.room(pixels):
            inside.append(pixels)
            most.append(sum(inside))
            time.sleep(0.002)
            inside.remove(pixels)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(visit, [40, 30, 50, 500, 60, 100, 20, 70] * 3))
    assert max(m for m in most if m != 500) <= 100
    assert most.count(500) == 3


def test_pixels_of_a_file(tmp_path: Path) -> None:
    files = {
        "a.jpg": pillow_bytes(Image.fromarray(photo(30, 50)), "JPEG"),
        "b.tif": tiff_bytes(np.zeros((30, 50, 3), np.uint16), photometric="rgb"),
        "c.png": b"broken",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert images.pixel_count(tmp_path / "a.jpg") == 1500
    assert images.pixel_count(tmp_path / "b.tif") >= 1500
    assert images.pixel_count(tmp_path / "c.png") == images.pixel_count(tmp_path / "none.png") == 0


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".tif", "16.tif", ".png"])
def test_more_than_one_frame_is_said(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.roll(photo(), i, axis=0)) for i in range(3)]
    source = tmp_path / f"a{suffix}"
    if suffix == "16.tif":
        source.write_bytes(tiff_bytes(np.zeros((3, 20, 30, 3), np.uint16), photometric="rgb"))
    else:
        frames[0].save(source, save_all=True, append_images=frames[1:], lossless=True)
    tiff = suffix.endswith(".tif")
    job = Job(source, tmp_path / f"a-color{'.tif' if tiff else '.png'}")
    (outcome,) = color_files([job], tiny_colorizer, Settings(), 1)
    note = f"{source}: coloured the first of 3 {'pages' if tiff else 'frames'}"
    assert outcome == Outcome(job, note=note)
    first = images.read(job.target)
    assert first.frames == 1
