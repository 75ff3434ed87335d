"""train.py's command line, called in this process."""

import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from colorize.configuration import run
from tests.runs import QUICK, ROOT

Said = tuple[int, str, str]


def test_it_trains_and_names_wrong_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *words])
        return run(), *capsys.readouterr()

    short = ["trainer.max_steps=2", "trainer.val_every_steps=2"]
    code, out, err = command(*QUICK, f"data.root={ROOT / 'data/sample'}", *short)
    assert (code, err) == (0, "")
    (weights,) = tmp_path.glob("outputs/*/*/model.safetensors")
    assert "AuC" in out
    assert str(weights) in out
    code, out, err = command("data.rooot=x")
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no setting data.rooot; data has root, val_root")
    assert len(err.splitlines()) == 1
    missing = "error: there is no nowhere; data.root takes a folder, a .txt list or .tar shards\n"
    assert command("data.root=nowhere", "hydra.run.dir=refused") == (1, "", missing)
    assert not (tmp_path / "refused").exists()
    code, out, err = command("data.root=nowhere,elsewhere", "-m", "hydra.sweep.dir=sweep")
    assert code == 1
    first, second = err.splitlines()
    assert "/sweep/0: there is no nowhere; data.root takes a folder" in first
    assert "/sweep/1: there is no elsewhere; " in second, "a job that cannot run does not end the others"
    before = command("-m", "optimizer.lr=1e-3,0", "hydra.sweep.dir=unused")
    assert before == (2, "", "error: optimizer.lr must be above 0, got 0\n")
    assert not (tmp_path / "unused").exists(), "no job begins where a value of the sweep is wrong"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    code, out, err = command("-m", "optimizer.lr=1e-3,2e-3")
    assert (code, err) == (
        2,
        "error: torchrun starts one run; for a sweep use train.py -m trainer.devices=N\n",
    )


def test_a_process_beside_the_first_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "1")
    for words in (["data.root=nowhere"], ["optimizer.lr=0"], ["-m", "optimizer.lr=1,2"]):
        monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *words])
        assert run() > 0
    assert capsys.readouterr() == ("", ""), "the first process says what is wrong"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cores", "slurm", "ray_cluster"])
def test_launchers_of_sweeps_compose(name: str) -> None:
    plugin = {"cores": "joblib", "slurm": "submitit", "ray_cluster": "ray"}[name]
    pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [f"hydra/launcher={name}"], return_hydra_config=True)
    assert plugin in cfg.hydra.launcher._target_


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("sys.argv", ["train.py", f"hydra.run.dir={tmp_path}/file/run"])
    assert run() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: hydra.run.dir: cannot write into {tmp_path}/file; give another folder"
