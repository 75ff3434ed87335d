"""Photographs for training: found in folders, lists and shards, decoded once, cut into windows, augmented on
the device.
"""

from colorize.data.augment import Augment
from colorize.data.module import PhotoData

__all__ = ["Augment", "PhotoData"]
