"""The training step: its loss, what it learns, what it costs, and that it waits for no device."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from colorize.bins import Bins, srgb_centers
from colorize.clock import StepClock, network_flops
from colorize.data import Augment
from colorize.module import ColorizationModule
from colorize.networks import make_network
from colorize.optimization import Optimization
from colorize.regularizers import Penalty, Regularizer
from tests.runs import run, small_module

ALL_AUGMENTATION = dict.fromkeys(
    ("flip", "scale", "translate", "rotate", "rotate90", "gamma", "contrast", "grain", "blur"), 0.3
)


def test_overfits_one_batch_to_near_zero_loss() -> None:
    """Flat areas of pure bin colours told apart by their lightness: the soft target's entropy is all that is
    left.
    """
    bins = Bins(srgb_centers(20.0), neighbours=1, step=20.0)
    network = make_network("conv8", len(bins))
    prior = torch.full((len(bins),), 1 / len(bins))
    module = ColorizationModule(network, bins, prior, window=24)
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    palette = torch.tensor([[200, 40, 30], [30, 60, 200], [240, 220, 40], [20, 80, 20]], dtype=torch.uint8)
    batch = palette[torch.arange(8) % 4].view(8, 3, 1, 1).expand(8, 3, 24, 24).contiguous()
    optimizer = torch.optim.Adam(module.network.parameters(), lr=3e-3)
    first = last = None
    for _ in range(60):
        optimizer.zero_grad()
        last = module.training_step(batch, 0)
        last.backward()
        optimizer.step()
        first = last.item() if first is None else first
    assert first is not None
    assert first > 1
    assert last is not None
    assert last.item() < 0.02


def test_grey_windows_do_not_pull() -> None:
    module = small_module()
    module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    grey = torch.full((2, 3, 24, 24), 99, dtype=torch.uint8)
    module.training_step(grey, 0).backward()
    assert all(p.grad.abs().sum() == 0 for p in module.network.parameters() if p.grad is not None)


def test_the_loss_is_the_weighted_mean_over_pixels() -> None:
    module = small_module(lambda_=0.5)
    prior = torch.rand(len(module.bins)) ** 4
    module.class_weights.copy_(prior)
    logits = torch.randn(2, len(module.bins), 3, 3)
    ab = torch.randn(2, 2, 3, 3) * 20
    weighted, unweighted = module.losses(logits, ab, torch.tensor([1.0, 0.0]))
    index, weight = module.bins.soft_encode(ab)
    dense = torch.zeros_like(logits).scatter_(1, index, weight)
    pixel = -(dense * logits.log_softmax(dim=1)).sum(dim=1)
    largest = dense.argmax(dim=1)
    torch.testing.assert_close(unweighted, pixel.mean())
    torch.testing.assert_close(weighted, (pixel * prior[largest])[:1].sum() / 18)


def test_penalty_and_augmentation_reach_the_training_step() -> None:
    plain = small_module()
    penalised = small_module(regularizer=Regularizer(kernel=Penalty(l2=1.0)), augment=Augment(flip=1.0))
    penalised.network.load_state_dict(plain.network.state_dict())
    losses = []
    batch = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    for module, x in ((plain, batch.flip(-1)), (penalised, batch)):
        module.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
        losses.append(module.training_step(x, 0))
    squares = sum(m.weight.square().sum() for m in plain.network.modules() if isinstance(m, torch.nn.Conv2d))
    torch.testing.assert_close(losses[1] - losses[0], squares, rtol=1e-4, atol=1e-3)


def test_module_refuses_bins_and_prior_that_disagree() -> None:
    bins = Bins(srgb_centers(20.0), step=20.0)
    with pytest.raises(ValueError, match="prior has 3 bins"):
        ColorizationModule(make_network("conv8", len(bins)), bins, torch.full((3,), 1 / 3), window=32)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1, 1, 1, 1]), ("steps", [1, 0.5, 0.25, 0.03125]), ("cosine", [1, 0.90546, 0.65796, 0.01])],
)
def test_schedules(schedule: str, rates: list[float]) -> None:
    optimization = Optimization(schedule=schedule, step_every=10, step_factor=0.5)
    got = [optimization.rate(step, 50) for step in (0, 10, 20, 50)]
    assert got == pytest.approx(rates, abs=1e-4)
    if schedule == "cosine":
        assert optimization.rate(0, 50, 0.2) == optimization.rate(10, 50) == optimization.rate(10, 50, 0.1)
        assert optimization.rate(7, math.inf, 0.4) == optimization.rate(20, 50)
    warm = Optimization(schedule=schedule, warmup_steps=4)
    assert [warm.rate(step, 50) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


class NoWaiting(TorchDispatchMode):
    """Raises where values would go from the host to a device, or back, and the host would wait for them."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        leaves = torch.utils._pytree.tree_leaves
        given = [x for x in leaves((args, kwargs)) if isinstance(x, torch.Tensor) and x.ndim]
        made = [x for x in leaves(result) if isinstance(x, torch.Tensor)]
        if {"cpu", "meta"} <= {
            x.device.type for x in given + made
        }:  # those of no dimensions go with the kernel
            raise RuntimeError(f"{func} waits for the device")
        return result


