"""Look at every file of a data set before a cluster does: ``python -m datamodules.check --config FILE``.

Reads the ``data:`` section of an experiment's YAML and reports, for each split: counts by class, durations,
sample rates and channels, files that are missing, unreadable or truncated, repeated ids, audio or ids that
occur in two splits, and a hash of the list to cite. Ends with 1 where something is wrong.

    python -m datamodules.check --config configs/ssd_aasist.yaml --data.root /data/LA --json report.json
"""

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.progress import track
from yaml import YAMLError

from datamodules import audio
from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.config import data_module
from datamodules.files import missing_files, write_text_atomically

_BLOCK = 1 << 20  # samples decoded at a time, so that hours of audio need little memory
_SHOWN = 10
_SPLITS = ("train", "validation", "test")


class _Sound(NamedTuple):
    """What decoding a whole file tells."""

    seconds: float
    rate: int
    channels: int
    constant: bool
    digest: str


@dataclass
class SplitReport:
    """What `check_split` found; `problems` make the check fail, `notes` do not."""

    clips: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    sample_rates: dict[int, int] = field(default_factory=dict)
    channels: dict[int, int] = field(default_factory=dict)
    sha256: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(data: ClipDataModule, *, progress: bool = False) -> dict[str, Any]:
    """Report on all splits of a data set.

    Returns:
        ``{"splits": {name: report}, "leaks": [line, ...], "ok": bool}``, ready for JSON.
    """
    data.prepare_data()
    splits: dict[str, SplitReport] = {}
    keys: dict[str, str] = {}
    digests: dict[str, tuple[str, str]] = {}
    leaks: list[str] = []
    for name in _SPLITS:
        try:
            clips = data.split(name)
        except ValueError as error:
            splits[name] = SplitReport(problems=[str(error)])
            continue
        splits[name], sounds = check_split(clips, data.classes, title=name if progress else None)
        leaks += [
            f"id {clip.key} is in {keys[clip.key]} and in {name}"
            for clip in clips
            if data.unique_keys and keys.setdefault(clip.key, name) != name
        ]
        for path, digest in sounds.items():
            other, twin = digests.setdefault(digest, (name, path))
            if other != name:
                leaks.append(f"{path} ({name}) sounds exactly like {twin} ({other})")
    ok = not leaks and not any(report.problems for report in splits.values())
    return {"splits": {name: asdict(report) for name, report in splits.items()}, "leaks": leaks, "ok": ok}


def check_split(
    clips: Sequence[Clip], classes: Sequence[str], *, title: str | None = None
) -> tuple[SplitReport, dict[str, str]]:
    """Decode every file of a split in threads.

    Args:
        clips: Rows of the split.
        classes: Class names.
        title: Of the progress bar; None shows none.

    Returns:
        The report, and a hash of the sound of every readable file.
    """
    report = SplitReport(clips=len(clips), sha256=list_hash(clips))
    targets = Counter("unknown" if clip.target < 0 else classes[clip.target] for clip in clips)
    report.classes = dict(sorted(targets.items()))
    for key, count in Counter(clip.key for clip in clips).items():
        if count > 1:
            report.problems.append(f"id {key} occurs {count} times")
    missing = {clip.path for clip in missing_files(clips)}
    report.problems += [f"{path}: no such file" for path in sorted(missing)]
    paths = [path for path in dict.fromkeys(clip.path for clip in clips) if path not in missing]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) + 4) as pool:
        results: Iterable[_Sound | str] = pool.map(_listen, paths)
        if title is not None:
            results = track(results, title, len(paths), console=Console(stderr=True))
        sounds = dict(zip(paths, results, strict=True))
    report.problems += [sound for sound in sounds.values() if isinstance(sound, str)]
    readable = {path: sound for path, sound in sounds.items() if isinstance(sound, _Sound)}
    report.notes += [f"{path}: is silent or constant" for path, sound in readable.items() if sound.constant]
    _describe(report, list(readable.values()))
    return report, {path: sound.digest for path, sound in readable.items() if not sound.constant}


