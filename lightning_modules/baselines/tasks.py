"""The baselines of every method, on the clips and with the figures of the method's own report."""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from datamodules.base import ClipDataModule
from lightning_modules.asd import FrontEndEnsemble
from lightning_modules.asd.detector import AnomalousSoundDetector
from lightning_modules.asd.ensemble_report import ensemble_report
from lightning_modules.asd.machine_report import machine_report
from lightning_modules.base import EvaluatedModule
from lightning_modules.baselines.classifiers import CLASSIFIERS, Classifier, logistic_regression
from lightning_modules.baselines.distances import mahalanobis, nearest_normal
from lightning_modules.baselines.labels import instance_numbers, labelled, targets
from lightning_modules.baselines.regression import REGRESSIONS
from lightning_modules.baselines.statistics import Described, LogMelStatistics, describe
from lightning_modules.event import EventClassifier
from lightning_modules.event.event_report import event_report
from lightning_modules.metrics import generation
from lightning_modules.production import Mapper, Synthesizer, Tagger
from lightning_modules.production.pair_module import PairModule
from lightning_modules.production.synthesis_report import synthesis_report
from lightning_modules.production.tag_report import tag_report
from lightning_modules.run.rows import Report
from lightning_modules.ssd import SyntheticSpeechDetector
from lightning_modules.ssd.spoofing_report import spoofing_report

_NUM_SOUNDS = 128  # as many as a synthesizer is judged by


@singledispatch
def baselines(method: EvaluatedModule, datamodule: Any) -> dict[str, Report]:
    """Name of each baseline -> its report of the test split; nothing random is in them.

    A method of one's own registers a function here: ``@baselines.register``.

    Args:
        method: Which task it is; its weights play no part.
        datamodule: Whose training clips are learnt from.

    Raises:
        ValueError: The method has no baseline.
    """
    raise ValueError(
        f"no baseline is known for {type(method).__name__} on {type(datamodule).__name__}: register one with"
        " lightning_modules.baselines.tasks.baselines.register"
    )


@baselines.register
def _(method: SyntheticSpeechDetector, datamodule: ClipDataModule) -> dict[str, Report]:
    train, test = _described(method, datamodule)
    train, target = labelled(train, targets(train)[:, 0])

    def score(classifier: Classifier) -> Tensor:
        spoof, bonafide = classifier(train.statistics, target, test.statistics, 2).unbind(dim=1)
        return bonafide - spoof

    return {
        name: spoofing_report(test.rows, score(classifier), asv_scores=datamodule.asv_scores("test"))
        for name, classifier in CLASSIFIERS.items()
    }


@baselines.register
def _(method: EventClassifier, datamodule: ClipDataModule) -> dict[str, Report]:
    train, test = _described(method, datamodule)
    report = tag_report if isinstance(method, Tagger) else event_report
    return {
        name: report(
            test.rows,
            _probabilities(
                classifier, train, test, [len(names) for names in datamodule.target_names.values()]
            ),
            datamodule.target_names,
            coverage=datamodule.coverage.get("test"),
        )
        for name, classifier in CLASSIFIERS.items()
    }


def _probabilities(
    classifier: Classifier, train: Described, test: Described, num_classes: list[int]
) -> Tensor:
    """Of the classes of all heads, side by side: float64 (clip, class)."""
    parts = []
    for target, classes in zip(targets(train).unbind(dim=1), num_classes, strict=True):
        known, labels = labelled(train, target)
        parts.append(classifier(known.statistics, labels, test.statistics, classes).softmax(dim=1))
    return torch.cat(parts, dim=1)


@baselines.register
def _(method: AnomalousSoundDetector, datamodule: Any) -> dict[str, Report]:
    train, test = _described(method, datamodule)
    normal = torch.tensor([row.target == 0 for row in train.rows])
    train, instances = labelled(train, torch.where(normal, instance_numbers(train, train), -1))
    tested = instance_numbers(test, train)

    def of_instance(distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Distance of each clip from the normal ones of its machine instance, or from all of an unseen one."""
        scores = torch.empty(len(tested), dtype=torch.float64)
        for instance in tested.unique().tolist():
            own = instances == instance if instance >= 0 else instances >= 0
            scores[tested == instance] = distance(train.statistics[own], test.statistics[tested == instance])
        return scores

    scores = {"nearest neighbour": of_instance(nearest_normal), "distance": of_instance(mahalanobis)}
    num_instances = int(instances.max()) + 1
    if num_instances > 1:  # the less likely its own instance, the stranger a clip
        log_p = logistic_regression(train.statistics, instances, test.statistics, num_instances)
        own = log_p.gather(1, tested.clamp_min(0)[:, None])[:, 0]
        scores["logistic regression"] = -torch.where(tested >= 0, own, log_p.amax(dim=1))
    if isinstance(method, FrontEndEnsemble):
        return {
            name: ensemble_report(test.rows, each, {}, {}, thresholds={}) for name, each in scores.items()
        }
    return {
        name: machine_report(test.rows, each, year=datamodule.year, thresholds={})
        for name, each in scores.items()
    }


@baselines.register
def _(method: Mapper, datamodule: Any) -> dict[str, Report]:
    datamodule.setup()
    method.outputs = dict(datamodule.outputs)
    (train,), test = datamodule.train_dataloader(), list(datamodule.test_dataloader())
    inputs, tested = train.inputs, torch.cat([batch.inputs for batch in test])
    if not datamodule.input_names:  # sounds
        statistics = LogMelStatistics(datamodule.sample_rate)
        inputs, tested = (statistics(x[:, None], torch.full((len(x),), x.shape[1])) for x in (inputs, tested))
    reports = {}
    for name, regression in REGRESSIONS.items():
        predicted = regression(inputs.double(), train.outputs.double(), tested.double(), method.num_classes)
        method.gathered = (torch.cat([batch.index for batch in test]), predicted)
        reports[name] = method.report(datamodule, "test")
    return reports


@baselines.register
def _(method: Synthesizer, datamodule: ClipDataModule) -> dict[str, Report]:
    datamodule.setup()
    training = torch.cat([batch.waveform for batch in datamodule.reference_dataloader()])
    real = [
        generation.describe(batch.waveform, sample_rate=method.sample_rate)
        for batch in datamodule.test_dataloader()
    ]
    order = torch.randint(len(training), (_NUM_SOUNDS,), generator=torch.Generator().manual_seed(0))
    drawn = training[order]
    figures = generation.compare(
        generation.describe(drawn, sample_rate=method.sample_rate),
        generation.Description(*(torch.cat(part) for part in zip(*real, strict=True))),
    )
    report = synthesis_report(drawn[:, 0], training[:, 0], figures, sample_rate=method.sample_rate)
    return {"training clips, shuffled": report}


@baselines.register
def _(method: PairModule, _: Any) -> dict[str, Report]:
    raise ValueError(
        f"the report of {type(method).__name__} itself has the trivial answer, the recording as it is: its figures"
        " named _dry, _before or _in"
    )


def _described(method: EvaluatedModule, datamodule: ClipDataModule) -> tuple[Described, Described]:
    """The training clips, each once, and those of the test, whose classes are counted as the method does."""
    datamodule.setup()
    if method.target_names:
        datamodule.count_classes_as(method.target_names, method=type(method).__name__, complete=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rates: Mapping[str, Any] = {"sample_rate": datamodule.sample_rate, "device": device}
    return (
        describe(datamodule.reference_dataloader(), datamodule.rows["train"], **rates),
        describe(datamodule.test_dataloader(), datamodule.rows["test"], **rates),
    )
