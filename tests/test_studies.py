"""Each study, tiny: it is the same twice, and its effect shows."""

import gzip
from pathlib import Path

import pytest
import torch
from torch import nn

from colorize.bins import annealed_mean
from colorize.colorizer import Colorizer
from colorize.data.toy import line_with_outliers, mnist, two_spirals
from colorize.regularizers import Penalty, Regularizer
from colorize.studies import activations, gradients, landscape, line, places, temperature
from colorize.studies.stacked import StackedNetworks, relu_network, train_side_by_side
from colorize.studies.summary import Record, statistic, summarise


def column(records: list[Record], name: str, **which: object) -> list[float]:
    return [float(r[name]) for r in records if all(r[key] == value for key, value in which.items())]


# -- 1: the line


@pytest.fixture(scope="module")
def lines() -> tuple[line.Data, dict[str, list[nn.Sequential]]]:
    """Two runs under each penalty, long enough for L1 to disconnect units."""
    data = line_with_outliers(20, 2)
    training = line.Training(runs=2, epochs=45)
    start = training.networks(line.WIDTHS)
    groups = {name: (start, regularizer) for name, regularizer in line.penalties(0.3).items()}
    return data, line.train(groups, data, training, "")[0]


def test_stacked_networks_are_single_networks_trained_as_the_package_does() -> None:
    data = line_with_outliers(12, 1)
    training = line.Training(runs=2, epochs=2)
    start = training.networks(line.WIDTHS)
    penalties = line.penalties(0.3)
    stacked, snapshots = line.train({k: (start, p) for k, p in penalties.items()}, data, training, "")
    assert [snapshot.epoch for snapshot in snapshots] == [0, 1, 2]
    x, y, _ = data
    for name, regularizer in penalties.items():
        for run, order in enumerate(training.orders(len(x))):
            single = training.networks(line.WIDTHS)[run]
            optimizer = torch.optim.SGD(single.parameters(), lr=training.lr)
            for i in order:
                cost = (single(x[i].view(1, 1)) - y[i]).abs().mean() + regularizer.penalty(single)
                optimizer.zero_grad()
                cost.backward()
                optimizer.step()
                regularizer.proximal_step(single, training.lr)
            for ours, theirs in zip(stacked[name][run].parameters(), single.parameters(), strict=True):
                assert torch.allclose(ours, theirs, atol=1e-5), (name, run)


def test_smaller_networks_in_a_stack_stay_as_small() -> None:
    generator = torch.Generator().manual_seed(0)
    stack = StackedNetworks([relu_network([1, 4, 3, 1], generator), relu_network([1, 2, 1, 1], generator)])
    x, y = torch.linspace(0, 3, 8), torch.linspace(1, 2, 8)
    orders = torch.arange(8).repeat(2, 3)
    train_side_by_side(stack, x, y, orders, [(Regularizer(kernel=Penalty(l1=0.1)), slice(0, 2))], 0.01)
    small = stack.network(1)
    assert [layer.out_features for layer in small if isinstance(layer, nn.Linear)] == [2, 1, 1]
    whole = stack(x.expand(2, 1, -1))[1, 0]
    assert torch.allclose(small(x[:, None])[:, 0], whole, atol=1e-6)
    with pytest.raises(ValueError, match="kernels only"):
        train_side_by_side(stack, x, y, orders, [(Regularizer(bias=Penalty(1)), slice(0, 2))], 0.01)


def test_proximal_l1_alone_leaves_exact_zeros_and_disconnects_units(lines) -> None:  # type: ignore[no-untyped-def]
    data, trained = lines
    records = line.measure(trained, data, tolerance=0.003)
    zeros = {name: column(records, "exact zeros (%)", network=name) for name in trained}
    assert min(zeros["L1, proximal"]) > 50
    assert max(zeros["L2"]) == max(zeros["none"]) == 0
    assert min(column(records, "exactly disconnected", network="L1, proximal")) > 10
    assert max(column(records, "exactly disconnected", network="L1")) == 0
    assert min(column(records, "disconnected units", network="L1")) > 10
    small = {name: min(column(records, "below 1e-3 (%)", network=name)) for name in trained}
    assert small["L1"] > 10 * small["none"]


@pytest.mark.parametrize(("name", "tolerance"), [("L1", 0.003), ("L1, proximal", 0.0)])
def test_the_pruned_network_equals_the_unpruned_one(lines, name: str, tolerance: float) -> None:  # type: ignore[no-untyped-def]
    data, trained = lines
    smaller, records = line.prune_all(trained[name], data, tolerance)
    assert max(column(records, "change by pruning")) < 1e-6
    assert max(column(records, "hidden units")) < 20
    if tolerance == 0:
        assert max(column(records, "change by tolerance")) == 0
    again, _ = line.train({"again": (smaller, Regularizer())}, data, line.Training(2, 2), "")
    sizes = [sum(p.numel() for p in network.parameters()) for network in again["again"]]
    assert sizes == column(records, "parameters"), "training again keeps the size"
    measured = line.measure({**trained, **again}, data, tolerance)
    rows = line.beside_article(measured)
    assert rows[0]["mean"] == pytest.approx(20.053, abs=1e-3)
    assert "of 30 hidden units" in line.finding(measured, records, few=1)


