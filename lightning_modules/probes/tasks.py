"""Probes of a configuration's data, in the figures of its task, beside a baseline of mel band statistics."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from datamodules.base import ClipDataModule
from datamodules.clips import Batch
from lightning_modules.asd.backends import Backend
from lightning_modules.asd.detector import AnomalousSoundDetector
from lightning_modules.base import EvaluatedModule
from lightning_modules.baselines.classifiers import logistic_regression
from lightning_modules.baselines.statistics import Described, describe
from lightning_modules.event.event_report import event_report
from lightning_modules.probes.classifiers import NEIGHBOURS, classified, linear, nearest_clips
from lightning_modules.probes.embedder import Embedder
from lightning_modules.probes.embeddings import Split, embeddings
from lightning_modules.probes.machines import machine_reports
from lightning_modules.production import Tagger
from lightning_modules.production.tag_report import tag_report
from lightning_modules.run.rows import Report
from lightning_modules.ssd import SyntheticSpeechDetector
from lightning_modules.ssd.spoofing_report import spoofing_report

KNN = f"k-NN, k={NEIGHBOURS}"
BASELINE = (
    "baseline"  # mel band statistics: logistic regression of classes, the nearest normal clip of machines
)


class Probed(NamedTuple):
    """A probe's evaluation of a split.

    Attributes:
        layer: Of the encoder: its number, ``last``, or empty of the baseline.
        probe: What told clips apart, with what was chosen.
        split: That was evaluated.
        report: The task's own.
    """

    layer: str
    probe: str
    split: str
    report: Report


class Clips(NamedTuple):
    """Described splits of a data set.

    Attributes:
        train: Fits probes.
        tested: Split -> its clips.
    """

    train: Described
    tested: Mapping[str, Described]

    def layer(self, number: int) -> "Clips":
        """Of embeddings (clip, layer, dim) those of one layer, in float64."""

        def one(clips: Described) -> Described:
            return Described(clips.rows, clips.statistics[:, number].double())

        return Clips(one(self.train), {split: one(clips) for split, clips in self.tested.items()})


def probe(
    method: EvaluatedModule,
    datamodule: Any,
    embedder: Embedder,
    embed: Callable[[Batch], Tensor],
    settings: Mapping[str, Any],
    backends: Mapping[str, Backend] | None = None,
) -> list[Probed]:
    """Fits probes to the training clips and evaluates them on validation and test; nothing random is in them.

    What the task is follows from the data: machines' are of instances, speech's of spoof and bona fide, all others of
    classes or tags.

    Args:
        method: Its front end is heard through; no weight of it changes.
        datamodule: Whose rows have not been counted otherwise.
        embedder: Of the method's network.
        embed: A batch on the method's device -> (clip, layer, dim), by both; see `heard.embed`.
        settings: Arguments of the method in the configuration, which the cache is asked by.
        backends: Name -> what scores machines too, by embeddings and by statistics of mel bands.

    Raises:
        ValueError: The method has no embedding, or there is nothing to tell apart, or no machines for back ends.
    """
    if not isinstance(datamodule, ClipDataModule):
        raise ValueError(
            f"{type(method).__name__} on {type(datamodule).__name__}: probes are of clips with classes: set data to a"
            " data set of speech, machines, events or tags"
        )
    datamodule.setup()
    of_machines = any("instance" in rows[0].attributes for rows in datamodule.rows.values() if rows)
    evaluated: Sequence[Split] = [each for each in ("validation", "test") if datamodule.rows.get(each)]
    if of_machines:
        evaluated = [each for each in evaluated if any(row.target == 1 for row in datamodule.rows[each])]
        score: Callable[[Clips, str], list[Probed]] = partial(_of_machines, datamodule, backends)
        _count(datamodule, AnomalousSoundDetector, method)
    else:
        if backends:
            raise ValueError(
                f"--backends score machines, and {type(datamodule).__name__} names none: leave it out"
            )
        if _is_speech(datamodule):
            _count(datamodule, SyntheticSpeechDetector, method)
        elif method.target_names:
            datamodule.count_classes_as(method.target_names, method=type(method).__name__, complete=True)
        score = partial(_of_classes, method, datamodule)
    if not evaluated:
        raise ValueError(
            f"{datamodule.root}: no labelled clips of both kinds in validation and test: nothing to evaluate"
        )
    described = partial(embeddings, method, embedder, embed, datamodule, settings=settings)
    heard = Clips(described("train"), {split: described(split) for split in evaluated})
    num_layers = heard.train.statistics.shape[1]
    names = [str(number) for number in range(num_layers)] if embedder.layers == "all" else ["last"]
    found = [each for number, name in enumerate(names) for each in score(heard.layer(number), name)]
    return [*found, *score(_statistics(datamodule, evaluated), "")]


def _is_speech(datamodule: ClipDataModule) -> bool:
    names = list(datamodule.target_names.values())
    return len(names) == 1 and set(names[0]) == set(SyntheticSpeechDetector.classes)


def _count(datamodule: ClipDataModule, kind: type[Any], method: EvaluatedModule) -> None:
    datamodule.count_classes_as({"class": kind.classes}, method=type(method).__name__, complete=False)


def _statistics(datamodule: ClipDataModule, evaluated: Sequence[Split]) -> Clips:
    """Statistics of mel bands of the same clips."""
    loaders = {"validation": datamodule.val_dataloader, "test": datamodule.test_dataloader}
    rates: Mapping[str, Any] = {"sample_rate": datamodule.sample_rate, "device": torch.device("cpu")}
    return Clips(
        describe(datamodule.reference_dataloader(), datamodule.rows["train"], **rates),
        {split: describe(loaders[split](), datamodule.rows[split], **rates) for split in evaluated},
    )


def _of_classes(
    method: EvaluatedModule, datamodule: ClipDataModule, clips: Clips, layer: str
) -> list[Probed]:
    num_classes = [len(names) for names in datamodule.target_names.values()]
    splits, tested = list(clips.tested), list(clips.tested.values())
    if layer:
        validation = splits.index("validation") if "validation" in splits else None
        chosen = linear(clips.train, tested, num_classes, validation=validation)
        found = {
            f"linear, C={chosen.inverse_penalty:g}": chosen.scores,
            KNN: classified(nearest_clips, clips.train, tested, num_classes),
        }
    else:
        found = {BASELINE: classified(logistic_regression, clips.train, tested, num_classes)}
    return [
        Probed(layer, name, split, _report(method, datamodule, split, clips.tested[split], scores))
        for name, all_scores in found.items()
        for split, scores in zip(splits, all_scores, strict=True)
    ]


def _report(
    method: EvaluatedModule, datamodule: ClipDataModule, split: Any, clips: Described, scores: Tensor
) -> Report:
    if _is_speech(datamodule):
        spoof, bonafide = scores.unbind(dim=1)
        return spoofing_report(clips.rows, bonafide - spoof, asv_scores=datamodule.asv_scores(split))
    names = datamodule.target_names
    heads = scores.split([len(classes) for classes in names.values()], dim=1)
    probabilities = torch.cat([head.softmax(dim=1) for head in heads], dim=1)
    report = tag_report if isinstance(method, Tagger) else event_report
    return report(clips.rows, probabilities, names, coverage=datamodule.coverage.get(split))


def _of_machines(
    datamodule: Any, backends: Mapping[str, Backend] | None, clips: Clips, layer: str
) -> list[Probed]:
    """Distances from the normal clips of a machine's instance, from all of one that training has not."""
    found = machine_reports(
        clips.train,
        clips.tested,
        backends,
        name=KNN if layer else BASELINE,
        of_statistics=not layer,
        year=datamodule.year,
    )
    return [Probed(layer, *each) for each in found]
