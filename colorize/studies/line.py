"""L1 against L2 on a line with outliers: many runs of one network, pruned, trained again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from colorize.pruning import prune, units, without_small_weights
from colorize.regularizers import Penalty, Regularizer, kernel_layers
from colorize.studies.stacked import Snapshot, StackedNetworks, relu_network, train_side_by_side
from colorize.studies.summary import Record, statistic

WIDTHS = (1, 10, 10, 10, 1)
BY_HAND = (1, 10, 10, 1, 1)  # what the article made of it
# Total errors that the article reports for five runs of each; its samples are not known.
ARTICLE = {
    "L1, 1-10-10-10-1": (22.685, 41.645, 4.774, 23.904, 7.256),
    "L1, 1-10-10-1-1": (7.620, 13.852, 11.960, 16.955, 25.173),
}
Data = tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]  # x, y, the line's y


@dataclass(frozen=True)
class Training:
    """How every network of the study is trained: SGD at batch size 1 on the absolute error.

    Attributes:
        runs: networks under each penalty; run k starts and meets the samples alike under all of them.
        epochs: times that each sample is seen.
        lr: learning rate.
        seed: of run 0.
    """

    runs: int = 30
    epochs: int = 100
    lr: float = 0.01
    seed: int = 0

    def networks(self, widths: Sequence[int]) -> list[nn.Sequential]:
        """The networks of all runs as they start."""
        return [relu_network(widths, self._generator(run)) for run in range(self.runs)]

    def orders(self, samples: int) -> Int[Tensor, "r steps"]:
        """Which sample each run meets when: all of them in every epoch, in an order of its own."""
        orders = []
        for run in range(self.runs):
            generator = self._generator(run)
            orders.append(
                torch.cat([torch.randperm(samples, generator=generator) for _ in range(self.epochs)])
            )
        return torch.stack(orders)

    def _generator(self, run: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed + run)


def penalties(strength: float) -> dict[str, Regularizer]:
    """What is compared, on kernels: each part of the elastic net is as strong as L1 and L2 alone."""
    return {
        "none": Regularizer(),
        "L1": Regularizer(kernel=Penalty(l1=strength)),
        "L1, proximal": Regularizer(kernel=Penalty(l1=strength), proximal=True),
        "L2": Regularizer(kernel=Penalty(l2=strength)),
        "elastic net": Regularizer(kernel=Penalty(l1=strength, l2=strength)),
    }


def train(
    groups: Mapping[str, tuple[Sequence[nn.Sequential], Regularizer]],
    data: Data,
    training: Training,
    description: str,
) -> tuple[dict[str, list[nn.Sequential]], list[Snapshot]]:
    """Train groups of networks, all at once.

    Args:
        groups: name -> the networks of all runs, and their penalty.
        data: the samples.
        training: how.
        description: of the progress bar.

    Returns:
        name -> trained networks; the kernels of each group's first run after every epoch.
    """
    stack = StackedNetworks([network for networks, _ in groups.values() for network in networks])
    bounds = [training.runs * k for k in range(len(groups) + 1)]
    slices = [slice(*ends) for ends in pairwise(bounds)]
    x, y, _ = data
    snapshots = train_side_by_side(
        stack, x, y, training.orders(len(x)).repeat(len(groups), 1),
        [(regularizer, runs) for (_, regularizer), runs in zip(groups.values(), slices, strict=True)],
        training.lr, watch=bounds[:-1], description=description,
    )  # fmt: skip
    trained = {
        name: [stack.network(run) for run in range(*ends)]
        for name, ends in zip(groups, pairwise(bounds), strict=True)
    }
    return trained, snapshots


def measure(trained: Mapping[str, Sequence[nn.Sequential]], data: Data, tolerance: float) -> list[Record]:
    """A record for each run: errors summed over the samples, shares of small weights, disconnected units.

    Args:
        trained: name -> networks of all runs.
        data: the samples.
        tolerance: weights up to it count as 0 where units are looked for: one step of the penalty.
    """
    return [
        {
            "network": name,
            "run": run,
            **errors(network, data),
            **_shares(network),
            "disconnected units": sum(units(network)) - sum(units(prune(network, tolerance))),
            "exactly disconnected": sum(units(network)) - sum(units(prune(network))),
        }
        for name, networks in trained.items()
        for run, network in enumerate(networks)
    ]


@torch.no_grad()
def errors(network: nn.Sequential, data: Data) -> dict[str, float]:
    """Sums over the samples of |output - y|, the article's total error, and of |output - line|."""
    x, y, line = data
    out = network(x[:, None].to(next(network.parameters()).dtype))[:, 0]
    return {"total error": (out - y).abs().sum().item(), "error to line": (out - line).abs().sum().item()}


