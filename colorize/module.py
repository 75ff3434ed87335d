"""The Lightning module: photographs -> Lab -> logits -> rebalanced loss and penalty; validation metrics."""

import zlib
from typing import Any

import lightning
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MeanMetric

from colorize.bins import Bins, annealed_mean
from colorize.clock import StepClock
from colorize.color import lab_to_rgb, rgb_to_lab
from colorize.data.augment import Augment
from colorize.losses import soft_cross_entropy
from colorize.metrics import AreaUnderCurve, auc_weights, psnr
from colorize.networks import Network
from colorize.optimization import Optimization
from colorize.prior import is_colored, rebalancing_weights
from colorize.regularizers import Regularizer
from colorize.resuming import check_same_make, use_settings


class ColorizationModule(lightning.LightningModule):
    """Trains a network to classify the colour of each pixel.

    Args:
        network: L* to logits over the bins.
        bins: the bins and their soft encoding.
        prior: share of each bin in the training photographs.
        lambda_: share of the uniform distribution in the rebalancing; 1 is no rebalancing.
        temperature: of the annealed mean, for the metrics.
        gray_threshold: windows without a pixel of |a| or |b| above it get weight 0.
        window: side of the training windows after augmentation.
        augment, regularizer, optimization: what is done to windows, to the loss, to the weights.
        compile: run the network through torch.compile while training.
        channels_last: keep activations channels-last, which convolutions on GPUs and some CPUs prefer.
        seed: what is random in a step (augmentation, dropout) depends on it, the step and the rank alone, so
            that a resumed run draws what the whole one would have.

    Raises:
        ValueError: if prior, bins and network disagree in the number of bins, or the window is too small.
    """

    def __init__(
        self,
        network: Network,
        bins: Bins,
        prior: Float[Tensor, " q"],
        window: int,
        lambda_: float = 0.5,
        temperature: float = 0.38,
        gray_threshold: float = 5.0,
        augment: Augment | None = None,
        regularizer: Regularizer | None = None,
        optimization: Optimization | None = None,
        compile: bool = False,
        channels_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(prior) != len(bins):
            raise ValueError(
                f"prior has {len(prior)} bins but there are {len(bins)}; compute it for these bins"
            )
        if window < network.min_window():
            raise ValueError(
                f"data.window must be at least {network.min_window()} for this network, got {window}"
            )
        self.network, self.bins, self.window = network, bins, window
        self.temperature, self.gray_threshold = temperature, gray_threshold
        self.augment = augment or Augment()
        self.regularizer = regularizer or Regularizer()
        self.optimization = optimization or Optimization()
        self.channels_last, self.seed = channels_last, seed
        self.clock = StepClock()
        self._rate = self._share = 0.0
        self.logs_step = True  # whether Lightning keeps what this step logs; it is not computed otherwise
        self.register_buffer("class_weights", rebalancing_weights(prior, lambda_), persistent=False)
        self.register_buffer("auc_weights", auc_weights(prior), persistent=False)
        self.register_buffer("prior", prior, persistent=False)
        self.network.init_last_bias(prior)
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.regularizer.watch(self.network)
        # A function, not the module: a second name for it would put its weights into checkpoints twice.
        self.forward_window = torch.compile(network.forward) if compile else network.forward
        self.val_metrics = torch.nn.ModuleDict(
            {
                "loss": MeanMetric(),
                "loss_unweighted": MeanMetric(),
                "auc": AreaUnderCurve(),
                "auc_rebalanced": AreaUnderCurve(),
                "psnr": MeanMetric(),
            }
        )

    class_weights: Tensor
    auc_weights: Tensor
    prior: Tensor

    def losses(
        self, logits: Float[Tensor, "b q h w"], ab: Float[Tensor, "b 2 h w"], colored: Float[Tensor, " b"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The rebalanced loss and the unweighted one, each a mean over all pixels."""
        index, weight = self.bins.soft_encode(ab)
        # Nobody asks for the logits after backward but the activity penalty.
        pixel_loss = soft_cross_entropy(logits, index, weight, overwrite=not self.regularizer.activity)
        pixel_weight = self.class_weights[index[:, 0]] * colored[:, None, None]
        return (pixel_loss * pixel_weight).mean(), pixel_loss.detach().mean()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        step = self.trainer.global_step
        torch.manual_seed(zlib.crc32(f"{self.seed} {step} {self.global_rank}".encode()))
        self.logs_step = (step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        self.clock.mark("data, logging")

    def training_step(self, batch: UInt8[Tensor, "b 3 s s"], batch_idx: int) -> Tensor:
        lab = rgb_to_lab(self.augment.geometry(batch, self.window))
        lightness = self.augment.age(lab[:, :1])
        if self.channels_last:
            lightness = lightness.contiguous(memory_format=torch.channels_last)
        self.clock.mark("input")
        logits = self.forward_window(lightness)
        self.clock.mark("network forward")
        with torch.autocast(self.device.type, enabled=False):
            weighted, unweighted = self.losses(
                logits, self.network.to_grid(lab[:, 1:]), is_colored(lab, self.gray_threshold)
            )
            penalty = self.regularizer.penalty(self.network)
        if self.logs_step:
            self.log_dict(
                {
                    "train/loss": weighted.detach(),
                    "train/loss_unweighted": unweighted,
                    "train/penalty": penalty.detach() + self.regularizer.proximal_penalty(self.network),
                },
                batch_size=len(batch),
            )
        self.clock.mark("loss")
        logits.register_hook(self._on_gradient_of_logits)  # type: ignore[no-untyped-call]
        return weighted + penalty

    def _on_gradient_of_logits(self, gradient: Tensor) -> None:
        self.clock.mark("loss backward")

    def on_after_backward(self) -> None:
        self.clock.mark("network backward")

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.logs_step:
            self.log("train/learning_rate", self._rate)
            self.check_finite()

    def on_validation_epoch_start(self) -> None:
        self.check_finite()

    def on_validation_end(self) -> None:
        self.clock.mark("")

    def check_finite(self) -> None:
        """Check that the weights are finite. Waits for the device, and is therefore called where others do as
        well.

        A loss that was not finite shows in the weights, the same on all devices; where the scaler of 16-mixed
        left out its step, it did no harm.

        Raises:
            ValueError: if they are not.
        """
        total = torch.stack([p.detach().float().mean() for p in self.network.parameters()]).sum()
        if not torch.isfinite(total):
            raise ValueError(
                f"training diverged: the weights are not finite at step {self.trainer.global_step}; choose a "
                f"smaller optimizer.lr than {self.optimization.lr:g}"
            )

    def validation_step(self, batch: UInt8[Tensor, "b 3 s s"], batch_idx: int) -> None:
        rgb = batch.float() / 255
        lab = rgb_to_lab(rgb)
        ab = lab[:, 1:]
        logits = self.network.predict(lab[:, :1]).float()
        with torch.autocast(self.device.type, enabled=False):
            grid_ab = self.network.to_grid(ab, cropped=False)
            weighted, unweighted = self.losses(logits, grid_ab, is_colored(lab, self.gray_threshold))
            predicted = upsample(annealed_mean(logits, self.bins.centers, self.temperature), ab)
            pixel_weight = self.auc_weights[self.bins.nearest(ab)]
            colored = lab_to_rgb(torch.cat((lab[:, :1], predicted), dim=1))
        metrics: Any = self.val_metrics
        metrics["loss"].update(weighted, len(batch))
        metrics["loss_unweighted"].update(unweighted, len(batch))
        metrics["auc"].update(predicted, ab)
        metrics["auc_rebalanced"].update(predicted, ab, pixel_weight)
        metrics["psnr"].update(psnr(colored, rgb))
        self.log_dict({f"val/{name}": metric for name, metric in metrics.items()}, batch_size=len(batch))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        self._rate = optimizer.param_groups[0]["lr"]  # the schedule has gone on when it is logged
        if not gradient_clip_val and not self.logs_step:
            return
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        if gradient_clip_val:
            norm = torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)
        else:
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.logs_step:
            self.log("train/gradient_norm", norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.regularizer.proximal:
            (optimizer,) = self.trainer.optimizers
            self.regularizer.proximal_step(self.network, optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimization.optimizer(self.network, fused=self._may_fuse())
        total = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.optimization.rate(step, total, self._time_share())
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["make"] = self._make()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_same_make(checkpoint["make"], self._make())
        use_settings(checkpoint, self.optimization.optimizer(self.network, fused=self._may_fuse()))

    def _may_fuse(self) -> bool:
        """Whether one kernel may take the optimizer's step: the scaler of 16-mixed would unscale inside of
        it, where gradients could not be clipped.
        """
        return self.device.type in ("cpu", "cuda") and self.trainer.precision != "16-mixed"

    def _make(self) -> dict[str, object]:
        """What a run cannot go on without: setting -> value."""
        centers = self.bins.centers.cpu().numpy().tobytes()
        return {
            "network.name": type(self.network).__name__.lower(),
            **{f"network.{name}": value for name, value in self.network.options.items()},
            "bins": f"{len(self.bins)} at step {self.bins.step:g} ({zlib.crc32(centers):08x})",
            "optimizer.name": self.optimization.name,
        }

    def _time_share(self) -> float:
        """How much of trainer.max_minutes is over, resumed runs included; 0 without such a limit."""
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        timers = [callback for callback in callbacks if isinstance(callback, Timer)]
        if timers and (left := timers[0].time_remaining()) is not None:
            if (
                self.logs_step or self.trainer.world_size == 1
            ):  # to agree on a clock is to wait for the device
                elapsed = timers[0].time_elapsed()
                self._share = float(self.trainer.strategy.broadcast(elapsed / (elapsed + left)))
            return self._share
        return 0.0


def upsample(ab: Float[Tensor, "b 2 h2 w2"], like: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 h w"]:
    """Bring ab from the network's grid to the size of `like`, bilinearly, cells aligned by their edges."""
    if ab.shape[2:] == like.shape[2:]:
        return ab
    return torch.nn.functional.interpolate(ab, size=like.shape[2:], mode="bilinear", align_corners=False)
