"""Conditions as text: what is done to clips, one step after the other.

A step is one of

- ``rt60_0.5``: a simulated room of that reverberation time in s; ``room``, an impulse response of the folder of rooms,
  ``room_KIND`` of a folder in it;
- ``snr10``: noise at that ratio in dB, of the folder of noise, or pink without one; ``snr10_KIND`` of a folder in it;
  ``snr10_white``, ``snr10_pink``;
- ``opus``, ``opus@16k``: a codec, at its own bit rate or that one;
- ``resample@8k``: a lower sample rate, and back.

A number may be a range, from which it is drawn evenly, ``snr0..20``, and a step one of several, ``mp3|opus@16k``.
Whatever their order in the text, rooms come first, then noise, then codecs and rates.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from datamodules.audio.search import audio_files
from datamodules.degradation.codecs import CODECS, Band, Codec
from datamodules.degradation.noise import COLOURS, Noise
from datamodules.degradation.room import RecordedRoom, SimulatedRoom
from datamodules.degradation.signals import Signal

CHOICES = (
    f"rt60_SECONDS, room, snrDECIBEL, resample@RATE, or one of {', '.join(CODECS)}, with @RATE if you like"
)

_STEP = re.compile(
    r"(?P<name>rt60_|snr)(?P<low>-?\d+(\.\d+)?)(\.\.(?P<high>-?\d+(\.\d+)?))?(_(?P<kind>\S+))?"
    r"|(?P<word>[a-z]\w*?)(@(?P<rate>\d+(\.\d+)?)(?P<kilo>k?))?"
)
_ROOM = re.compile(r"room(_(?P<kind>\S+))?")
_ORDER = {SimulatedRoom: 0, RecordedRoom: 0, Noise: 1, Codec: 2, Band: 2}


class Step(Protocol):
    """Something that is done to a clip."""

    def __call__(self, waveform: Signal, sample_rate: int, random: Generator, /) -> Signal:
        """(channel, time) -> as long and as late."""
        ...


@dataclass(frozen=True)
class Link:
    """A step of a chain.

    Attributes:
        choices: One of these, evenly drawn.
        probability: That it is done.
        place: Stage, 0 to 2, and number within it: what random numbers follow, whatever other steps there are.
    """

    choices: Sequence[Step]
    probability: float
    place: tuple[int, int]


class Chain:
    """Steps, one after the other, each with its probability.

    Args:
        steps: Step as text -> probability, see the module.
        noise: Folder of noise.
        rooms: Folder of impulse responses.

    Attributes:
        settings: All of these, as JSON takes them.

    Raises:
        ValueError: A step is not understood, cannot be done here, or its probability is none.
    """

    def __init__(
        self, steps: Mapping[str, float], *, noise: Path | None = None, rooms: Path | None = None
    ) -> None:
        self.settings = {
            "steps": dict(steps),
            **{name: str(folder) for name, folder in (("noise", noise), ("rooms", rooms)) if folder},
        }
        found: list[tuple[int, Sequence[Step], float]] = []
        for text, probability in steps.items():
            if not 0 <= probability <= 1:
                raise ValueError(f"{text}: {probability}: choose a probability from 0 to 1")
            choices = [_step(each, noise, rooms) for each in text.split("|")]
            stages = {_ORDER[type(each)] for each in choices}
            if len(stages) > 1:
                raise ValueError(
                    f"{text}: rooms, noise and codecs are steps of their own: write one for each"
                )
            found.append((stages.pop(), choices, probability))
        found.sort(key=lambda each: each[0])
        stages = [stage for stage, *_ in found]
        self.links = [
            Link(choices, probability, (stage, number - stages.index(stage)))
            for number, (stage, choices, probability) in enumerate(found)
        ]

    @classmethod
    def of_condition(cls, text: str, *, noise: Path | None = None, rooms: Path | None = None) -> "Chain":
        """All steps of a condition, as ``rt60_0.5+snr10+opus@16k``.

        Raises:
            ValueError: A step is not understood, is there twice, or cannot be done here.
        """
        steps = text.split("+")
        try:
            if len(set(steps)) < len(steps):
                raise ValueError("a step is there twice: leave one out")
            return cls(dict.fromkeys(steps, 1.0), noise=noise, rooms=rooms)
        except ValueError as error:
            raise ValueError(f"condition {text!r}: {error}") from None

    def __call__(self, waveform: Tensor, sample_rate: int, seeds: Sequence[int]) -> Tensor:
        """What becomes of (channel, time): as long and as late, whatever steps are drawn by the seeds alone."""
        signal = waveform.numpy()
        for link in self.links:
            random = np.random.default_rng([*seeds, *link.place])
            if random.uniform() < link.probability:
                step = link.choices[int(random.integers(len(link.choices)))]
                signal = step(signal, sample_rate, random)
        return torch.from_numpy(np.ascontiguousarray(signal, np.float32))


def _step(text: str, noise: Path | None, rooms: Path | None) -> Step:
    if found := _ROOM.fullmatch(text):
        if rooms is None:
            raise ValueError(f"{text}: no folder of impulse responses: set rooms, or write rt60_SECONDS")
        return RecordedRoom(_responses(rooms / (found["kind"] or "")))
    found = _STEP.fullmatch(text)
    if found is None or (found["name"] == "rt60_" and found["kind"]):
        raise ValueError(f"no step {text!r}: write {CHOICES}")
    if found["name"]:
        low = float(found["low"])
        between = low, float(found["high"] or low)
        if between[0] > between[1]:
            raise ValueError(f"{text}: write the lower number first")
        return (
            Noise(between, _noise(found["kind"], noise)) if found["name"] == "snr" else SimulatedRoom(between)
        )
    rate = round(float(found["rate"]) * (1000 if found["kilo"] else 1)) if found["rate"] else None
    if found["word"] in CODECS:
        return Codec(found["word"], rate)
    if found["word"] != "resample":
        raise ValueError(f"no step {text!r}: write {CHOICES}")
    if rate is None:
        raise ValueError("resample: write the sample rate behind it, as resample@8k")
    return Band(rate)


def _noise(kind: str | None, folder: Path | None) -> str | Sequence[Path]:
    if kind in COLOURS:
        return kind
    if folder is not None:
        return _files(folder / (kind or ""), "noise")
    if kind:
        colours = " or ".join(COLOURS)
        raise ValueError(f"no noise {kind!r}: write {colours}, or set noise to a folder that holds {kind}")
    return COLOURS[0]


def _responses(folder: Path) -> Sequence[Path]:
    """Files of impulse responses: among those of RIRS_NOISES lies noise, too, by name."""
    files = _files(folder, "rooms")
    found = tuple(path for path in files if "noise" not in f"{path.parent.name} {path.stem}".lower())
    if not found:
        raise ValueError(f"{folder}: files of noise alone: set rooms to a folder of impulse responses")
    return found


@lru_cache(maxsize=64)
def _files(folder: Path, name: str) -> Sequence[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder: set {name} to a folder of audio")
    if not (files := audio_files(folder)):
        raise ValueError(f"{folder}: no file of audio in it: set {name} to another folder")
    return tuple(files)