def test_a_step_on_a_device_never_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device "meta", whose tensors have no values: item(), nonzero() and a mask as an index raise
    there.
    """
    module = small_module(
        augment=Augment(**ALL_AUGMENTATION),
        regularizer=Regularizer(Penalty(1e-6, 1e-6), Penalty(1e-6), Penalty(l2=1e-6), proximal=True),
    )
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # which "meta" has not
    logged: dict[str, Any] = {}
    module.log_dict = lambda values, **kwargs: logged.update(values)  # type: ignore[method-assign]
    module.bins.nearest(torch.zeros(1, 2, 1, 1))  # the tables of the search are made once
    module.bins._search.to(torch.device("meta"))  # type: ignore[union-attr]
    module.to("meta")
    batch = torch.empty(2, 3, 60, 60, dtype=torch.uint8, device="meta")
    module.training_step(batch, 0).backward()  # tables may be moved once as well
    with NoWaiting():
        module.training_step(batch, 1).backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), 1.0, foreach=False)
        module.regularizer.proximal_step(module.network, 0.1)
    assert set(logged) == {"train/loss", "train/loss_unweighted", "train/penalty"}
    assert all(value.device.type == "meta" for value in logged.values()), "a number would be copied there"
    with NoWaiting(), pytest.raises(RuntimeError, match="waits for the device"):
        batch + torch.ones(2, 1, 1, 1).to("meta")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_steps_on_a_gpu_never_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """From the start of the third step's batch to its end, data, optimizer and Lightning's own work
    included.
    """

    class Strict(lightning.Callback):
        def on_train_batch_start(self, trainer: lightning.Trainer, *args: Any) -> None:
            if trainer.global_step > 1:
                torch.cuda.set_sync_debug_mode("error")

        def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
            if trainer.global_step == 6:  # which writes to the log
                torch.cuda.set_sync_debug_mode("default")

    import colorize.trainer

    callbacks = colorize.trainer._callbacks
    monkeypatch.setattr(colorize.trainer, "_callbacks", lambda *args: [*callbacks(*args), Strict()])
    augment = [f"data.augment.{name}={value}" for name, value in ALL_AUGMENTATION.items()]
    try:
        run(tmp_path, f"trainer.precision={precision}", "trainer.accelerator=gpu", "trainer.max_steps=6",
            "trainer.val_every_steps=6", "trainer.log_every_steps=6", *augment)  # fmt: skip
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_flops_are_those_of_the_convolutions() -> None:
    """A multiply-add counts twice; backward costs the same for the kernels and, but in the first layer, for
    inputs.
    """
    network = make_network("conv8", 77)
    forward = []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            side = 24 - 2 * (len(forward) + 1)
            forward.append(2 * layer.weight.numel() * side**2)
    assert network_flops(network, 77, 24) == 3 * sum(forward) - forward[0]


def test_the_clock_sums_the_parts_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 3.0, 10.0, 14.0, 20.0, 20.5, 21.0])
    monkeypatch.setattr("colorize.clock.time.perf_counter", lambda: next(times))
    clock = StepClock()
    for part in ("", "data, logging", "update", "", "data, logging", "update"):
        clock.mark(part)
    assert clock.read() == [{"data, logging": 1.0, "update": 2.0}, {"data, logging": 4.0, "update": 6.0}]
    for part in ("data, logging", "update"):
        clock.mark(part)
    assert clock.read() == [{"data, logging": 0.5, "update": 0.5}]
