"""What all anomalous sound detectors share: one score a clip, thresholds, the challenge's report."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from lightning_modules.asd.machine_report import machine_report
from lightning_modules.asd.threshold_report import tell_of, with_thresholds
from lightning_modules.asd.thresholds import Rule, Threshold, fit_threshold
from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.metrics import ScoreTable
from lightning_modules.optimization import EncoderRate
from lightning_modules.package.scorers import Scorer
from lightning_modules.run.fitted import Fitted
from lightning_modules.run.pretrained import Weights
from lightning_modules.run.rows import Report


class AnomalousSoundDetector(EvaluatedModule[ClipDataModule], ABC):
    """Scores clips, higher = more anomalous; a method is a subclass with a `training_step` and a `scorer`.

    Args:
        network: What learns, where it is one network.
        frontend: What makes its features.
        threshold: How the decision threshold of a machine instance follows from the scores of its normal training
            clips, see `thresholds.fit_threshold`.
        threshold_quantile: Share of normal clips that should pass; the rest are false alarms.
        weights: What the network begins with, see `EvaluatedModule`.
        optimizer: Made from the trainable parameters.
        lr_scheduler: Made from the optimizer; see `optimization.configure` for when it steps.
        encoder_lr: How much more slowly a pretrained encoder learns, see `EvaluatedModule`.

    Attributes:
        instances: Machine instances trained on, in the order of their class indices.
        thresholds: Instance -> score above which a clip counts as anomalous; fitted before a test.
        found: Instance -> how its threshold was found; empty where an older release found it.
    """

    fits_on_training_clips = True
    learns_from_outliers: ClassVar[bool] = False
    """Whether clips of class anomaly are trained on; else all of training are normal."""

    classes = ("normal", "anomaly")

    def __init__(
        self,
        network: nn.Module | None = None,
        frontend: nn.Module | None = None,
        *,
        threshold: Rule = "gamma",
        threshold_quantile: float = 0.9,
        weights: str | Weights | None = None,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        encoder_lr: EncoderRate | None = None,
    ) -> None:
        super().__init__(
            network,
            frontend,
            weights=weights,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            encoder_lr=encoder_lr,
        )
        self.threshold: Rule = threshold
        self.threshold_quantile = threshold_quantile
        self.instances: list[str] = []
        self.thresholds: dict[str, float] = {}
        self.found: dict[str, Threshold] = {}

    def setup(self, stage: str) -> None:
        """Names the classes after the data's machine instances.

        Raises:
            ValueError: The data name no machine instances, or have outliers in training where the method has no use for
                them, or none where it needs them, or a run continues on others than it began with.
        """
        super().setup(stage)
        data = self.data
        if stage != "predict" and any(
            "instance" not in rows[0].attributes for rows in data.rows.values() if rows
        ):
            raise ValueError(
                f"data: {type(data).__name__} names no machine instances, by which {type(self).__name__} is"
                " evaluated: set data to ClipList, for any folders and lists, or lay the files out as DCASE 2020 does,"
                " MACHINE/{train,test}/{normal,anomaly}_id_00_NUMBER.wav, and set data to DCASE"
            )
        if stage == "fit":
            self._take_instances()
            self._check_outliers()

    def _check_outliers(self) -> None:
        rows, name = self.data.rows["train"], type(self).__name__
        outliers = [clip for clip in rows if clip.target == 1]
        if self.learns_from_outliers and not outliers:
            raise ValueError(
                f"{name} tells normal clips from proxy outliers, and the training has none: name some with"
                " data.proxy_outliers, or take a method that learns from normal sounds alone, as"
                " configs/asd_autoencoder.yaml"
            )
        if outliers and not self.learns_from_outliers:
            raise ValueError(
                f"{len(outliers)} of {len(rows)} clips of training are of class anomaly, e.g. {outliers[0].key},"
                f" and {name} would learn them as normal: put them into the test, and set data.proxy_outliers to null"
            )

    def _take_instances(self) -> None:
        normal = [clip for clip in self.data.rows["train"] if clip.target == 0]
        found = sorted({clip.attributes.get("instance", "") for clip in normal})
        if self.instances and self.instances != found:
            raise ValueError(
                f"this run was trained on {', '.join(self.instances)}, and data.root now holds"
                f" {', '.join(found)}: give the run another id, or the old data"
            )
        self.instances = found

    @property
    def target_names(self) -> dict[str, Sequence[str]]:
        """Normal is 0, anomalous 1."""
        return {"class": self.classes}

    def instance_index(self, batch: Batch) -> Tensor:
        """int64 (batch,): which of `instances` each clip is of, -1 if none."""
        numbers = {name: number for number, name in enumerate(self.instances)}
        return torch.tensor(
            [numbers.get(name, -1) for name in _instances_of(batch)], device=batch.waveform.device
        )

    def check_instances(self, batch: Batch) -> None:
        """Refuses clips of machine instances that this detector was not trained on.

        Raises:
            ValueError: For such a clip.
        """
        for key, name in zip(batch.key, _instances_of(batch), strict=True):
            if name not in self.instances:
                raise ValueError(
                    f"clip {key} is of {name or 'no machine instance'}: this detector scores clips of"
                    f" {', '.join(self.instances)} alone"
                )

    def score(self, batch: Batch) -> Tensor:
        """Returns one float64 score a clip, (batch,)."""
        return self.engine()(batch.waveform, batch.length, self.instance_index(batch))

    @abstractmethod
    def scorer(self) -> Scorer:
        """Returns front ends, network and scoring rule; it is called with the clips' machine instances."""

    def validation_metrics(self) -> dict[str, Tensor]:
        """The mean score of held-out normal clips: the lower, the better they are known."""
        assert self.gathered is not None
        return {"score": self.gathered[1].mean()}

    def on_train_start(self) -> None:
        """Compares the instances of a checkpoint, which is read after `setup`; forgets what was fitted before."""
        self._take_instances()
        self.restore(Fitted())

    def on_test_start(self) -> None:
        """Fits the thresholds to the normal training clips, unless they were restored."""
        if not self.thresholds:
            self.found = self.fit_thresholds(self.reference_scores())
            self.thresholds = {name: found.value for name, found in self.found.items()}
            tell_of(self.found)

    @torch.no_grad()
    def reference_scores(self) -> tuple[Tensor, Tensor]:
        """Returns instance (clip,) and score (clip,) of the normal training clips of all ranks."""
        table = ScoreTable().to(self.device)
        for batch in self.reference_batches():
            table.update(self.score(batch), self.instance_index(batch), batch.index)
        _, scores, instance = table.compute()
        return instance.flatten(), scores.flatten()

    def reference_batches(self) -> Iterable[Batch]:
        """Yields the normal training clips on this module's device."""
        for batch in self.data.reference_dataloader():
            batch = self.on_before_batch_transfer(batch, 0)  # as a Trainer does
            yield self.trainer.strategy.batch_to_device(batch, self.device)

    def fit_thresholds(self, reference: tuple[Tensor, Tensor]) -> dict[str, Threshold]:
        """Returns one threshold an instance from `reference_scores`."""
        instance, scores = (column.cpu().numpy() for column in reference)
        return {
            self.instances[number]: fit_threshold(
                scores[instance == number], rule=self.threshold, quantile=self.threshold_quantile
            )
            for number in np.unique(instance[instance >= 0])
        }

    def fitted(self) -> Fitted:
        """The thresholds and how they were found."""
        return Fitted(self.thresholds, found={name: asdict(found) for name, found in self.found.items()})

    def restore(self, fitted: Fitted) -> None:
        """Takes back what `fitted` gave."""
        self.thresholds = dict(fitted.thresholds)
        self.found = {name: Threshold(**found) for name, found in fitted.found.items()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the order of the classes."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["instances"] = self.instances

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the order of the classes, and what scoring fitted where an older checkpoint holds it."""
        super().on_load_checkpoint(checkpoint)
        self.instances = list(checkpoint["instances"])
        if older := checkpoint.get("fitted"):
            with suppress(ValueError):  # of another backend: a test fits anew
                self.restore(_from_older(older))

    def report(self, datamodule: ClipDataModule, split: Split) -> Report:
        """Evaluates the scores that the last validation or test loop gathered, as the challenge of the year does."""
        clips, scores = self.scored(datamodule, split)
        year = cast(Challenge, datamodule).year
        report = machine_report(clips, scores, year=year, thresholds=self.thresholds)
        return with_thresholds(report, clips, self.found)


class Challenge(Protocol):
    """A data module of machines."""

    @property
    def year(self) -> int:
        """Edition of DCASE Task 2 whose rules apply."""
        ...


def _from_older(entry: Mapping[str, Any]) -> Fitted:
    """What checkpoints held before it went into the run's folder."""
    moments = {"error_moments": entry["error_moments"]} if "error_moments" in entry else {}
    return Fitted(entry["thresholds"], {**entry.get("backend", {}), **moments})


def _instances_of(batch: Batch) -> list[str]:
    """Machine instance of each clip; empty where the data set names none."""
    return batch.attributes.get("instance") or [""] * len(batch.key)
