"""The networks, by name. Each maps L* to logits over the ab bins and follows the interface of `Network`."""

from colorize.networks.base import Network
from colorize.networks.conv8 import Conv8
from colorize.networks.unet import UNet
from colorize.networks.zhang16 import Zhang16

NETWORKS: dict[str, type[Network]] = {"conv8": Conv8, "unet": UNet, "zhang16": Zhang16}


def make_network(name: str, bins: int, **options: object) -> Network:
    """Build a network by its name.

    Raises:
        ValueError: if there is no network or option of that name; the message lists the valid ones.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(NETWORKS)}")
    valid = NETWORKS[name].option_names()
    unknown = [key for key in options if key not in valid]
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(unknown)}; it has {', '.join(valid)}")
    return NETWORKS[name](bins, **options)


__all__ = ["NETWORKS", "Network", "make_network"]