# -- 2: the landscape


def test_l1_leaves_more_exact_zeros_than_l2() -> None:
    records, weights = landscape.trained_weights(0.02, [16], steps=120, lr=0.05, seeds=[0])
    table = summarise(records, ["penalty"], ["exact zeros (%)", "below 1e-3 (%)", "sum of |w|"])
    assert table[("L1, proximal",)]["exact zeros (%)"].mean > 10
    assert table[("L2",)]["exact zeros (%)"].mean == table[("none",)]["exact zeros (%)"].mean == 0
    assert table[("L1",)]["below 1e-3 (%)"].mean > table[("L2",)]["below 1e-3 (%)"].mean
    assert table[("L2",)]["sum of |w|"].mean < table[("none",)]["sum of |w|"].mean
    assert len(weights["L2"]) == 8 * 16 + 16


def test_paths_of_the_optimum_start_alike_and_only_l1_meets_an_axis() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 2, generator=generator)
    y = x @ torch.tensor([2.0, 0.5])
    paths = landscape.optimum_paths(x, y, torch.linspace(0, 8, 41), points=61)
    assert torch.allclose(paths.l1[0], paths.l2[0])
    assert 0 < paths.first_zero() < 8
    assert (paths.l2 != 0).all()
    assert paths.first_zero("L2") == float("inf")
    assert (paths.l1[-1] == 0).all()
    row, col = divmod(int(paths.loss.argmin()), 61)
    assert torch.stack((paths.w1[col], paths.w2[row])) == pytest.approx(paths.l2[0].numpy(), abs=0.05)
    # No weights nearby cost less, penalty included.
    w, strength = paths.l1[10], paths.strengths[10]
    xd, yd = x.double(), y.double()
    near = w + 0.01 * torch.randn(200, 2, generator=generator).double()
    cost = (near @ xd.T - yd).square().mean(dim=1) + strength * near.abs().sum(dim=1)
    assert cost.min() > (xd @ w - yd).square().mean() + strength * w.abs().sum()


def test_the_steps_follow_the_closed_form() -> None:
    records, paths = landscape.update_rules([1.0, -0.2], lr=0.01, strength=0.3, steps=100)
    assert max(column(records, "largest difference", rule="L2")) < 1e-12
    assert max(column(records, "largest difference", rule="L1, proximal")) < 1e-12
    assert max(column(records, "largest difference", rule="L1")) <= 0.003
    assert paths["L2"][0][1, 0] == pytest.approx(1 - 2 * 0.01 * 0.3)
    assert paths["L1"][0][1, 0] == pytest.approx(1 - 0.01 * 0.3)


def test_the_landscapes_finding_says_what_the_numbers_are() -> None:
    table = {
        (name,): dict.fromkeys(("exact zeros (%)", "below 1e-3 (%)"), statistic([1.0]))
        for name in landscape.penalties(0.1)
    }
    generator = torch.Generator().manual_seed(0)
    shared, own = torch.randn(50, 1, generator=generator), torch.randn(50, 2, generator=generator)
    strengths = torch.linspace(0, 4, 9)
    rules, _ = landscape.update_rules([1.0, -0.2], lr=0.01, strength=0.3, steps=100)
    far: list[Record] = [{"rule": "L1", "largest difference": 0.7, "one step at most": 0.003}]

    def finding(w: list[float], records: list[Record]) -> str:
        x = (
            shared + 0.3 * own
        )  # inputs so alike that a small weight of the other sign turns with either penalty
        return landscape.finding(
            table, records, landscape.optimum_paths(x, x @ torch.tensor(w), strengths, 5)
        )

    assert "L2's at none up to 4;" in finding([2.0, 1.5], rules)
    assert "L2's at lambda = " in finding([2.0, -0.5], rules)
    assert "those of subgradient L1 0.00" in finding([2.0, 1.5], rules)
    assert "those of subgradient L1 0.7, where one step is 0.003." in finding([2.0, 1.5], [*rules, *far])


# -- 3: kernel, bias, activity


def test_each_regularizer_shrinks_what_it_is_put_on() -> None:
    records = places.compare(1.0, samples=40, steps=60, lr=0.1, seeds=[0])
    table = summarise(records, ["regularizer"], ["weight", "bias", "mean |output|"])
    for kind in ("L1", "L2"):
        for name, own, other in (("kernel", "weight", "bias"), ("bias", "bias", "weight")):
            assert table[(f"{name} {kind}",)][own].mean < 0.9 * table[("none",)][own].mean
            assert table[(f"{name} {kind}",)][other].mean > 0.9 * table[("none",)][other].mean
        outputs = {name: columns["mean |output|"].mean for (name,), columns in table.items()}
        assert outputs[f"activity {kind}"] < 0.9 * outputs["none"]
    # The closed forms of L2: c / (1 + lambda) of the mean and, for an x of variance 1, nearly of the slope.
    assert table[("bias L2",)]["bias"].mean == pytest.approx(1.5, abs=0.2)
    assert "on the kernel" in places.finding(table)


