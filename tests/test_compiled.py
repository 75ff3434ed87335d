"""The compiled passes: there where they can be, equal to what they replace, and inside their arrays."""

import shutil
import sysconfig
from typing import Any

import numpy as np
import pytest

from colorize import compiled, joining
from tests.pictures import photo

passes: Any = compiled.passes


def test_they_are_there_where_a_compiler_is() -> None:
    if shutil.which(str(sysconfig.get_config_var("CC")).split()[0]) is None:
        pytest.skip("no C compiler here")
    assert passes is not None, "python -m pip install -e . compiles them"


@pytest.mark.skipif(passes is None, reason="no C compiler was found to install with")
def test_joining_equals_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for one row or column, channels in another order, and a part of a larger array."""
    big = photo(300, 400)
    for rgb in (big, big[:1, :1], big[:, 7:8], big[5:6], big[:, :, ::-1], big[::-1, ::2], big[3:, 5:]):
        ab = np.random.default_rng(1).normal(0, 40, (2, 6, 8)).astype(np.float32)
        step = (6 / rgb.shape[0], 8 / rgb.shape[1])
        result = joining.join(rgb, ab, step)
        with monkeypatch.context() as without:
            without.setattr(compiled, "passes", None)
            expected = joining.join(rgb, ab, step)
        different = np.abs(result.astype(int) - expected)
        assert different.max() <= 1
        assert (different > 0).mean() < 1e-3


@pytest.mark.skipif(passes is None, reason="no C compiler was found to install with")
def test_what_would_leave_its_arrays_is_refused() -> None:
    f4, u1 = np.float32, np.uint8
    right: list[Any] = [
        np.zeros((4, 5, 3), u1), np.zeros((3, 256), f4), np.zeros((2, 6, 5), f4), np.zeros(4, np.int32),
        np.zeros((4, 2), f4), np.zeros((3, 3), f4), np.zeros(65536, u1), np.zeros(6, f4),
        np.zeros((4, 5, 3), u1),
    ]  # fmt: skip
    passes.join(*right)
    wrong = {
        0: np.zeros((3, 5, 3), u1), 1: np.zeros((2, 256), f4), 2: np.zeros((2, 6, 4), f4),
        3: np.full(4, 2**31 - 1, np.int32), 4: np.zeros((4, 7), f4), 5: np.zeros((2, 3), f4),
        6: np.zeros(65535, u1), 7: np.zeros(5, f4), 8: np.zeros((4, 4, 3), u1),
    }  # fmt: skip
    for at, array in wrong.items():
        with pytest.raises(ValueError, match="do not go together"):
            passes.join(*right[:at], array, *right[at + 1 :])
    with pytest.raises(ValueError, match="expected 2 axes of numbers of kind f, got 2 of d"):
        passes.join(right[0], np.zeros((3, 256)), *right[2:])
    with pytest.raises(ValueError, match="expected 1 axes of numbers of kind i, got 1 of f"):
        passes.join(*right[:3], np.zeros(4, f4), *right[4:])
    with pytest.raises(
        ValueError, match="do not go together"
    ):  # the last coarse row but one is the last to begin with
        passes.join(*right[:3], np.full(4, 5, np.int32), *right[4:])
    planes, lab = np.zeros((2, 3, 7), f4), np.zeros((2, 3, 7), f4)
    passes.rgb_to_lab(planes, right[5], right[7], lab, 0, 7)
    for first, last, out in ((-1, 7, lab), (0, 8, lab), (0, -1, lab), (5, 4, lab), (0, 7, lab[:1])):
        with pytest.raises(ValueError, match="do not go together"):
            passes.rgb_to_lab(planes, right[5], right[7], out, first, last)
    with pytest.raises(ValueError, match="do not go together"):
        passes.rgb_to_lab(planes.reshape(3, 2, 7), right[5], right[7], lab, 0, 7)
    for side, shape in ((0, (4, 5, 3)), (2, (2, 2, 3)), (2, (2, 3, 1)), (5000, (1, 1, 3))):
        with pytest.raises(ValueError, match="do not go together"):
            passes.box_means(right[0], side, np.zeros(shape, u1))
