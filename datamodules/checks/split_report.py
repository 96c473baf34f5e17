"""What is in one split of a data set: every file decoded, faults by name."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from datamodules import audio
from datamodules.clips import Clip
from datamodules.clips.search import missing_files
from datamodules.cpus import allowed_cpus

SHOWN = 10  # entries of a list
_BLOCK = 1 << 20  # samples decoded at a time, so that hours of audio need little memory
_CUT_S = 0.5  # a film's sound may end a little before its picture, which the header's duration is of


class _Sound(NamedTuple):
    """What decoding a whole file tells."""

    seconds: float
    rate: int
    channels: int
    constant: bool
    digest: str


@dataclass
class SplitReport:
    """What `check_split` found; `problems` make the check fail, `notes` and what is `left_out` do not.

    `left_out` and `faulty` give the reason for a clip's id.
    """

    clips: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    sample_rates: dict[int, int] = field(default_factory=dict)
    channels: dict[int, int] = field(default_factory=dict)
    sha256: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Mapping[str, str] = field(default_factory=dict)
    faulty: dict[str, str] = field(default_factory=dict)


def check_split(
    clips: Sequence[Clip], heads: Mapping[str, Sequence[str]], *, title: str | None = None
) -> tuple[SplitReport, dict[str, str]]:
    """Decode every file of a split in threads.

    Args:
        clips: Rows of the split.
        heads: Name of each label of a clip -> its class names.
        title: Of the progress bar; None shows none.

    Returns:
        The report, and a hash of the sound of every readable file.
    """
    report = SplitReport(clips=len(clips), sha256=list_hash(clips))
    report.classes = dict(sorted(Counter(label for clip in clips for label in _labels(clip, heads)).items()))
    for key, count in Counter(clip.key for clip in clips).items():
        if count > 1:
            report.problems.append(f"id {key} occurs {count} times")
    missing = {clip.path for clip in missing_files(clips)}
    report.problems += [f"{path}: no such file" for path in sorted(missing)]
    paths = [path for path in dict.fromkeys(clip.path for clip in clips) if path not in missing]
    with ThreadPoolExecutor(allowed_cpus() + 4) as pool:
        results: Iterable[_Sound | str] = pool.map(_listen, paths)
        if title is not None:
            results = track(results, title, len(paths), console=Console(stderr=True))
        sounds = dict(zip(paths, results, strict=True))
    faults = {path: sound for path, sound in sounds.items() if isinstance(sound, str)}
    report.problems += faults.values()
    report.faulty = {clip.key: faults[clip.path] for clip in clips if clip.path in faults}
    readable = {path: sound for path, sound in sounds.items() if isinstance(sound, _Sound)}
    report.notes += [f"{path}: is silent or constant" for path, sound in readable.items() if sound.constant]
    _describe(report, list(readable.values()))
    return report, {path: sound.digest for path, sound in readable.items() if not sound.constant}


def _labels(clip: Clip, heads: Mapping[str, Sequence[str]]) -> Iterator[str]:
    targets = clip.target if isinstance(clip.target, tuple) else (clip.target,) * len(heads)
    for (head, names), target in zip(heads.items(), targets, strict=True):
        name = "unknown" if target < 0 else names[target]
        yield name if len(heads) == 1 else f"{head} {name}"


def list_hash(clips: Iterable[Clip]) -> str:
    """sha256 of ids, classes and times in their order: two machines can compare what they trained on."""
    content = "".join(f"{clip.key}\t{clip.target}\t{clip.start_s}\t{clip.stop_s}\n" for clip in clips)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def _listen(path: str) -> _Sound | str:
    """Decode a whole file; a fault comes back as its message."""
    try:
        header = audio.info(path)
        digest, low, high = hashlib.sha256(), float("inf"), float("-inf")
        position = decoded = 0
        while position < header.num_frames:
            block, _ = audio.read(path, position, _BLOCK)
            digest.update(block.numpy().tobytes())
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            position += _BLOCK
            decoded += block.shape[1]
    except audio.AudioError as error:
        return str(error)
    if decoded < header.num_frames - _CUT_S * header.sample_rate:
        seconds = [f"{frames / header.sample_rate:.2f}" for frames in (decoded, header.num_frames)]
        return f"{path}: truncated: {seconds[0]} of {seconds[1]} s decoded; copy or download it again"
    seconds = header.num_frames / header.sample_rate
    return _Sound(seconds, header.sample_rate, header.num_channels, low == high, digest.hexdigest())


def print_lines(title: str, lines: Sequence[str], *, rest: str = "") -> None:
    """Print the first lines of a list, each below a title, and how many others there are."""
    for line in lines[:SHOWN]:
        print(f"{title}: {line}")
    if len(lines) > SHOWN:
        print(f"{title}: and {len(lines) - SHOWN} more{rest}")


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