# -- 4: MNIST


def test_activations_learn_and_the_sigmoid_last(digits: Path) -> None:
    train, test = mnist(digits, download=False)
    assert train.images.shape == (400, 28, 28)
    names = ["relu", "rrelu", "sigmoid"]

    def compare(names: list[str]) -> list[Record]:
        return activations.compare(train, test, names, 3, 20, 2, 16, 0.05, seeds=[0])

    records = compare(names)
    again = compare(["rrelu"])
    assert again == [record for record in records if record["activation"] == "rrelu"], "twice the same"
    assert len(records) == 3 * 2 * 3
    last = [record for record in records if record["epoch"] == 2]
    table = summarise(last, ["activation", "batch norm"], ["test accuracy (%)"])
    accuracy = {key: columns["test accuracy (%)"].mean for key, columns in table.items()}
    assert accuracy["relu", "without"] > 80
    assert accuracy["sigmoid", "without"] < 50 < accuracy["sigmoid", "with"]
    assert "worst is sigmoid without" in activations.finding(table)


def test_broken_idx_files_are_said_to_be(digits: Path) -> None:
    file = digits / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1]))
    with pytest.raises(ValueError, match="no whole idx file"):
        mnist(digits, download=False)


# -- 5: the gradient


def test_the_sigmoids_first_gradient_is_orders_below_relus() -> None:
    records = gradients.compare(["sigmoid", "relu", "elu"], 8, 32, steps=2, measured=1, lr=0.02, seeds=[0, 1])
    rows = gradients.first_over_last(records)
    first = {name: column(rows, "first layer, at the start", activation=name) for name in ("sigmoid", "relu")}
    assert max(first["sigmoid"]) < 1e-3 * min(first["relu"])
    assert len(records) == 3 * 2 * 3 * 9
    assert "orders of magnitude" in gradients.finding(summarise(rows, ["activation"], list(rows[0])[2:]))


def test_curves_are_the_activations_and_their_slopes() -> None:
    x = torch.tensor([-2.0, 1.0])
    rrelu = gradients.curves("rrelu", x)
    assert torch.allclose(rrelu["value"], torch.tensor([-2 / 5.5, 1.0]))
    assert torch.allclose(rrelu["derivative, high"], torch.tensor([1 / 3, 1.0]))
    assert torch.allclose(rrelu["value, low"], torch.tensor([-2 / 8, 1.0]))
    assert gradients.curves("sigmoid", torch.zeros(1))["derivative"].item() == 0.25


def test_the_spirals_are_two() -> None:
    points, spiral = two_spirals(100, noise=0.0)
    assert spiral.sum() == 50
    assert points.norm(dim=1).max() <= 1


# -- 6: the temperature


def test_the_articles_examples() -> None:
    for scores, printed in temperature.EXAMPLES.values():
        ours = temperature.probabilities(scores)
        assert ours.numpy() == pytest.approx(printed, abs=6e-4)
    assert temperature.probabilities((1.0, 3.0, 2.0), 0).tolist() == [0, 1, 0]
    sharper = [temperature.probabilities((1.2, 1, 1.5), t)[2].item() for t in (1, 0.38, 0.14, 0)]
    assert sharper == sorted(sharper)


@pytest.mark.parametrize("t", [1.0, 0.38, 0.0])
def test_probabilities_are_those_of_the_annealed_mean(t: float) -> None:
    centers = torch.tensor([[10.0, 0.0], [0.0, 20.0], [-30.0, 0.0]])
    scores = (1.2, 1.0, 1.5)
    ab = annealed_mean(torch.tensor(scores).view(1, 3, 1, 1), centers, t)[0, :, 0, 0]
    assert torch.allclose(ab.double(), temperature.probabilities(scores, t) @ centers.double(), atol=1e-4)


def test_a_colder_photograph_is_more_colourful(sample: Path) -> None:
    from colorize.data.sources import find_photos

    photos = find_photos(str(sample / "test"))[3:5]
    records = temperature.measure(Colorizer.load("conv8", device="cpu"), photos, [1.0, 0.0])
    table = summarise(records, ["temperature"], ["colourfulness", "PSNR (dB)"])
    assert table[("0.0",)]["colourfulness"].mean > table[("1.0",)]["colourfulness"].mean
    assert table[("original",)]["PSNR (dB)"].n == 0
    assert "raises the colourfulness" in temperature.finding(table, [1.0, 0.0])
