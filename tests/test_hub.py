"""Weights from a server on this machine that answers as the hub does."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from colorize.cli import WRONG_OPTION, main
from colorize.colorizer import Colorizer
from tests.conftest import ROOT

pytest.importorskip("huggingface_hub")


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves `files`, path -> content, with the headers that huggingface_hub asks for."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        if content is None:
            known = any(path.startswith("/".join(self.path.split("/")[:3]) + "/") for path in self.files)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.files.get(self.path, b""))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


def found(*addresses: str, hub: http.server.ThreadingHTTPServer, cache: Path, **variables: str) -> list[str]:
    """What another process, with a cache of its own, finds at the addresses: a path or an error each."""
    code = """if True:
        import sys
        from colorize.released import find_weights
        for address in sys.argv[1:]:
            try:
                print(find_weights(address))
            except ValueError as error:
                print(error)
    """
    environment = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(cache), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code, *addresses], env=os.environ | environment,
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_weights_come_from_the_hub_and_stay(
    hub: http.server.ThreadingHTTPServer, tmp_path: Path, weights: Path
) -> None:
    Hub.files = {
        "/anna/colours/resolve/main/model.safetensors": weights.read_bytes(),
        "/anna/colours/resolve/v1/old/first.safetensors": b"first",
    }
    newest, first, *errors = found(
        "hf://anna/colours", "hf://anna/colours@v1/old/first.safetensors", "hf://anna/colours/no.safetensors",
        "hf://nobody/nothing", hub=hub, cache=tmp_path,
    )  # fmt: skip
    assert Path(newest).read_bytes() == weights.read_bytes()
    assert tmp_path in Path(newest).parents
    assert Path(first).read_bytes() == b"first"
    for error, reason, url in zip(
        errors, ("Entry Not Found", "Repository Not Found"),
        ("/anna/colours/resolve/main/no.safetensors", "/nobody/nothing/resolve/main/model.safetensors"),
        strict=True,
    ):  # fmt: skip
        assert reason in error
        assert f"or fetch http://127.0.0.1:{hub.server_port}{url} by hand and give that file's path" in error

    Hub.files.clear()
    again, error = found("hf://anna/colours", "hf://anna/other", hub=hub, cache=tmp_path, HF_HUB_OFFLINE="1")
    assert again == newest
    assert error.startswith("hf://anna/other: cannot get model.safetensors (")
    assert "offline" in error


def test_without_the_library_a_line_says_how_to_do_it_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    by_hand = "https://huggingface.co/anna/colours/resolve/main/model.safetensors by hand"
    with pytest.raises(ValueError, match=f"pip install huggingface_hub, or fetch {by_hand}"):
        Colorizer.load("hf://anna/colours")


@pytest.mark.parametrize(
    "address", ["hf://", "hf://anna", "hf://anna/colours/", "hf://a/b/c.pth", "hf://a/b@"]
)
def test_what_is_no_address_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.jpg", "--weights", address]) == WRONG_OPTION
    line = f"error: {address}: expected hf://OWNER/NAME[@REVISION][/FILE.safetensors]\n"
    assert capsys.readouterr().err.endswith(line)
