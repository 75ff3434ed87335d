"""From the command line to a training run, with wrong keys and values turned into one clear line each."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import CompactHydraException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from colorize.errors import one_line
from colorize.ranges import check_value
from colorize.ranks import RUN_DIR, is_first, under_torchrun

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MAY_BE_NULL = (
    "data.val_root",
    "data.workers",
    "loss.prior",
    "trainer.gradient_clip_val",
    "trainer.max_epochs",
    "trainer.max_minutes",
    "trainer.max_steps",
    "trainer.resume",
    "trainer.save_every_minutes",
)  # also where an experiment gives them a value; settings that are null may be anything


def run() -> int:
    """Run train.py's command line; 0, or 2 for a wrong setting, or 1 for what went wrong later."""
    flags = [word for word in sys.argv[1:] if word.startswith("-")]
    sweep = bool({"-m", "--multirun"} & set(flags))
    words = [quoted_path(word, sweep) for word in sys.argv[1:]]
    sys.argv[1:] = sorted(words, key=lambda word: not word.startswith("-"))  # Hydra wants no flag in between
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if not is_first():
        return _run_beside(words, sweep)
    if not {"--help", "-h", "--hydra-help", "--version"} & set(flags):
        try:
            if bare := [word for word in words if "=" not in word and not word.startswith("~")]:
                raise ValueError(f"settings are key=value; got {bare[0]!r}")
            check_overrides(words)
            _check_folder(words, "hydra.sweep.dir" if sweep else "hydra.run.dir")
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    if sweep and under_torchrun():
        print(
            "error: torchrun starts one run; for a sweep use train.py -m trainer.devices=N", file=sys.stderr
        )
        return 2
    codes, here = [], os.getpid()

    @hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
    def job(cfg: DictConfig) -> None:
        code = _train(cfg)
        if os.getpid() == here:
            codes.append(code)  # no exception: it would end a sweep before its other jobs
        elif code:  # elsewhere nothing but an exception reaches the process that waits for it
            raise CompactHydraException(f"a job of the sweep failed: {HydraConfig.get().runtime.output_dir}")

    job()
    return max(codes, default=0)


def _check_folder(words: Sequence[str], key: str) -> None:
    """Refuse a folder that cannot be made: Hydra makes it before `job`, and would end in a traceback."""
    (text,) = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")][-1:] or ["outputs"]
    folder = Path(text.strip("'\""))
    if "${" not in text:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise ValueError(f"{key}: cannot write into {there}; give another folder")


def _run_beside(words: Sequence[str], sweep: bool) -> int:
    """Run in a process that is not the first of its run: Hydra would make another folder, so it is left
    out.
    """
    if (folder := os.environ.get(RUN_DIR)) is not None:
        cfg = cast(DictConfig, OmegaConf.load(Path(folder) / "config.yaml"))
    elif sweep:
        return 2  # the first process says why
    else:
        try:
            check_overrides(words)
        except ValueError:
            return 2  # likewise
        cfg = compose_config([word for word in words if not word.startswith("hydra")])
        folder = os.devnull  # where the first process writes is nothing that this one needs
    return _caught(cfg, Path(folder))


def _train(cfg: DictConfig) -> int:
    hydra_cfg = HydraConfig.get()
    folder = Path(hydra_cfg.runtime.output_dir)
    code = _caught(cfg, folder, f" in {folder}" if hydra_cfg.mode == RunMode.MULTIRUN else "")
    if code and [path.name for path in folder.iterdir()] == [".hydra"]:  # refused before it began
        shutil.rmtree(folder)
    return code


