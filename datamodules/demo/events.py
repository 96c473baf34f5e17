"""Small corpora of sound events in the layouts of VGGSound and Kinetics-Sounds."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import av
import numpy as np
from numpy.random import Generator

from datamodules.demo.event_sounds import EVENTS, record
from datamodules.demo.signals import Signal, write_sound
from datamodules.files import new_folder, write_csv

VGGSOUND_ROOT = "data/demo/VGGSound"
KINETICS_SOUNDS_ROOT = "data/demo/KineticsSounds"
VGGSOUND_LABELS: Mapping[str, str] = {  # as VGGSound calls them, but for the last
    "ambulance siren": "siren",
    "bird chirping, tweeting": "chirp",
    "car engine idling": "engine",
    "church bell ringing": "bell",
    "dog barking": "bark",
    "door knocking": "knock",
    "raining": "rain",
    "transformer humming": "hum",
}
KINETICS_LABELS: Mapping[str, str] = {  # classes of Kinetics-Sounds and what stands for them
    "blowing nose": "bark",
    "mowing lawn": "engine",
    "playing bagpipes": "hum",
    "playing trombone": "siren",
    "playing violin": "chirp",
    "playing xylophone": "bell",
    "shuffling cards": "rain",
    "tapping pen": "knock",
}
_RATE = 16000
_ID_LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
_FILMED = 21  # every so many clips of VGGSound is a film; has no divisor in common with the number of classes


def write_vggsound(
    folder: str | Path, *, seed: int = 0, num_train: int = 40, num_test: int = 10, seconds: float = 2.0
) -> None:
    """Write ``vggsound.csv`` (id, start in seconds, label, split), ``audio/*.flac`` and ``video/*.mp4``.

    By default 400 clips, 20 MB. As in the data set, ids may begin with a hyphen and a label holds a comma.

    Args:
        folder: Where to write; appears at once when complete.
        seed: The same one gives the same corpus.
        num_train: Training clips a class.
        num_test: Test clips a class.
        seconds: Length of a clip.
    """
    with new_folder(folder) as root:
        rows = []
        sizes = {"train": num_train, "test": num_test}
        for number, (split, label, video, start, sound) in enumerate(
            _draw(VGGSOUND_LABELS, sizes, seed, seconds)
        ):
            name = f"{video}_{start:06d}"
            if number % _FILMED == 0:
                write_film(root / "video" / f"{name}.mp4", sound, _RATE)
            else:
                write_sound(root / "audio" / f"{name}.flac", sound, _RATE)
            rows.append((video, start, label, split))
        write_csv(root / "vggsound.csv", rows)


def write_kinetics_sounds(
    folder: str | Path, *, seed: int = 0, num_train: int = 20, num_test: int = 10, seconds: float = 2.0
) -> None:
    """Write lists as those of Kinetics-400 and films ``{train,val}/<class>/<id>_<start>_<end>.mp4``.

    By default 240 films, 8 of the 32 classes.

    Args:
        folder: Where to write; appears at once when complete.
        seed: The same one gives the same corpus.
        num_train: Training clips a class.
        num_test: Validation clips a class, which Kinetics-Sounds tests on.
        seconds: Length of a clip.
    """
    header = ("label", "youtube_id", "time_start", "time_end", "split", "is_cc")
    sizes = {"train": num_train, "val": num_test}
    with new_folder(folder) as root:
        rows: dict[str, list[Sequence[object]]] = {split: [] for split in sizes}
        for split, label, video, start, sound in _draw(KINETICS_LABELS, sizes, seed, seconds):
            path = root / split / label / f"{video}_{start:06d}_{start + 10:06d}.mp4"
            write_film(path, sound, _RATE)
            rows[split].append((label, video, start, start + 10, split, 0))
        for split, lines in rows.items():
            write_csv(root / f"{split}.csv", [header, *lines])


def write_film(path: Path, sound: Signal, rate: int) -> None:
    """Write an MP4 file of one mono AAC track and no picture, in a folder that may be new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _draw(
    labels: Mapping[str, str], sizes: Mapping[str, int], seed: int, seconds: float
) -> Iterator[tuple[str, str, str, int, Signal]]:
    """Split, label, video, its second and the sound of every clip, classes taking turns."""
    splits = [split for split, size in sizes.items() for _ in range(size)]
    for number, (split, (label, event)) in enumerate(product(splits, labels.items())):
        random = np.random.default_rng([seed, number])
        video, start = _video_id(number, random), int(random.integers(300))
        yield split, label, video, start, record(EVENTS[event], round(seconds * _RATE), _RATE, random)


def _video_id(number: int, random: Generator) -> str:
    """Eleven letters as YouTube's; those of every tenth clip begin with a hyphen."""
    letters = "".join(random.choice(_ID_LETTERS, 11))
    return f"-{letters[1:]}" if number % 10 == 0 else letters
