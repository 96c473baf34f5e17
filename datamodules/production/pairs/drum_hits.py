"""Drum hits beside their place in time, made of one-shot samples: windows of one hit, and bars of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from datamodules import audio
from datamodules.audio.search import is_audio, names_in
from datamodules.demo.one_shots import ONE_SHOTS_ROOT, write_one_shots
from datamodules.folders.source_split import hold_out, join_sources
from datamodules.production.pairs.pairs import Pair, PairDataModule, PairDataset, PairItem, PairSplit

_SHARES: Mapping[PairSplit, float] = {"test": 0.25, "validation": 0.15}
_LEVELS_DB = -18.0, -1.0
# of training samples: drums vary more than those of the few kits that there are
_SPEEDS = 1.0, 0.7, 0.8, 0.9, 1.1, 1.25, 1.4
_BEFORE_S = 0.09, 0.25  # how much earlier than the hit of a training window another one begins
_BEATS = 4  # of a bar


@dataclass(frozen=True, slots=True)
class Shot:
    """A one-shot sample: file, class (its folder), and source (its name up to ``__``): the kit it belongs to."""

    path: Path
    label: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which hits lie where.

    Attributes:
        shots: (hit,) numbers of the samples.
        lines_s: (hit,) where each should begin, in seconds.
        jitter_s: (hit,) how much later it does.
        gains_db: (hit,) level of its peak.
        length_s: Of the whole.
    """

    shots: tuple[int, ...]
    lines_s: tuple[float, ...]
    jitter_s: tuple[float, ...]
    gains_db: tuple[float, ...]
    length_s: float


@dataclass(frozen=True, kw_only=True)
class HitPair(Pair):
    """A pair of validation or test, with where its hits lie."""

    layout: Layout