def _shares(network: nn.Sequential) -> dict[str, float]:
    kernels = torch.cat([layer.weight.detach().flatten() for layer in kernel_layers(network)])
    return {
        "below 1e-3 (%)": 100 * (kernels.abs() < 1e-3).float().mean().item(),
        "exact zeros (%)": 100 * (kernels == 0).float().mean().item(),
    }


def prune_all(
    networks: Sequence[nn.Sequential], data: Data, tolerance: float
) -> tuple[list[nn.Sequential], list[Record]]:
    """Prune the networks of all runs, in double precision.

    Args:
        networks: trained ones.
        data: the samples; outputs are compared on them.
        tolerance: of `pruning.prune`; 0 where L1 was proximal, one step of the penalty where it was not.

    Returns:
        the smaller networks; a record for each run with the units of its layers, its parameters, and the
        largest change of an output: by pruning, and before it by setting weights within the tolerance to 0.
    """
    x = data[0][:, None].double()
    smaller: list[nn.Sequential] = []
    records: list[Record] = []
    for run, network in enumerate(networks):
        whole = StackedNetworks([network]).network(0).double()
        thinned, pruned = without_small_weights(whole, tolerance), prune(whole, tolerance)
        with torch.no_grad():
            before, between, after = whole(x), thinned(x), pruned(x)
        records.append(
            {
                "run": run,
                "size": "-".join(map(str, (1, *units(pruned)))),
                "hidden units": sum(units(pruned)) - 1,
                "parameters": sum(p.numel() for p in pruned.parameters()),
                "change by tolerance": (between - before).abs().max().item(),
                "change by pruning": (after - between).abs().max().item(),
            }
        )
        smaller.append(pruned.float())
    return smaller, records


def beside_article(records: Sequence[Record], runs: int = 5) -> list[Record]:
    """The total error of each of the first runs, a row for each kind of network, under the article's rows."""
    rows: dict[str, list[float]] = {f"the article's {name}": list(e) for name, e in ARTICLE.items()}
    for record in records:
        if int(record["run"]) < runs:
            rows.setdefault(str(record["network"]), []).append(float(record["total error"]))
    return [
        {"network": name, **{f"run {k + 1}": round(error, 3) for k, error in enumerate(row)},
         "mean": round(statistic(row).mean, 3), "standard deviation": round(statistic(row).deviation, 3)}
        for name, row in rows.items()
    ]  # fmt: skip


def finding(records: Sequence[Record], pruned: Sequence[Record], few: int = 5) -> str:
    """What the runs say, from the records of `measure` and of `prune_all` under proximal L1."""

    def column(name: str, key: str, runs: int | None = None) -> list[float]:
        return [float(r[key]) for r in records if r["network"] == name][:runs]

    l1, l2, none = (statistic(column(name, "error to line")) for name in ("L1", "L2", "none"))
    draws = [
        statistic(column("L1", "error to line")[i : i + few]).mean for i in range(0, l1.n - few + 1, few)
    ]
    paired = zip(column("L1", "error to line"), column("L2", "error to line"), strict=True)
    apart = statistic([one - other for one, other in paired])
    error = apart.deviation / apart.n**0.5
    settled = "so they differ" if abs(apart.mean) > 2 * error else "which settles nothing"
    left = statistic([float(record["hidden units"]) for record in pruned])
    worst = max(float(record["change by pruning"]) for record in pruned)
    means = ""
    if draws:
        means = f"; the mean of {few} runs with L1 is anything from {min(draws):.0f} to {max(draws):.0f}"
    return (
        f"Over {l1.n} runs the error to the line is {l1.mean:.0f} with L1, {l2.mean:.0f} with L2 and"
        f" {none.mean:.0f} with none; L1 less L2 is {apart.mean:.0f} ± {error:.0f} (standard error),"
        f" {settled}; proximal L1 disconnects all but {left.mean:.1f} of {sum(WIDTHS[1:-1])} hidden units,"
        f" which pruning takes out with outputs changed by at most {worst:.0e}{means}."
    )
