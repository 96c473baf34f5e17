"""Synthesis of short sounds by a generator and a discriminator that train each other."""

from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.metrics.generation import Description, compare, describe
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.networks.specgan import SpecGAN
from lightning_modules.networks.wavegan import WaveGAN
from lightning_modules.objectives import adversarial
from lightning_modules.optimization import fused_on_cpu
from lightning_modules.production.synthesis_report import synthesis_report
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report

_NUM_GENERATED = 128  # sounds that validation and test judge by


class Synthesizer(EvaluatedModule[ClipDataModule]):
    """Trains a `WaveGAN` or `SpecGAN` (Donahue et al., ICLR 2019).

    Every batch trains the discriminator, and every `critic_steps`-th the generator too. With several ranks set
    ``trainer.strategy: ddp_find_unused_parameters_true``, for a step trains only one of the two networks.

    Args:
        network: Generator and discriminator, of waveforms or spectrograms.
        sample_rate: Of the sounds, in Hz.
        loss: ``wgan-gp`` (the paper's) or ``dcgan``, which comes further in few steps.
        critic_steps: Steps of the discriminator for one of the generator, 5 with wgan-gp, else 1.
        penalty: λ of the gradient penalty of wgan-gp.
        real_label: Target of real sounds with dcgan.
        random_polarity: Invert the polarity of half of the real sounds, which nobody hears.
        weights: What both networks begin with, see `EvaluatedModule`.
        optimizer: Made from the parameters of each network.
    """

    def __init__(
        self,
        network: WaveGAN | SpecGAN,
        *,
        sample_rate: int,
        loss: Literal["wgan-gp", "dcgan"] = "wgan-gp",
        critic_steps: int = 5,
        penalty: float = 10.0,
        real_label: float = 1.0,
        random_polarity: bool = False,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
    ) -> None:
        super().__init__(network, table=MeanTable, weights=weights, optimizer=optimizer)
        if critic_steps < 1:
            raise ValueError(
                f"critic_steps is {critic_steps}: the generator learns from the discriminator, give 1 or more"
            )
        self.automatic_optimization = False
        self.sample_rate, self.loss = sample_rate, loss
        self.critic_steps, self.penalty = critic_steps, penalty
        self.real_label, self.random_polarity = real_label, random_polarity
        self.num_batches = 0  # seen in training
        self.metrics: dict[str, float] = {}

    def forward(self, z: Tensor) -> Tensor:
        """Maps z (batch, latent), uniform in [-1, 1], to waveforms (batch, 1, time)."""
        return self.network(z)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Builds one optimizer for the generator and one for the discriminator."""
        return [
            fused_on_cpu(self.optimizer_factory(part.parameters()))
            for part in (self.network.generator, self.network.discriminator)
        ]

    @torch.no_grad()
    def on_fit_start(self) -> None:
        """Measures the scale of spectrograms on the training clips, once a run; the checkpoint keeps it."""
        if isinstance(self.network, SpecGAN) and not self.network.spectrogram.is_fitted:
            self.network.spectrogram.fit(
                batch.waveform.to(self.device) for batch in self.data.reference_dataloader()
            )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Takes a step of the discriminator, and of the generator when it is due."""
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())
        real = self._real(batch)
        loss = self._step(discriminator, lambda: self._discriminator_loss(real))
        self.log("train/discriminator", loss, prog_bar=True, batch_size=1)
        self.num_batches += 1
        if self.num_batches % self.critic_steps == 0:
            loss = self._step(generator, lambda: self._generator_loss(len(real)))
            self.log("train/generator", loss, prog_bar=True, batch_size=1)

    def _real(self, batch: Batch) -> Tensor:
        """What the discriminator sees of the training clips."""
        waveform = batch.waveform
        if waveform.shape[1:] != (1, self.network.num_samples):
            seconds = self.network.num_samples / self.sample_rate
            raise ValueError(
                f"clips of {waveform.shape[1]} x {waveform.shape[2]} samples where 1 x {self.network.num_samples} were"
                f" expected: set data.num_samples={self.network.num_samples} of OneShots, or data.train_crop_s and"
                f" eval_crop_s to {seconds:g} and mono to true"
            )
        if self.random_polarity:
            waveform = waveform * (torch.randint(2, (len(waveform), 1, 1), device=self.device) * 2 - 1)
        return self.network.analyse(waveform)

    def _step(self, optimizer: LightningOptimizer, loss_of: Callable[[], Tensor]) -> Tensor:
        """One step of one network; the other one's parameters ask for no gradient meanwhile."""
        self.toggle_optimizer(optimizer)
        loss = loss_of()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        return loss.detach()

    def _discriminator_loss(self, real: Tensor) -> Tensor:
        with torch.no_grad():
            generated = self.network.generator(self._draw(len(real)))
        critic = self.network.discriminator
        scores = critic(real).float(), critic(generated).float()
        if self.loss == "dcgan":
            return adversarial.cross_entropy_critic(*scores, real_label=self.real_label)
        return adversarial.wasserstein_critic(*scores) + self.penalty * adversarial.gradient_penalty(
            critic, real, generated
        )

    def _generator_loss(self, num_sounds: int) -> Tensor:
        scores = self.network.discriminator(self.network.generator(self._draw(num_sounds))).float()
        if self.loss == "dcgan":
            return adversarial.cross_entropy_generator(scores)
        return adversarial.wasserstein_generator(scores)

    def _draw(self, num_sounds: int) -> Tensor:
        return torch.rand(num_sounds, self.network.latent_dim, device=self.device) * 2 - 1

    @torch.no_grad()
    def generate(self, num_sounds: int, *, seed: int, batch_size: int = 64) -> Tensor:
        """Makes sounds (num_sounds, 1, time) that the seed alone determines; more of them begin with the same ones."""
        random = torch.Generator().manual_seed(seed)
        z = torch.rand(num_sounds, self.network.latent_dim, generator=random) * 2 - 1
        return torch.cat([self(part.to(self.device)).float() for part in z.split(batch_size)])

    def scorer(self) -> None:
        """None: sounds are made, and no clip has a score."""

    def score(self, batch: Batch) -> Tensor:
        """Describes real clips, (batch, figure)."""
        features, power = describe(batch.waveform, sample_rate=self.sample_rate)
        return torch.cat([features, power], dim=1)

    def gather(self) -> None:
        """Compares generated sounds with the real ones of all ranks."""
        _, rows = self.collected.gathered()
        generated = self.generate(_NUM_GENERATED, seed=0)
        description = describe(generated, sample_rate=self.sample_rate)
        features, power = rows.cpu().tensor_split([description.features.shape[1]], dim=1)
        self.metrics = compare(
            Description(*(part.cpu() for part in description)), Description(features, power)
        )

    def validation_metrics(self) -> dict[str, float]:
        """Distances of the generated sounds from the real ones."""
        return self.metrics

    def report(self, datamodule: ClipDataModule, split: Split) -> Report:
        """Sums up the last loop, and listens for copies of training clips."""
        training = [batch.waveform[:, 0] for batch in datamodule.reference_dataloader()]
        sounds = self.generate(_NUM_GENERATED, seed=0)[:, 0].cpu()
        return synthesis_report(sounds, torch.cat(training), self.metrics, sample_rate=self.sample_rate)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps whose turn it is, and what commands need to know of the audio."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["num_batches"], checkpoint["sample_rate"] = self.num_batches, self.sample_rate

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores whose turn it is."""
        super().on_load_checkpoint(checkpoint)
        self.num_batches = checkpoint["num_batches"]
