"""Weights frozen with all that colouring takes into one file, which runs without this package's networks.

graph.py and resizing.py are what is frozen; export.py writes it as ONNX or PyTorch's pt2 and checks each
file beside `Colorizer`; running.py colours with such files, ONNX without torch; layers.py and report.py say
what is inside; page.py writes and serves what the page of demo/ runs.

Every file takes `rgb` (float32 b 3 h w, sRGB in [0, 1], grey or not, any sizes), `temperature`, `saturation`
and `vividness` (float32 scalars; a vividness below 0 is that of the training) and gives `colored` like `rgb`,
and `ab` (float32 b 2 i j), the coarse colours that it is made with, for who does the rest. What else belongs
to the weights travels inside as JSON under `ABOUT`: that of a weights file, with the bins' centres, the
prior, licence and versions.
"""

ABOUT = "colorize"
FORMAT = 1
INPUTS = ("rgb", "temperature", "saturation", "vividness")
AS_TRAINED = -1.0  # vividness
OUTPUTS = ("colored", "ab")
SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2"}

__all__ = ["ABOUT", "AS_TRAINED", "FORMAT", "INPUTS", "OUTPUTS", "SUFFIXES"]