class DrumHits(PairDataModule):
    """Hits that begin too early or too late; the target is the same on the line.

    A training item is a window of one hit at one of seven speeds, whose line is the middle, in half of them within the
    tail of another hit.
    Validation has windows of one hit, test also bars of four beats after one empty step, with hits around the steps.
    Sources (kits) of a split are in no other.

    Attributes of a pair: ``kind`` is ``hit`` or ``bar``, ``bpm`` the tempo (0 of a window), ``lines_s`` where the hits
    should begin, ``label`` and ``source`` those of the hits.

    Args:
        root: Folder with one folder of audio files a class, ``<class>/<source>__<name>.<suffix>``. The default is a
            synthetic corpus, made where it is missing.
        classes: Folders to take; None takes all.
        sample_rate: In Hz.
        window_s: Length of a window, in seconds.
        jitter_s: How far a hit lies from its line at most, in seconds.
        bpm: Slowest and fastest tempo of bars.
        steps_per_beat: Steps of the grid that hits lie on.
        hits_per_bar: Fewest and most.
        num_windows: Windows of validation and of test.
        num_bars: Bars of test.
        fold: Another number holds out other sources.
        **settings: Of `PairDataModule`.
    """

    demo_root = Path(ONE_SHOTS_ROOT)
    demo_writer = staticmethod(write_one_shots)

    def __init__(
        self,
        *,
        root: str = ONE_SHOTS_ROOT,
        classes: Sequence[str] | None = None,
        sample_rate: int = 8000,
        window_s: float = 0.512,
        jitter_s: float = 0.06,
        bpm: tuple[float, float] = (90.0, 140.0),
        steps_per_beat: int = 2,
        hits_per_bar: tuple[int, int] = (4, 8),
        num_windows: int = 200,
        num_bars: int = 30,
        fold: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(root=root, sample_rate=sample_rate, **settings)
        if not 0 < jitter_s < 30 / (bpm[1] * steps_per_beat) or jitter_s >= window_s / 2:
            raise ValueError(
                f"jitter_s is {jitter_s} where less than half a window and half a step at {bpm[1]} bpm was expected"
            )
        if hits_per_bar[1] > _BEATS * steps_per_beat:
            raise ValueError(f"hits_per_bar is {hits_per_bar} in bars of {_BEATS * steps_per_beat} steps")
        self.classes = classes
        self.window_s, self.jitter_s = window_s, jitter_s
        self.bpm, self.steps_per_beat, self.hits_per_bar = bpm, steps_per_beat, hits_per_bar
        self.num_windows, self.num_bars, self.fold = num_windows, num_bars, fold
        self.shots: dict[str, list[Shot]] = {}

    def split(self, name: PairSplit) -> list[Pair]:
        """One row a sample for training; for validation and test windows, then bars, that the seed determines."""
        self.shots[name] = shots = split_by_source(find_shots(self.root, self.classes), fold=self.fold)[name]
        if name == "train":
            return [Pair(key=f"{shot.label}/{shot.path.stem}") for shot in shots]
        random = np.random.default_rng([self.seed, len(name)])
        rows: list[Pair] = []
        for number in range(self.num_windows):
            layout = window(number % len(shots), random, length_s=self.window_s, jitter_s=self.jitter_s)
            rows.append(_row(f"hit{number:04d}", layout, shots, bpm=0.0))
        for number in range(self.num_bars if name == "test" else 0):
            bpm = round(random.uniform(*self.bpm), 1)
            rows.append(_row(f"bar{number:04d}", self.bar(bpm, len(shots), random), shots, bpm=bpm))
        return rows

    def dataset(self, name: PairSplit) -> PairDataset:
        """Items of a split."""
        return _Hits(self, name)

    def bar(self, bpm: float, num_shots: int, random: Generator) -> Layout:
        """Hits around different steps of a bar that begins with its second step."""
        step_s, num_steps = 60 / (bpm * self.steps_per_beat), _BEATS * self.steps_per_beat
        num_hits = random.integers(self.hits_per_bar[0], self.hits_per_bar[1] + 1)
        steps = 1 + np.sort(random.choice(num_steps, num_hits, replace=False))
        return Layout(
            shots=tuple(random.integers(num_shots, size=num_hits).tolist()),
            lines_s=tuple((steps * step_s).tolist()),
            jitter_s=tuple(random.uniform(-self.jitter_s, self.jitter_s, num_hits).tolist()),
            gains_db=tuple(random.uniform(*_LEVELS_DB, num_hits).tolist()),
            length_s=(num_steps + 2) * step_s,
        )


def window(
    shot: int, random: Generator, *, length_s: float, jitter_s: float, before: int | None = None
) -> Layout:
    """A hit around the middle of a window, after another that moves with it where `before` is a sample's number."""
    shots = (shot,) if before is None else (shot, before)
    lines_s = length_s / 2, length_s / 2 - random.uniform(*_BEFORE_S)
    return Layout(
        shots=shots,
        lines_s=lines_s[: len(shots)],
        jitter_s=(random.uniform(-jitter_s, jitter_s),) * len(shots),
        gains_db=tuple(random.uniform(*_LEVELS_DB, len(shots)).tolist()),
        length_s=length_s,
    )


class _Hits(PairDataset):
    """Items of one split; its samples are decoded once, when the loader is made."""

    def __init__(self, data: DrumHits, name: PairSplit) -> None:
        super().__init__(data.rows[name])
        self.equal = name != "test"
        self._rate, self._seed = data.sample_rate, data.seed
        # workers get a copy of the items: nothing here may lead to the data module and its trainer
        self._window = partial(window, length_s=data.window_s, jitter_s=data.jitter_s)
        self._speeds = _SPEEDS if name == "train" else (1.0,)
        read = [
            read_shot(shot.path, speed=speed, **data.decoding)
            for shot in data.shots[name]
            for speed in self._speeds
        ]
        # one tensor of all: each is shared as an open file, of which a worker is given 250 at most
        self._samples = torch.cat([sound for sound, _ in read])
        self._ends = np.cumsum([len(sound) for sound, _ in read])
        self._onsets = [onset for _, onset in read]

    def _sound(self, shot: int, speed: int) -> tuple[Tensor, int]:
        """Waveform (time,) and onset of a sample at one of the speeds."""
        number = shot * len(self._speeds) + speed
        begin = self._ends[number - 1] if number else 0
        return self._samples[begin : self._ends[number]], self._onsets[number]

    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        index, draw = item
        pair = self.pairs[index]
        if isinstance(pair, HitPair):
            layout, sounds = pair.layout, {shot: self._sound(shot, 0) for shot in pair.layout.shots}
        else:
            random = np.random.default_rng([self._seed, draw])
            before = int(random.integers(2 * len(self.pairs)))
            layout = self._window(index, random, before=before if before < len(self.pairs) else None)
            sounds = {
                shot: self._sound(shot, int(random.integers(len(self._speeds)))) for shot in layout.shots
            }
        waveform, target = (
            place(layout, sounds, self._rate, jitter=jitter)[None] for jitter in (True, False)
        )
        return PairItem(waveform, target, torch.zeros(0), pair, index)


def place(layout: Layout, sounds: Mapping[int, tuple[Tensor, int]], rate: int, *, jitter: bool) -> Tensor:
    """The sum of a layout's hits, float32 (time,), with or without their jitter.

    Args:
        layout: Which hits lie where.
        sounds: Waveform (time,) with a peak of 1, and the sample at which it begins to be heard, of a layout's shots.
        rate: In Hz.
        jitter: Place hits beside their lines.
    """
    mix = torch.zeros(round(layout.length_s * rate))
    for shot, line_s, late_s, gain_db in zip(
        layout.shots, layout.lines_s, layout.jitter_s, layout.gains_db, strict=True
    ):
        sound, onset = sounds[shot]
        begin = round(line_s * rate) + (round(late_s * rate) if jitter else 0) - onset
        sound = sound[max(-begin, 0) :][: len(mix) - max(begin, 0)]
        mix[max(begin, 0) : max(begin, 0) + len(sound)] += 10 ** (gain_db / 20) * sound
    return mix / mix.abs().max().clamp_min(1.0)


def read_shot(
    path: Path,
    *,
    sample_rate: int,
    resampler: audio.Resampler,
    allow_truncated: bool = False,
    speed: float = 1.0,
) -> tuple[Tensor, int]:
    """A mono sample (time,) with a peak of 1, and its onset: the first sample above a tenth of the peak.

    Another `speed` makes another drum of it, higher and shorter or lower and longer.
    """
    sound, source_rate = audio.read(path, allow_truncated=allow_truncated)
    sound = audio.resample(sound.mean(dim=0), round(source_rate * speed), sample_rate, resampler)
    peak = sound.abs().max()
    if not peak:
        raise ValueError(f"{path}: a sample of silence: delete it")
    sound = sound / peak
    return sound, int((sound.abs() > 0.1).nonzero()[0])


def find_shots(root: Path, classes: Sequence[str] | None) -> list[Shot]:
    """Samples of a folder of class folders, sorted.

    Raises:
        ValueError: If a class has no folder or the folders no audio.
    """
    folders = [root / name for name in classes] if classes else sorted(root.glob("*/"))
    shots = []
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder: correct data.classes or data.root")
        paths = sorted(folder / name for name in names_in(folder) if is_audio(name))
        shots += [Shot(path, folder.name, path.stem.partition("__")[0]) for path in paths]
    if not shots:
        raise ValueError(
            f"{root}: no audio in folders of classes: set data.root to a folder of one-shot samples"
        )
    return shots


def split_by_source(shots: Sequence[Shot], *, fold: int) -> dict[PairSplit, list[Shot]]:
    """Whole sources to test and to validation, the rest to training; another `fold` holds out others.

    Raises:
        ValueError: If no source can be held out.
    """
    names = [f"{fold} {shot.label}/{shot.path.stem}" for shot in shots]
    labels = np.array([[shot.label == label for label in sorted({s.label for s in shots})] for shot in shots])
    parts = join_sources([shot.source for shot in shots], [])
    side = np.full(len(shots), "train", dtype="<U10")
    for name, fraction in _SHARES.items():
        free = np.flatnonzero(side == "train")
        chosen = hold_out(parts[free], labels[free], fraction=fraction, order=[names[row] for row in free])
        if not chosen.any():
            raise ValueError(
                f"no source can be held out for {name} of {len(set(parts.tolist()))}: name samples after the kit they"
                " belong to, <class>/<kit>__<name>.wav"
            )
        side[free[chosen]] = name
    return {name: list(compress(shots, side == name)) for name in ("train", *_SHARES)}


def _row(key: str, layout: Layout, shots: Sequence[Shot], *, bpm: float) -> HitPair:
    chosen = [shots[number] for number in layout.shots]
    attributes = {
        "kind": "bar" if bpm else "hit",
        "bpm": f"{bpm:g}",
        "lines_s": " ".join(f"{line:.6f}" for line in layout.lines_s),
        "label": " ".join(shot.label for shot in chosen),
        "source": " ".join(sorted({shot.source for shot in chosen})),
    }
    return HitPair(key=key, attributes=attributes, layout=layout)