def list_hash(clips: Iterable[Clip]) -> str:
    """sha256 of ids, classes and times in their order: two machines can compare what they trained on."""
    content = "".join(f"{clip.key}\t{clip.target}\t{clip.start_s}\t{clip.stop_s}\n" for clip in clips)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def _listen(path: str) -> _Sound | str:
    """Decode a whole file; a fault comes back as its message."""
    try:
        header = audio.info(path)
        digest, low, high, position = hashlib.sha256(), float("inf"), float("-inf"), 0
        while position < header.num_frames:
            block, _ = audio.read(path, position, _BLOCK)
            digest.update(block.numpy().tobytes())
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            position += _BLOCK
    except audio.AudioError as error:
        return str(error)
    seconds = header.num_frames / header.sample_rate
    return _Sound(seconds, header.sample_rate, header.num_channels, low == high, digest.hexdigest())


def _describe(report: SplitReport, sounds: list[_Sound]) -> None:
    if not sounds:
        return
    seconds = sorted(sound.seconds for sound in sounds)
    report.seconds = {
        "total": sum(seconds),
        "shortest": seconds[0],
        "median": seconds[len(seconds) // 2],
        "longest": seconds[-1],
    }
    report.sample_rates = dict(Counter(sound.rate for sound in sounds))
    report.channels = dict(Counter(sound.channels for sound in sounds))
    twins = len(sounds) - len({sound.digest for sound in sounds})
    if twins:
        report.notes.append(f"{twins} files sound exactly like another one of this split")


def _print(report: dict[str, Any]) -> None:
    for name, split in report["splits"].items():
        print(f"{name}: {split['clips']} clips, {_counts(split['classes'])}")
        if split["seconds"]:
            seconds = {key: f"{value:.2f}" for key, value in split["seconds"].items()}
            print(
                f"  {seconds['total']} s; shortest {seconds['shortest']}, median {seconds['median']}, longest"
                f" {seconds['longest']} s; Hz: {_counts(split['sample_rates'])}; channels:"
                f" {_counts(split['channels'])}"
            )
        print(f"  sha256 of the list {split['sha256'] or '-'}")
        _print_lines("  problem", split["problems"])
        _print_lines("  note", split["notes"])
    _print_lines("leak", report["leaks"])
    print("ok" if report["ok"] else "something is wrong")


def _counts(counts: dict[Any, int]) -> str:
    return ", ".join(f"{name} x {count}" for name, count in counts.items()) or "-"


def _print_lines(title: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        print(f"{title}: {line}")
    if len(lines) > _SHOWN:
        print(f"{title}: and {len(lines) - _SHOWN} more (--json FILE has all)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, check, print; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m datamodules.check",
        description="Look at every file of a data set: counts, durations, faults, leaks between splits.",
        epilog="example: python -m datamodules.check --config configs/ssd_aasist.yaml --data.root /data/LA",
    )
    parser.add_argument("--config", action="append", required=True, help="YAML of an experiment; repeatable")
    parser.add_argument("--json", help="also write the whole report to this file")
    options, rest = parser.parse_known_args(arguments)
    overrides: list[str] = []
    for word in rest:  # both --data.key=value and --data.key value
        if word.startswith("--data."):
            overrides.append(word)
        elif overrides and "=" not in overrides[-1]:
            overrides[-1] += f"={word}"
        else:
            parser.error(f"unknown argument {word}: only --data.KEY=VALUE overrides")
    try:
        data = data_module(options.config, overrides)
    except (ValueError, OSError, TypeError, OmegaConfBaseException, YAMLError) as error:
        parser.error(str(error))
    report = check(data, progress=sys.stderr.isatty())
    if options.json:
        write_text_atomically(options.json, json.dumps(report, indent=2) + "\n")
    _print(report)
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
