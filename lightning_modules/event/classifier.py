"""Training and scoring of a classifier of audio events."""

from types import MappingProxyType
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning_utilities.core.rank_zero import rank_zero_info
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from datamodules.clips.class_names import describe_difference
from lightning_modules import optimization
from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.event.event_report import Heads, event_report, head_metrics
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.networks.output import Output
from lightning_modules.objectives.mixup import Mixup, one_hot
from lightning_modules.optimization import EncoderRate
from lightning_modules.package.scorers import ClassScorer
from lightning_modules.run.pretrained import Pretrained, Weights, listed
from lightning_modules.run.rows import Report


class EventClassifier(EvaluatedModule[ClipDataModule]):
    """Trains any network that returns `Output` by a loss that is averaged over the heads of its classes.

    A clip's scores are the probabilities of all classes, heads side by side, averaged over its views.

    Args:
        network: (batch, mel, frame) -> `Output` with one logit a class, heads side by side. Where the data has other
            classes than it, its head is made anew by ``reset_classifier(num_classes)``.
        frontend: (batch, channel, time) and the clips' lengths (batch,) -> features, on the training device.
        objective: (logits (batch, class), target (batch, class)) of a head -> loss; rows of targets add up to 1, or to
            0 where the class is unknown. Null is the cross entropy.
        mixup: Mixes training clips and their labels.
        label_smoothing: Share of a label's weight that all classes of its head get evenly.
        weights: What the network begins with, see `EvaluatedModule`. A head for other classes is left out.
        compile_network: Run the network through torch.compile.
        optimizer: Made from the trainable parameters; biases, norms and position tables do not decay.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
        encoder_lr: How much more slowly a pretrained encoder learns, see `EvaluatedModule`.

    Attributes:
        heads: Head -> class names by index, from the data of training; checkpoints keep them.
    """

    training_only = ("objective.",)
    pretrained_heads: Heads = MappingProxyType({})  # whose head the weights hold that training begins with

    def __init__(
        self,
        network: nn.Module,
        frontend: nn.Module,
        *,
        objective: nn.Module | None = None,
        mixup: Mixup | None = None,
        label_smoothing: float = 0.0,
        weights: str | Weights | None = None,
        compile_network: bool = False,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        lr_scheduler: LRSchedulerCallable | None = None,
        encoder_lr: EncoderRate | None = None,
    ) -> None:
        super().__init__(
            network,
            frontend,
            table=MeanTable,
            weights=weights,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            encoder_lr=encoder_lr,
        )
        self.objective, self.mixup, self.label_smoothing = objective, mixup, label_smoothing
        if compile_network:
            network.compile()
        self.heads: Heads = {}

    def begin_with(self, pretrained: Pretrained) -> None:
        """Takes the network of earlier weights, its head too; `setup` replaces one of other classes than the data's."""
        self.pretrained_heads = {head: list(names) for head, names in pretrained.heads.items()}
        if self.pretrained_heads:
            self._set_heads(self.pretrained_heads)
        super().begin_with(pretrained)

    def setup(self, stage: str) -> None:
        """Takes the classes from the data, unless a checkpoint, or the weights that it starts from, have the same.

        Raises:
            ValueError: The checkpoint was trained on other classes.
        """
        if not self.heads:
            self._take_heads({head: list(names) for head, names in self.data.target_names.items()})
        super().setup(stage)

    def _take_heads(self, found: Heads) -> None:
        """Of a new run: the order of the weights where their classes are the data's, and else a new head."""
        heads = self.pretrained_heads
        if heads and describe_difference(found, heads, complete=True) is None:
            self._set_heads(heads)
            return
        before, parameters = self.network.num_classes, dict(self.network.named_parameters())
        self._set_heads(found)
        wanted = self.network.num_classes
        if self.pretrained_heads:
            if wanted == before and hasattr(self.network, "reset_classifier"):
                self._make_head(wanted, anew=True)  # as many classes, but not the same
            anew = [
                name for name, each in self.network.named_parameters() if each is not parameters.get(name)
            ]
            rank_zero_info(
                f"model.weights: trained on the classes {_summary(self.pretrained_heads)}, and the data have"
                f" {_summary(found)}: not taken, and begun anew: {listed(anew) or 'nothing'}"
            )
        elif wanted != before:
            rank_zero_info(f"the network's head of {before} classes gives way to one of the data's {wanted}")

    def on_fit_start(self) -> None:
        """Compares the classes of a checkpoint that training continues from, which is read after `setup`."""
        super().setup("fit")

    def _set_heads(self, heads: Heads) -> None:
        self.heads = heads
        self._make_head(sum(self.num_classes))

    def _make_head(self, num_classes: int, *, anew: bool = False) -> None:
        """Gives the network a head of so many logits, unless it has one and none is wanted anew.

        Raises:
            ValueError: The network cannot make one.
        """
        if num_classes == self.network.num_classes and not anew:
            return
        if not hasattr(self.network, "reset_classifier"):
            raise ValueError(
                f"model.network tells {self.network.num_classes} classes apart, and the data have {num_classes}: set"
                f" model.network.num_classes={num_classes}, or give {type(self.network).__name__} a"
                " reset_classifier(num_classes)"
            )
        self.network.reset_classifier(num_classes)

    @property
    def num_classes(self) -> list[int]:
        """Classes of each head."""
        return [len(names) for names in self.heads.values()]

    def forward(self, waveform: Tensor, length: Tensor | None = None) -> Output:
        """Maps (batch, channel, time) waveforms of `length` samples (batch,) to embeddings and logits."""
        return self.of_features(self.frontend(waveform, length))

    def of_features(self, features: Tensor) -> Output:
        """Maps what the front end makes of clips to embeddings and logits."""
        return self.network(features)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss, the mean over heads and clips; an unknown label adds nothing to a cross entropy."""
        if batch.features is not None:
            if self.mixup is not None:
                raise ValueError(
                    "mixup mixes waveforms, and the data have features alone: set model.mixup to null"
                )
            output, target = self.of_features(batch.features), one_hot(batch.target, self.num_classes)
        elif self.mixup is None:
            output = self(batch.waveform, batch.length)
            target = one_hot(batch.target, self.num_classes)
        else:
            mixed, target = self.mixup(
                batch.waveform, batch.target, num_classes=self.num_classes, length=batch.length
            )
            output = self(mixed, batch.length)
        logits = output.logits.float()
        objective = F.cross_entropy if self.objective is None else self.objective
        losses = [
            objective(predicted, _smooth(wanted, self.label_smoothing))
            for predicted, wanted in zip(
                logits.split(self.num_classes, 1), target.split(self.num_classes, 1), strict=True
            )
        ]
        loss = torch.stack(losses).mean()
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters that decay, and biases, norms and tables, which do not."""
        return optimization.decay_weights_only(self)

    def scorer(self) -> ClassScorer:
        """Returns front end, network and scoring rule alone, for an inference package."""
        return ClassScorer(self.network, self.frontend, heads=self.heads)

    def score(self, batch: Batch) -> Tensor:
        """Returns the probabilities of all classes, float32 (batch, sum of classes), each head adding up to 1."""
        if batch.features is not None:
            return self.scorer().of_features(batch.features)
        return super().score(batch)

    def validation_metrics(self) -> dict[str, Any]:
        """Top-1 accuracy and the like, fractions."""
        clips, probabilities = self.scored(self.data, "validation")
        return head_metrics(probabilities, torch.tensor([clip.target for clip in clips]), self.heads)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the classes."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["heads"] = self.heads

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the classes, and makes a head for them."""
        super().on_load_checkpoint(checkpoint)
        self._set_heads({head: list(names) for head, names in checkpoint["heads"].items()})

    def report(self, datamodule: ClipDataModule, split: Split) -> Report:
        """Evaluates the probabilities that the last validation or test loop gathered."""
        clips, probabilities = self.scored(datamodule, split)
        return event_report(clips, probabilities, self.heads, coverage=datamodule.coverage.get(split))


def _smooth(target: Tensor, label_smoothing: float) -> Tensor:
    """Targets (batch, class) of which all classes share a part; rows add up to 1, or 0 if unknown, as before."""
    weight = target.sum(dim=1, keepdim=True)  # PyTorch's own label smoothing takes it to be 1
    return torch.lerp(target, weight / target.shape[1], label_smoothing)


def _summary(heads: Heads) -> str:
    return ", ".join(f"{head} {len(names)} from {names[0]!r}" for head, names in heads.items())
