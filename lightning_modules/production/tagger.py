"""Training and scoring of a tagger: what a sound is, in the user's own classes or tags."""

from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from datamodules.base import ClipDataModule
from lightning_modules.base import Split
from lightning_modules.event.classifier import EventClassifier
from lightning_modules.event.event_report import Heads
from lightning_modules.networks.output import Output
from lightning_modules.optimization import EncoderRate
from lightning_modules.package.scorers import ClassScorer
from lightning_modules.production.tag_report import tag_metrics, tag_report
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report


class Tagger(EventClassifier):
    """Trains a network as Panotti does: by cross entropy, with labels smoothed by 0.005.

    Data of one head make a classifier. Data of several heads of two classes make a tagger: the network has one logit a
    tag, and the loss is the binary cross entropy averaged over tags.

    Args:
        network: (batch, channel, mel, frame) -> `Output` with one logit a class, or a tag. Where the data has other
            classes than it, its head is made anew by ``reset_classifier(num_classes)``.
        frontend: (batch, channel, time) and the clips' lengths (batch,) -> features; its `settings` are kept.
        label_smoothing: Share of a label's weight that all classes of its head get evenly.
        weights: What the network begins with, see `EvaluatedModule`. A head for other classes or tags is left out.
        compile_network: Run the network through torch.compile.
        optimizer: Made from the trainable parameters; biases and norms do not decay. The default is Keras' Adadelta.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
        encoder_lr: How much more slowly a pretrained encoder learns, see `EvaluatedModule`.

    Attributes:
        heads: Head -> class names by index, from the data of training; checkpoints keep them.
    """

    def __init__(
        self,
        network: nn.Module,
        frontend: nn.Module,
        *,
        label_smoothing: float = 0.005,
        weights: str | Weights | None = None,
        compile_network: bool = False,
        optimizer: OptimizerCallable = torch.optim.Adadelta,
        lr_scheduler: LRSchedulerCallable | None = None,
        encoder_lr: EncoderRate | None = None,
    ) -> None:
        super().__init__(
            network,
            frontend,
            label_smoothing=label_smoothing,
            weights=weights,
            compile_network=compile_network,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            encoder_lr=encoder_lr,
        )

    @property
    def is_multi_tag(self) -> bool:
        """Whether a clip may have any number of tags."""
        return len(self.heads) > 1

    def _set_heads(self, heads: Heads) -> None:
        if len(heads) > 1 and (others := [head for head, names in heads.items() if len(names) != 2]):
            raise ValueError(
                f"data: {others[0]} has {len(heads[others[0]])} classes beside {len(heads) - 1} other heads, and a"
                f" {type(self).__name__} tells classes of one head, or tags, apart: name an EventClassifier"
            )
        self.heads = heads
        self._make_head(len(heads) if self.is_multi_tag else sum(self.num_classes))

    def of_features(self, features: Tensor) -> Output:
        """Maps (batch, channel, mel, frame) to embeddings (batch, 128) and logits of all heads side by side."""
        output = super().of_features(features)
        if not self.is_multi_tag:
            return output
        # A sigmoid is a softmax over a logit of zero and its own.
        pairs = torch.stack([torch.zeros_like(output.logits), output.logits], dim=2)  # (batch, tag, 2)
        return output._replace(logits=pairs.flatten(1))

    def scorer(self) -> ClassScorer:
        """Returns front end, network and scoring rule alone, for an inference package."""
        return ClassScorer(self.network, self.frontend, heads=self.heads, is_multi_tag=self.is_multi_tag)

    def validation_metrics(self) -> dict[str, float]:
        """Accuracy and the like."""
        clips, probabilities = self.scored(self.data, "validation")
        return tag_metrics(probabilities, torch.tensor([clip.target for clip in clips]), self.heads)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the classes and how the features are made."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["features"] = self.frontend.settings

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the classes.

        Raises:
            ValueError: The checkpoint was trained on other features.
        """
        super().on_load_checkpoint(checkpoint)
        for name, value in checkpoint["features"].items():
            if self.frontend.settings.get(name) != value:
                raise ValueError(
                    f"frontend.{name} is {self.frontend.settings.get(name)}, and the checkpoint was trained with"
                    f" {value}: give the same, or leave out --config to take the checkpoint's own"
                )

    def report(self, datamodule: ClipDataModule, split: Split) -> Report:
        """Evaluates the probabilities that the last validation or test loop gathered."""
        clips, probabilities = self.scored(datamodule, split)
        return tag_report(clips, probabilities, self.heads, coverage=datamodule.coverage.get(split))
