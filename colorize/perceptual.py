"""LPIPS, where the weights of its network are at hand. Nothing is ever downloaded here."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

ALEXNET = "alexnet-owt-7be5be79.pth"  # torchvision's name for it
LPIPS_SMALLEST = 31  # pixels a side; of less AlexNet leaves nothing

Lpips = Callable[[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 h w"]], Float[Tensor, " b"]]


def find_alexnet() -> Path | None:
    """The file of AlexNet's weights in torch's cache (TORCH_HOME), or None."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
    return path if path.is_file() else None


def how_to_get_lpips() -> str:
    """For those who have no weights."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    address = f"https://download.pytorch.org/models/{ALEXNET}"
    return f"LPIPS is left out: put {address}\ninto {folder}, or give lpips=FILE"


def load_lpips(path: Path, device: torch.device | str = "cpu") -> Lpips:
    """LPIPS 0.1 with AlexNet: torchmetrics' computation and linear weights, AlexNet's own from a file.

    Returns:
        A function of two batches of RGB in [0, 1], of at least 31 pixels a side: the distance of each pair.

    Raises:
        ValueError: if the file holds no such weights.

    Source: Zhang, Isola, Efros, Shechtman & Wang 2018.
    """
    # torchmetrics' public way to it downloads what is missing, and unpickles what it finds.
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network = _NoTrainLpips(net="alex", pnet_rand=True)
        # "slice3.6.weight" there is "features.6.weight" in the file.
        ours = {key: state["features." + key.split(".", 1)[1]] for key in network.net.state_dict()}
        network.net.load_state_dict(ours)
    except Exception as error:  # a damaged file makes torch.load raise anything
        raise ValueError(f"{path} holds no weights of torchvision's AlexNet; expected {ALEXNET}") from error
    network.to(device)

    def distance(predicted: Tensor, target: Tensor) -> Tensor:
        if min(target.shape[2:]) < LPIPS_SMALLEST:
            h, w = target.shape[2:]
            raise ValueError(
                f"LPIPS needs pictures of at least 31 x 31 pixels, got {w} x {h}; lpips=none leaves it out"
            )
        found: Tensor = network(predicted, target, normalize=True)
        return found.flatten()

    return distance