def _caught(cfg: DictConfig, run_dir: Path, where: str = "") -> int:
    # Behind the checks: Lightning takes seconds to import.
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from colorize.training import train

    try:
        train(cfg, run_dir)
    except (ValueError, OSError, MisconfigurationException, UnpicklingError) as error:
        if is_first():
            print(f"error{where}: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    return 0


def quoted_path(word: str, sweep: bool = False) -> str:
    """Quote the paths of data.root=... for Hydra, whose grammar has other uses for braces, spaces and so on.

    Args:
        word: of the command line; any but data.root= and data.val_root= comes back as it is.
        sweep: whether commas separate the values of a sweep, so that only braces need quotes.
    """
    key, equals, value = word.partition("=")
    if key not in ("data.root", "data.val_root") or not equals or value[:1] in ("", "'", '"'):
        return word
    if value.startswith("[") and value.endswith("]"):
        parts = re.split(r",(?![^{]*\})", value[1:-1])  # commas that are not inside braces
        return f"{key}=[{','.join(_quoted(part.strip()) for part in parts)}]"
    if value == "null" or (sweep and "{" not in value):
        return word
    return f"{key}={_quoted(value)}"


def _quoted(path: str) -> str:
    if path[:1] in ("'", '"'):
        return path
    escaped = path.replace("'", r"\'")
    return f"'{escaped}'"


def check_overrides(words: Sequence[str], config: str = "train") -> None:
    """Check `key=value` words against the composed defaults of configs/`config`.yaml.

    Raises:
        ValueError: naming the first unknown key, group file or ill-typed value, and what is valid instead.
    """
    try:
        overrides = OverridesParser.create().parse_overrides(list(words))
    except HydraException as error:
        raise ValueError(_parse_error(words, str(error).splitlines()[0])) from error
    groups = {
        path.name: sorted(file.stem for file in path.glob("*.yaml"))
        for path in CONFIGS.iterdir()
        if path.is_dir()
    }
    choices = []
    for override in overrides:
        if override.key_or_group in groups:
            for value in _values(override):
                optional = override.key_or_group == "experiment"
                if value not in groups[override.key_or_group] and not (optional and value is None):
                    valid = ", ".join(groups[override.key_or_group])
                    raise ValueError(f"there is no {override.key_or_group}={value}; choose one of {valid}")
            if not override.is_sweep_override():
                choices.append(override.input_line or "")
    cfg = compose_config(choices, config)
    for override in overrides:
        key = override.key_or_group
        if key in groups or key.startswith("hydra"):
            continue
        if not override.is_delete():
            _check_key(cfg, key, override)
        elif not key.startswith("data.augment."):
            raise ValueError(f"{key} cannot be taken out; give it a value")


def _parse_error(words: Sequence[str], message: str) -> str:
    for word in words:
        key, _, value = word.partition("=")
        if entry := re.search(r"[\[,]\s*([^'\"\[\],=]+=[^'\"\[\],]*)", value):
            return f"{key}: entries with = need quotes, also from the shell: \"{key}=['{entry[1]}']\""
    return message


def compose_config(overrides: Sequence[str] = (), config: str = "train") -> DictConfig:
    """The composed configuration, as train.py (or the script of another `config`) would see it.

    Raises:
        ValueError: if the overrides do not compose.
    """
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return compose(config, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check_key(cfg: DictConfig, key: str, override: Override) -> None:
    node: Any = cfg
    path = key.split(".")
    for depth, name in enumerate(path):
        if not isinstance(node, DictConfig) or name not in node:
            where = ".".join(path[:depth])
            valid = ", ".join(str(k) for k in node) if isinstance(node, DictConfig) else "no keys"
            raise ValueError(f"there is no setting {key}; {where or 'the top level'} has {valid}")
        node = OmegaConf.select(node, name)
    for value in _values(override):
        if not _fits(value, node, key):
            raise ValueError(f"{key} takes {_kind(node)}, such as {_example(node)}; got {value!r}")
        check_value(key, value)


def _values(override: Override) -> list[Any]:
    if override.is_choice_sweep():
        return list(override.sweep_iterator())
    if override.is_sweep_override():
        return []
    return [override.value()]


def _fits(value: Any, default: Any, key: str) -> bool:
    """Whether a value has the type of the default it replaces. Anything may replace null."""
    if default is None:
        return True
    if value is None:
        return key in MAY_BE_NULL
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, DictConfig):
        return isinstance(value, dict)
    if isinstance(default, ListConfig):
        return isinstance(value, list)
    return not isinstance(value, dict | list) or key == "data.root"


def _kind(default: Any) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return "a whole number"
    if isinstance(default, float):
        return "a number"
    if isinstance(default, str):
        return "a word"
    return "a list" if isinstance(default, ListConfig) else "a group of settings"


def _example(default: Any) -> str:
    plain = OmegaConf.to_container(default) if OmegaConf.is_config(default) else default
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
