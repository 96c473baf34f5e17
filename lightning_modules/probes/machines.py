"""Probes of machines: how far clips are from the normal ones of their instance, by any number of back ends."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor

from lightning_modules.asd import backends as room
from lightning_modules.asd.backends import Backend
from lightning_modules.asd.machine_report import machine_report
from lightning_modules.baselines.classifiers import standardized
from lightning_modules.baselines.distances import nearest_normal
from lightning_modules.baselines.labels import instance_numbers, labelled
from lightning_modules.baselines.statistics import Described
from lightning_modules.probes.classifiers import distance
from lightning_modules.run.rows import Report

_ALL = (
    "NearestNeighbours",
    "Mahalanobis",
    "KMeans",
    "SMOTE",
    "MemMix",
    "Rescaled",
    "LocalDensity",
    "GaussianMixture",
    "DomainNormalized",
    "TransductiveDomainNormalized",
    "RankFusion",
)


def named_backends(words: Sequence[str]) -> dict[str, Backend]:
    """Back ends by the names that tables have.

    Args:
        words: Names of classes in `lightning_modules.asd.backends`, of which defaults are taken, and YAML files of a
            mapping from names to a class, or ``class_path`` and ``init_args``; none for all of the room.

    Raises:
        ValueError: A file or a class is none of these, or a name comes twice.
    """
    specifications: dict[str, tuple[str, Any]] = {}
    for word in words or _ALL:
        for name, given in (_listed(Path(word)) if _is_file(word) else {word: word}).items():
            if name in specifications:
                raise ValueError(f"--backends: two are named {name}: name them apart")
            specifications[name] = (word, given)
    return {name: _built(name, *given) for name, given in specifications.items()}


def _is_file(word: str) -> bool:
    return word.endswith((".yaml", ".yml"))


def _listed(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not found:
        raise ValueError(
            f"{path}: expected a line NAME: CLASS for each back end, or class_path and init_args below"
        )
    return {str(name): given for name, given in found.items()}


def _built(name: str, word: str, given: Any) -> Backend:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--backend", type=Backend)
    if isinstance(given, str) and hasattr(room, given):
        given = f"{room.__name__}.{given}"
    try:
        found: Any = parser.instantiate_classes(parser.parse_object({"backend": given}))
    except (ArgumentError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(
            f"--backends {word}: {name} is no back end of lightning_modules.asd.backends with such settings: {reason}"
        ) from error
    return found.backend


class Normal(NamedTuple):
    """Normal clips that back ends are fitted to.

    Attributes:
        embeddings: (clip, dim).
        instance: int64 (clip,).
        domain: int64 (clip,), 1 is target.
    """

    embeddings: Tensor
    instance: Tensor
    domain: Tensor


def machine_reports(
    train: Described,
    tested: Mapping[str, Described],
    backends: Mapping[str, Backend] | None,
    *,
    name: str,
    of_statistics: bool,
    year: int,
) -> list[tuple[str, str, Report]]:
    """Name, split and report of every way to score machines; clips of unseen instances are scored by all normal ones.

    Args:
        train: Clips of training, of which the normal ones are learnt from.
        tested: Split -> its clips.
        backends: Name -> what scores, beside the plain nearest normal clips.
        name: Of these.
        of_statistics: Whether clips are described by statistics of mel bands, which are standardised.
        year: Of the challenge whose rules apply.
    """
    normal = torch.tensor([row.target == 0 for row in train.rows])
    train, instances = labelled(train, torch.where(normal, instance_numbers(train, train), -1))
    numbers = {split: instance_numbers(clips, train) for split, clips in tested.items()}
    measure = nearest_normal if of_statistics else distance
    found = []
    for split, clips in tested.items():
        scores = torch.empty(len(numbers[split]), dtype=torch.float64)
        for instance in numbers[split].unique().tolist():
            own = instances == instance if instance >= 0 else instances >= 0
            rows = numbers[split] == instance
            scores[rows] = measure(train.statistics[own], clips.statistics[rows])
        found.append((name, split, machine_report(clips.rows, scores, year=year, thresholds={})))
    if not backends:
        return found
    domain = torch.tensor([row.attributes.get("domain") == "target" for row in train.rows]).long()
    embeddings, *others = [train.statistics, *(clips.statistics for clips in tested.values())]
    if of_statistics:
        embeddings, *others = standardized(embeddings, *others)
    known = Normal(embeddings, instances, domain)
    for each, backend in backends.items():
        title = f"statistics, {each}" if of_statistics else each
        of_splits = _scored(backend, known, others, list(numbers.values()))
        for (split, clips), scores in zip(tested.items(), of_splits, strict=True):
            report = machine_report(clips.rows, scores, year=year, thresholds={})
            if backend.is_transductive:
                report.warnings = [
                    *report.warnings,
                    f"{title}: transductive, a clip's score depends on the other clips of its split",
                ]
            found.append((f"{title} (transductive)" if backend.is_transductive else title, split, report))
    return found


def _scored(
    backend: Backend, normal: Normal, tested: Sequence[Tensor], numbers: Sequence[Tensor]
) -> list[Tensor]:
    """float64 (clip,) of each split, of instances (clip,), -1 of unseen ones."""
    backend.fit(*normal)
    of_any = None
    scores = []
    for embeddings, instance in zip(tested, numbers, strict=True):
        found = torch.empty(len(instance), dtype=torch.float64)
        unseen = instance < 0
        if not unseen.all():
            found[~unseen] = backend(embeddings[~unseen], instance[~unseen]).double()
        if unseen.any():
            if of_any is None:
                of_any = deepcopy(backend)
                of_any.fit(normal.embeddings, torch.zeros_like(normal.instance), normal.domain)
            found[unseen] = of_any(embeddings[unseen], torch.zeros_like(instance[unseen])).double()
        scores.append(found)
    return scores
