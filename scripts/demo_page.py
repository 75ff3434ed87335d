"""python -m scripts.demo_page [weights=NAME|FILE] [port=8000]

Serve the page of demo/, which colours photographs in the browser, at
http://127.0.0.1:PORT. Needs onnxruntime-web in demo/node_modules; `make
demo-page` puts it there.
"""

from pathlib import Path

from colorize import Colorizer
from colorize.frozen.export import check_form
from colorize.frozen.page import export_page, server
from colorize.released import DEFAULT
from scripts.arguments import arguments, run

DEMO = Path(__file__).resolve().parent.parent / "demo"


def main() -> None:
    args = arguments(__doc__, weights=DEFAULT, port=8000)
    check_form("onnx")
    if not (DEMO / "node_modules/onnxruntime-web").is_dir():
        raise ValueError("demo/node_modules lacks onnxruntime-web; make demo-page fetches it with npm")
    with server(DEMO, int(args.port)) as site:
        print(f"freezing {args.weights} for the page, about half a minute", flush=True)
        export_page(Colorizer.load(str(args.weights), device="cpu"), DEMO / "build")
        print(f"http://127.0.0.1:{site.server_port} (Ctrl-C ends it)", flush=True)
        site.serve_forever()


if __name__ == "__main__":
    run(main)
