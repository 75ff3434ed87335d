"""Weights on the Hugging Face Hub: `hf://OWNER/NAME` -> a file in the hub's own cache. Without torch."""

import os
import re
from pathlib import Path

SCHEME = "hf://"
FILE = "model.safetensors"  # what a run writes, and the name that the hub's own libraries look for

_ADDRESS = re.compile(
    r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^/@]+))?(/(?P<file>[^@]+\.safetensors))?"
)


def from_hub(address: str) -> Path:
    """The weights file at `hf://OWNER/NAME[@REVISION][/FILE.safetensors]`.

    FILE is model.safetensors unless it is given, REVISION a branch, tag or commit, main by default.
    The hub is asked whether there is a newer one; where it cannot be reached, the file of an earlier call is
    taken. HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE and HF_TOKEN mean what they mean to huggingface_hub.

    Raises:
        ValueError: if the address is none, huggingface_hub is not installed, or the file cannot be had; it
            says how to do without.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(f"{address}: expected {SCHEME}OWNER/NAME[@REVISION][/FILE.safetensors]")
    repo, revision, file = found["repo"], found["revision"] or "main", found["file"] or FILE
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    by_hand = (
        f"or fetch {endpoint}/{repo}/resolve/{revision}/{file} by hand and give that file's path instead"
    )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ValueError(f"{address}: needs pip install huggingface_hub, {by_hand}") from error
    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except Exception as error:  # the HTTP library's own too, which is another in each version
        raise ValueError(f"{address}: cannot get {file} ({_reason(error)}); try again, {by_hand}") from error


def _reason(error: Exception) -> str:
    """One line of the many that the hub's library says."""
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        error = (
            error.__cause__
        )  # why the hub could not be asked; that the cache has no copy goes without saying
    said = str(error).strip().split("\n\n")[-1].splitlines()
    return said[0].rstrip(".") if said else type(error).__name__
