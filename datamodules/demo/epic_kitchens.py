"""A small corpus of long tracks with annotated actions in the layout of EPIC-KITCHENS-100."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from datamodules.demo.event_sounds import EVENTS, background
from datamodules.demo.signals import Signal, limit, unit_rms, write_sound
from datamodules.files import new_folder, write_csv

DEMO_ROOT = "data/demo/EPIC-KITCHENS-100"
RATE = 24000
NUM_VERBS, NUM_NOUNS = 97, 300
# A verb is a kind of event, in the order of `EVENTS`; a noun is its pitch. Other classes do not occur.
VERBS = ("wash", "open", "close", "turn-on", "cut", "pour", "mix", "scrub")
NOUNS = {"pan": (0.4, 0.5), "plate": (0.8, 0.95), "cup": (1.4, 1.65), "spoon": (2.2, 2.6)}
TAIL_VERBS, TAIL_NOUNS = (6, 7), (3,)
TRACKS = {
    "train": ("P01_01", "P01_02", "P02_01", "P03_01"),
    "validation": ("P01_11", "P02_11", "P18_01"),
    "test": ("P01_101",),
}
UNSEEN = ("P18",)
_FRAMES_PER_S = 60
_SNR_DB, _LEVEL_DB = (-3.0, 12.0), -26.0
_UNLABELLED = (
    *("narration_id", "participant_id", "video_id", "narration_timestamp"),
    *("start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
)
_LABELS = ("narration", "verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes")


@dataclass(frozen=True)
class _Action:
    """Something audible between two times, in hundredths of a second."""

    start: int
    stop: int
    verb: int
    noun: int


def write_epic_kitchens(folder: str | Path, *, seed: int = 0, num_actions: int = 60) -> None:
    """Write ``audio/<video>.wav`` (24 kHz) and the lists in ``annotations``.

    By default 4 training tracks of 60 actions, 3 validation tracks of 20 and an unlabelled test track of 20:
    minutes of sound, 25 MB. 8 of the 97 verbs and 4 of the 300 nouns occur.

    Args:
        folder: Where to write; appears at once when complete.
        seed: The same one gives the same corpus.
        num_actions: Actions a training track; a third of them in others.
    """
    with new_folder(folder) as root:
        for number, (split, videos) in enumerate(TRACKS.items()):
            rows: list[list[object]] = []
            for place, video in enumerate(videos):
                random = np.random.default_rng([seed, number, place])
                actions = _compose(num_actions if split == "train" else max(1, num_actions // 3), random)
                track = _perform(actions, random)
                write_sound(root / "audio" / f"{video}.wav", track, RATE)
                rows += [_row(video, i, action) for i, action in enumerate(actions)]
            _write_list(root / "annotations", split, rows)
        _write_classes(root / "annotations")


def _compose(num_actions: int, random: Generator) -> list[_Action]:
    """Actions of 0.4 to 3 s one after the other, the first classes most often."""
    actions, time = [], 0
    for _ in range(num_actions):
        start = time + int(random.integers(20, 80))
        time = start + int(np.clip(random.lognormal(4.5, 0.5), 40, 300))
        actions.append(_Action(start, time, _zipf(len(VERBS), random), _zipf(len(NOUNS), random)))
    return actions


def _zipf(size: int, random: Generator) -> int:
    weights = 1 / np.arange(2, size + 2)
    return int(random.choice(size, p=weights / weights.sum()))


def _perform(actions: Sequence[_Action], random: Generator) -> Signal:
    """The track (sample,) up to half a second after the last action."""
    track = background((actions[-1].stop + 50) * RATE // 100, random)
    sounds, pitches = list(EVENTS.values()), list(NOUNS.values())
    for action in actions:
        begin, end = action.start * RATE // 100, action.stop * RATE // 100
        sound = sounds[action.verb](end - begin, RATE, random.uniform(*pitches[action.noun]), random)
        track[begin:end] += 10 ** (random.uniform(*_SNR_DB) / 20) * unit_rms(sound)
    return limit(10 ** (_LEVEL_DB / 20) * track)


def _row(video: str, number: int, action: _Action) -> list[object]:
    verb, noun = VERBS[action.verb], list(NOUNS)[action.noun]
    frames = [max(1, time * _FRAMES_PER_S // 100) for time in (action.start, action.stop)]
    times = [f"{_clock(action.start)}0", _clock(action.start), _clock(action.stop)]
    labels = [f"{verb} {noun}", verb, action.verb, noun, action.noun, [noun], [action.noun]]
    return [f"{video}_{number}", video.split("_")[0], video, *times, *frames, *labels]


def _clock(hundredths: int) -> str:
    """E.g. 00:01:02.50."""
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"


def _write_list(folder: Path, split: str, rows: Sequence[Sequence[object]]) -> None:
    """The list of a split; that of the test split has no labels."""
    if split == "test":
        rows = [row[: len(_UNLABELLED)] for row in rows]
        write_csv(folder / "EPIC_100_test_timestamps.csv", [_UNLABELLED, *rows])
    else:
        write_csv(folder / f"EPIC_100_{split}.csv", [(*_UNLABELLED, *_LABELS), *rows])


def _write_classes(folder: Path) -> None:
    """Names of all classes, and what is in the tail or unseen."""
    for kind, known, size, tail in (
        ("verb", VERBS, NUM_VERBS, TAIL_VERBS),
        ("noun", list(NOUNS), NUM_NOUNS, TAIL_NOUNS),
    ):
        names = [*known, *(f"{kind}-{i}" for i in range(len(known), size))]
        rows = [(i, name, [name], "demo") for i, name in enumerate(names)]
        write_csv(folder / f"EPIC_100_{kind}_classes.csv", [("id", "key", "instances", "category"), *rows])
        write_csv(folder / f"EPIC_100_tail_{kind}s.csv", [(kind,), *((i,) for i in tail)])
    unseen = [("participant_id",), *((each,) for each in UNSEEN)]
    write_csv(folder / "EPIC_100_unseen_participant_ids_validation.csv", unseen)
