"""Published equal error rates, from a file such as configs/published/speech_corpora.yaml."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from datamodules.config.shipped import config_path
from lightning_modules.matrix.evaluated import CLEAN, Column, Detector, Evaluated

SHIPPED = "configs/published/speech_corpora.yaml"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class System:
    """What a paper says of one detector.

    Attributes:
        detector: Its name, and what it was trained on.
        eer: Public name of a corpus -> fraction.
        source: Where it is printed.
    """

    detector: Detector
    eer: Mapping[str, float]
    source: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file of published figures.

    Attributes:
        data_sets: ``data_set`` of an evaluation -> public name of its corpus.
        trials: Public name -> bona fide and spoofed trials of the published figures, where that is known.
        systems: In the order of the file.
    """

    data_sets: Mapping[str, str] = field(default_factory=dict)
    trials: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    systems: tuple[System, ...] = ()

    def names(self, rows: Iterable[Evaluated]) -> dict[Column, str]:
        """Column -> public name, of tests on clean speech."""
        return {
            each.column: self.data_sets.get(each.public[1], each.public[0])
            for each in rows
            if each.column.split == "test" and each.condition == CLEAN
        }


def read_published(path: str | Path) -> Published:
    """Reads a file of published figures.

    Raises:
        ValueError: Something is missing or wrong; names file and system.
        FileNotFoundError: There is no such file.
    """
    content = yaml.load(config_path(path).read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
    try:
        corpora: Mapping[str, Mapping[str, Any]] = content["corpora"]
        data_sets = {name: corpus for corpus, each in corpora.items() for name in each.get("data_sets", ())}
        trials = {corpus: tuple(each["trials"]) for corpus, each in corpora.items() if "trials" in each}
        systems = content["systems"]
    except (TypeError, KeyError, AttributeError):
        raise ValueError(f"{path}: expected corpora and systems, as {SHIPPED} has them") from None
    return Published(
        data_sets=data_sets,
        trials=trials,
        systems=tuple(_system(path, number, each, corpora) for number, each in enumerate(systems, 1)),
    )


def _system(path: str | Path, number: int, each: Any, corpora: Mapping[str, Any]) -> System:
    try:
        detector = Detector(str(each["trained_on"]), str(each["name"]), str(each["resources"]))
        eer = {str(corpus): float(value) / 100 for corpus, value in each["eer"].items()}
        source = str(each["source"])
    except (TypeError, KeyError, AttributeError, ValueError):
        raise ValueError(
            f"{path}: system {number}: expected name, trained_on, resources, source and eer, in percent by corpus"
        ) from None
    if unknown := [corpus for corpus in eer if corpus not in corpora]:
        raise ValueError(f"{path}: {detector.method}: {unknown[0]} is none of corpora: add it there")
    return System(detector=detector, eer=eer, source=source)
