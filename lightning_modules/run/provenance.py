"""Where figures come from: configuration, code, package versions and the lists of clips."""

import difflib
import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lightning_modules.run.folder import Run

_PACKAGES = ("torch", "torchaudio", "torchvision", "lightning", "torchmetrics", "numpy", "scipy", "soundfile")


def data_hash(rows: Iterable[Any]) -> str:
    """SHA-256 of the keys and targets of a split's rows, whatever their order; the first 16 hexadecimal digits."""
    from datamodules.clips import Clip  # and with it the decoders, which a start does without

    lines = sorted(f"{row.key}\t{row.target if isinstance(row, Clip) else ''}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def recorded_data_hash(run: Run, split: str) -> str:
    """The hash of a split that the run last read, empty where it is not known."""
    path = run.folder / "provenance.json"
    return json.loads(path.read_text(encoding="utf-8"))["data_hash"].get(split, "") if path.is_file() else ""


def commit() -> str:
    """``git describe`` of a clone, or the version of the installed package; empty where neither is known."""
    try:
        _git("ls-files", "--error-unmatch", __file__)  # packages may lie within a repository of their user's
        return _git("describe", "--always", "--dirty")
    except (OSError, subprocess.CalledProcessError):
        pass
    try:
        return importlib.metadata.version("audio-research-platform")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()  # noqa: S603


def versions() -> dict[str, str]:
    """Of the packages that decide figures."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def changed_lines(before: str, after: str) -> list[str]:
    """Lines of a configuration that went, behind ``-``, and that came, behind ``+``, whatever the order of keys."""
    old, new = (yaml.safe_dump(yaml.safe_load(text)).splitlines() for text in (before, after))
    lines = difflib.unified_diff(old, new, n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
