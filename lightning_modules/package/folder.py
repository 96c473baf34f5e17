"""A package on disk: weights as safetensors, everything else as JSON, nothing that is executed."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save

from datamodules.files import write_bytes_atomically, write_text_atomically
from datamodules.hearing import Listening
from lightning_modules.hub.sources import local
from lightning_modules.metrics.functional import Calibration
from lightning_modules.networks.weights import PACKAGED, completed, describe_difference, read_file
from lightning_modules.package.classes import build
from lightning_modules.package.scorers import Scorer

KIND, VERSION = "audio-research-platform", 1
JSON = "package.json"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A trained model, ready to score.

    Attributes:
        scorer: In evaluation mode, on the CPU.
        listening: How clips are cut for it.
        thresholds: Machine instance -> score above which a clip counts as anomalous; empty where there is none.
        calibration: From a score to a log likelihood ratio, where one was fitted.
        about: Where it comes from, for readers.
        folder: Where it was read from, with the graphs that are there.
    """

    scorer: Scorer
    listening: Listening
    thresholds: Mapping[str, float] = field(default_factory=dict)
    calibration: Calibration | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None


def write_package(folder: Path, package: Package, spec: Mapping[str, Any]) -> None:
    """Writes weights and JSON into ``folder``; ``spec`` is the scorer's class path and arguments."""
    # A copy: safetensors takes neither channels-last nor shared memory.
    state = {name: tensor.contiguous().clone() for name, tensor in package.scorer.state_dict().items()}
    write_bytes_atomically(folder / PACKAGED, save(state))
    content = {
        "package": KIND,
        "version": VERSION,
        "score": package.scorer.meaning,
        "scorer": spec,
        "listening": asdict(package.listening),
        "thresholds": package.thresholds,
        "calibration": package.calibration and asdict(package.calibration),
        "about": package.about,
    }
    write_text_atomically(folder / JSON, json.dumps(content, indent=2) + "\n")


def read_package(folder: str | Path) -> Package:
    """Reads a package; of code, only networks, front ends and scorers of this project are run.

    Raises:
        ValueError: It is missing, damaged, of another version, or names other code.
    """
    path = local(folder) / JSON
    content = _read_json(path)
    try:
        listening = Listening(**content["listening"])
        spec, thresholds, about = content["scorer"], dict(content["thresholds"]), content["about"]
        calibration = content["calibration"] and Calibration(**content["calibration"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged, or from another program ({error}); export it again") from None
    with _without_wandb():
        scorer = build(spec, f"{path}: scorer")
    if not isinstance(scorer, Scorer):
        raise ValueError(
            f"{path}: scorer is of class {type(scorer).__name__}, which scores nothing; export it again"
        )
    _load_weights(scorer, path.with_name(PACKAGED))
    return Package(
        scorer=scorer.eval(),
        listening=listening,
        thresholds=thresholds,
        calibration=calibration,
        about=about,
        folder=Path(folder),
    )


@contextmanager
def _without_wandb() -> Iterator[None]:
    """Hides W&B from timm, which some networks need and which imports it for loggers that nobody calls."""
    hide = "wandb" not in sys.modules
    if hide:
        sys.modules["wandb"] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        if hide:
            del sys.modules["wandb"]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(
            f"{path}: no such file: name a folder that python -m lightning_modules.export wrote"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error}); export it again") from None
    if not isinstance(content, dict) or content.get("package") != KIND:
        raise ValueError(f"{path}: no package of this project: it lacks package={KIND!r}")
    if content.get("version") != VERSION:
        raise ValueError(
            f"{path}: version {content.get('version')}, and this program reads {VERSION}: export it again, or install"
            " the release that wrote it"
        )
    return content


def _load_weights(scorer: Scorer, path: Path) -> None:
    try:
        state = completed(scorer, read_file(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: missing or damaged ({error}); export it again") from None
    if difference := describe_difference(scorer.state_dict(), state):
        raise ValueError(f"{path}: weights of another model than {JSON} describes: {difference}")
    scorer.load_state_dict(state)
