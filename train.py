"""python train.py key=value ...   Train a colorizer; settings are in configs/."""

import sys

from colorize.configuration import run

if __name__ == "__main__":
    sys.exit(run())
