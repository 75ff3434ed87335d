"""Activations on MNIST: one network with each of them, with and without batch normalisation."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.data.decoding import with_progress
from colorize.data.toy import Digits
from colorize.optimization import Optimization
from colorize.studies.gradients import deep_network
from colorize.studies.summary import Record, Table

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training pixels in [0, 1]
WITH, WITHOUT = "with", "without"


def compare(
    train: Digits, test: Digits, activations: Sequence[str], depth: int, width: int, epochs: int,
    batch_size: int, lr: float, seeds: Sequence[int],
) -> list[Record]:  # fmt: skip
    """Train `depth` hidden layers of `width` units by SGD with momentum 0.9, for each activation and seed.

    Args:
        train: digits to train on.
        test: digits to test on.
        activations: names of `activations.ACTIVATIONS`.
        depth: hidden layers.
        width: units of each.
        epochs: times that each digit is seen.
        batch_size: digits in a batch.
        lr: learning rate.
        seeds: a run of each activation, with and without batch norm, for each of them.

    Returns:
        a record for each run and epoch, from 0 (before training): accuracies in percent, in evaluation mode.
    """
    sets = {"training": _flat(train), "test": _flat(test)}
    records: list[Record] = []
    runs = [(name, norm, seed) for name in activations for norm in (WITHOUT, WITH) for seed in seeds]
    for name, norm, seed in with_progress(runs, "training", len(runs)):
        torch.manual_seed(seed)
        network = deep_network(name, depth, width, inputs=28 * 28, classes=10, batch_norm=norm == WITH)
        optimizer = Optimization("sgd", lr=lr, momentum=0.9).optimizer(network)
        x, y = sets["training"]
        for epoch in range(epochs + 1):
            if epoch:
                for which in torch.split(torch.randperm(len(x)), batch_size):
                    cost = nn.functional.cross_entropy(network(x[which]), y[which])
                    optimizer.zero_grad()
                    torch.autograd.backward(cost)
                    optimizer.step()
            accuracies = {f"{split} accuracy (%)": accuracy(network, *pair) for split, pair in sets.items()}
            run: Record = {"activation": name, "batch norm": norm, "seed": seed, "epoch": epoch}
            records.append({**run, **accuracies})
    return records


@torch.no_grad()
def accuracy(network: nn.Module, x: Float[Tensor, "n i"], y: Int[Tensor, " n"]) -> float:
    """Share of digits told right in evaluation mode, in percent; the network is left in training mode."""
    network.eval()
    right = sum(
        (network(part).argmax(dim=1) == truth).sum().item()
        for part, truth in zip(torch.split(x, 2000), torch.split(y, 2000), strict=True)
    )
    network.train()
    return 100 * int(right) / len(x)


def finding(table: Table) -> str:
    """Best and worst, and what batch norm changes, from the last epoch summarised by activation and norm."""
    test = {key: columns["test accuracy (%)"] for key, columns in table.items()}
    ranked = sorted(test, key=lambda key: test[key].mean, reverse=True)
    gains = {
        name: test[name, WITH].mean - test[name, WITHOUT].mean for name in dict.fromkeys(n for n, _ in test)
    }
    most, least = max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)

    def told(key: tuple[str, ...]) -> str:
        return f"{key[0]} {key[1]} batch norm ({test[key]} %)"

    close = sum(test[ranked[0]].mean - test[key].mean < test[ranked[0]].deviation for key in ranked[1:])
    return (
        f"The best on the test digits is {told(ranked[0])}, {close} of the others within its standard"
        f" deviation; the worst is {told(ranked[-1])}; batch norm changes {most} by {gains[most]:+.1f}"
        f" points, the most, and {least} by {gains[least]:+.1f}, the least."
    )


def _flat(digits: Digits) -> tuple[Float[Tensor, "n i"], Int[Tensor, " n"]]:
    return (digits.images.flatten(1).float() / 255 - MEAN) / DEVIATION, digits.labels.long()
