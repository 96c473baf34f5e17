"""What is in one split of a data set: every file decoded, faults by name."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.progress import track

from datamodules.checks.sound import Sound, listen
from datamodules.clips import Clip
from datamodules.clips.coverage import ABSENT
from datamodules.clips.search import missing_files
from datamodules.cpus import allowed_cpus

SHOWN = 10  # entries of a list
SHARED = ("speaker", "source")
"""Attributes of which no value should be in two splits."""


@dataclass
class SplitReport:
    """What `check_split` found; `problems` make the check fail, `odd` sounds, `notes` and what is `left_out` do not.

    `left_out` and `faulty` give the reason for a clip's id; `odd` has a line a file, by what is odd about it.
    """

    clips: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    sample_rates: dict[int, int] = field(default_factory=dict)
    channels: dict[int, int] = field(default_factory=dict)
    sha256: str = ""
    problems: list[str] = field(default_factory=list)
    odd: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: Mapping[str, str] = field(default_factory=dict)
    faulty: dict[str, str] = field(default_factory=dict)


def check_split(
    clips: Sequence[Clip],
    heads: Mapping[str, Sequence[str]],
    *,
    allow_truncated: bool = False,
    title: str | None = None,
    place_of: Callable[[Clip], str] = lambda clip: clip.path,
) -> tuple[SplitReport, dict[str, str]]:
    """Decode every file of a split in threads.

    Args:
        clips: Rows of the split.
        heads: Name of each label of a clip -> its class names.
        allow_truncated: Take what there is of files that were cut off.
        title: Of the progress bar; None shows none.
        place_of: What tells where a clip is listed.

    Returns:
        The report, and a hash of the sound of every readable file.
    """
    report = SplitReport(clips=len(clips), sha256=list_hash(clips))
    report.classes = dict(sorted(Counter(label for clip in clips for label in _labels(clip, heads)).items()))
    for key, count in Counter(clip.key for clip in clips).items():
        if count > 1:
            report.problems.append(f"id {key} occurs {count} times")
    absent = missing_files(clips)
    report.problems += sorted({f"{place_of(clip)}: {ABSENT}" for clip in absent})
    missing = {clip.path for clip in absent}
    paths = [path for path in dict.fromkeys(clip.path for clip in clips) if path not in missing]
    with ThreadPoolExecutor(allowed_cpus() + 4) as pool:
        results: Iterable[Sound | str] = pool.map(partial(listen, allow_truncated=allow_truncated), paths)
        if title is not None:
            results = track(results, title, len(paths), console=Console(stderr=True))
        sounds = dict(zip(paths, results, strict=True))
    faults = {path: sound for path, sound in sounds.items() if isinstance(sound, str)}
    report.problems += faults.values()
    reasons = dict.fromkeys(missing, ABSENT) | faults
    report.faulty = {clip.key: reasons[clip.path] for clip in clips if clip.path in reasons}
    readable = {path: sound for path, sound in sounds.items() if isinstance(sound, Sound)}
    for clip in clips:
        if clip.path in readable and clip.start_s >= (seconds := readable[clip.path].seconds):
            report.faulty[clip.key] = f"begins at {clip.start_s:g} s, and its file lasts {seconds:.2f} s"
            report.problems.append(f"{place_of(clip)}: clip {clip.key} {report.faulty[clip.key]}")
    _describe(report, list(readable.values()))
    labels = {clip.path: " ".join(_labels(clip, heads)) for clip in reversed(clips)}
    _tell_oddities(report, readable)
    _tell_twins(report, readable, labels)
    _tell_rates(report, readable, labels)
    return report, {path: sound.digest for path, sound in readable.items() if not sound.constant}


def shared_values(
    clips: Iterable[Clip], before: Mapping[str, Mapping[str, str]], name: str
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """What should be in one split alone and is in two.

    Args:
        clips: Of the split `name`.
        before: Attribute -> value -> the first split that has it.
        name: Of the split.

    Returns:
        A line for each attribute and split, and `before` with the values of this split.
    """
    seen = {attribute: dict(before.get(attribute, {})) for attribute in SHARED}
    found: dict[tuple[str, str], dict[str, None]] = {}
    for clip in clips:
        for attribute in SHARED:
            value = clip.attributes.get(attribute)
            if value and (other := seen[attribute].setdefault(value, name)) != name:
                found.setdefault((attribute, other), {})[value] = None
    lines = [
        f"{attribute} {', '.join([*values][:3])}{f' and {len(values) - 3} more' if len(values) > 3 else ''} of {name}"
        f" is in {other} too: figures may be too good"
        for (attribute, other), values in found.items()
    ]
    return lines, seen


def _labels(clip: Clip, heads: Mapping[str, Sequence[str]]) -> Iterator[str]:
    targets = clip.target if isinstance(clip.target, tuple) else (clip.target,) * len(heads)
    for (head, names), target in zip(heads.items(), targets, strict=True):
        name = "unknown" if target < 0 else names[target]
        yield name if len(heads) == 1 else f"{head} {name}"


def list_hash(clips: Iterable[Clip]) -> str:
    """sha256 of ids, classes and times in their order: two machines can compare what they trained on."""
    content = "".join(f"{clip.key}\t{clip.target}\t{clip.start_s}\t{clip.stop_s}\n" for clip in clips)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def print_lines(title: str, lines: Sequence[str], *, rest: str = "") -> None:
    """Print the first lines of a list, each below a title, and how many others there are."""
    for line in lines[:SHOWN]:
        print(f"{title}: {line}")
    if len(lines) > SHOWN:
        print(f"{title}: and {len(lines) - SHOWN} more{rest}")


def _describe(report: SplitReport, sounds: list[Sound]) -> None:
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


def _tell_oddities(report: SplitReport, sounds: Mapping[str, Sound]) -> None:
    for path, sound in sounds.items():
        for kind, words in sound.oddities.items():
            report.odd.setdefault(kind, []).append(f"{path}: {words}")


def _tell_twins(report: SplitReport, sounds: Mapping[str, Sound], labels: Mapping[str, str]) -> None:
    """Files of one sound: twice the weight in training, and wrong where their classes differ."""
    first: dict[str, str] = {}
    for path, sound in sounds.items():
        if sound.constant or (twin := first.setdefault(sound.digest, path)) == path:
            continue
        line = f"{path}: sounds exactly like {twin}"
        if labels[path] == labels[twin]:
            report.odd.setdefault("twice", []).append(line)
        else:
            report.problems.append(f"{line}, and is {labels[path]} where that is {labels[twin]}")


def _tell_rates(report: SplitReport, sounds: Mapping[str, Sound], labels: Mapping[str, str]) -> None:
    """Files of another rate than most, and rates that give the classes away."""
    if len(report.sample_rates) < 2:
        return
    usual = max(report.sample_rates, key=lambda rate: report.sample_rates[rate])
    report.odd["rate"] = [
        f"{path}: {sound.rate} Hz, where most files have {usual}"
        for path, sound in sounds.items()
        if sound.rate != usual
    ]
    of_class: dict[str, set[int]] = {}
    for path, sound in sounds.items():
        of_class.setdefault(labels[path], set()).add(sound.rate)
    if len(of_class) > 1 and sum(map(len, of_class.values())) == len(report.sample_rates):
        rates = "; ".join(f"{label} {', '.join(map(str, sorted(of)))} Hz" for label, of in of_class.items())
        report.notes.append(
            f"the sample rate alone tells the classes apart ({rates}): figures may be too good"
        )
