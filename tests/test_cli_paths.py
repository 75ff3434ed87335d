from pathlib import Path

import pytest

from colorize.cli import WRONG_OPTION, main
from tests.photos import save_photo


@pytest.mark.parametrize("words", [[""], ["a.png", ""], ["a.png", "-o", ""], ["a.png", "--output="]])
def test_an_empty_path_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_photo(tmp_path / "a.png", 1)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == WRONG_OPTION
    assert capsys.readouterr().err.endswith("expected a path, got an empty text\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
