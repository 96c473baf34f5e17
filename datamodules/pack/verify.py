"""Whether a packed data set holds what it should, and how much faster it is read."""

import math
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules import audio
from datamodules.audio.packed import WRITE_AGAIN, Pack, PackedClip, PackError
from datamodules.degradation.variants import FOLDER as VARIANTS
from datamodules.pack.writer import audio_names, join_lists

_COMPARED = 100  # files that are decoded again
_ROUNDS = 7
_CROP_S = 4.0


class Speed(NamedTuple):
    """Crops a second of the files that end in `suffix`, read from `files` and from the pack."""

    suffix: str
    files: float
    packed: float


def verify(root: Path, into: Path, *, allow_truncated: bool = False) -> list[str]:
    """Problems of a packed root, none where all is well.

    Reads every sample of the pack, and decodes 100 files again to compare, if `root` is there.
    """
    try:
        pack = Pack(into)
        names, clips = join_lists(pack.folder)
    except PackError as error:
        return [": ".join((str(into), *error.args))]
    except ValueError as error:
        return [str(error)]
    # zip files have checksums of their own, which the list of the pack has not
    if not (np.array_equal(names.content, pack.names.content) and np.array_equal(clips, pack.clips)):
        return [f"{pack.folder}: list of files differs from those of the shards: {WRITE_AGAIN}"]
    packs = [pack, *map(Pack, sorted(place.parents[1] for place in into.glob(f"{VARIANTS}/*/*/clips.npy")))]
    with ThreadPoolExecutor() as pool:
        problems = [
            fault
            for each in packs
            for fault in pool.map(partial(_fault, each), range(len(each.names)))
            if fault
        ]
    if not root.is_dir():
        return problems
    names = audio_names(root)
    problems += [
        f"{into / name}: is not packed: run datamodules.pack again"
        for name in names
        if pack.find(name) is None and not (into / name).exists()
    ]
    if names:  # audio may be deleted once it is packed, but all of it
        problems += [
            f"{into / name}: is no longer in {root}: pack into a new folder"
            for name in sorted({*pack.names}.difference(names))
        ]
    if problems:
        return problems
    return [
        f"{into / name}: differs from {root / name}: pack into a new folder"
        for name in _spread(names, _COMPARED)
        if (clip := pack.find(name)) is not None
        and not _is_same(root / name, clip, allow_truncated=allow_truncated)
    ]


def _fault(pack: Pack, row: int) -> str | None:
    clip = pack.clip(row)
    try:
        checksum = zlib.crc32(clip.stored().data)
    except PackError as error:
        return f"{pack.names[row]}: {'; '.join(error.args)}"
    if checksum != clip.checksum:
        return f"{pack.names[row]}: its samples in {clip.shard} are damaged: copy the shard again"
    return None


def _is_same(file: Path, clip: PackedClip, *, allow_truncated: bool) -> bool:
    try:
        position, header = 0, audio.info(file, allow_truncated=allow_truncated)
        for block in audio.blocks(file, allow_truncated=allow_truncated):
            if not np.array_equal(block, clip.read(position, block.shape[1])):
                return False
            position += block.shape[1]
    except audio.AudioError:
        return False
    return position == clip.num_samples and header == (clip.sample_rate, clip.num_frames, clip.num_channels)


def compare_speed(root: Path, into: Path, *, allow_truncated: bool = False) -> Iterator[Speed]:
    """Read random crops of 4 s (or what there is) of 100 files a suffix, from files and from the pack in turns."""
    pack = Pack(into)
    by_suffix: dict[str, list[str]] = {}
    for name in audio_names(root):
        if pack.find(name) is not None:
            by_suffix.setdefault(Path(name).suffix.lower(), []).append(name)
    for suffix, names in sorted(by_suffix.items()):
        chosen = _spread(names, _COMPARED)
        seconds = np.array(
            [[_time_crops(place, chosen, allow_truncated) for place in (root, into)] for _ in range(_ROUNDS)]
        )
        files, packed = len(chosen) / seconds.min(axis=0)  # what else the machine does only adds time
        yield Speed(suffix, files, packed)


def _time_crops(root: Path, names: Sequence[str], allow_truncated: bool) -> float:
    random = np.random.default_rng(0)
    paths = [f"{root}/{name}" for name in names]
    since = time.perf_counter()
    for path in paths:
        header = audio.info(path, allow_truncated=allow_truncated)
        frames = math.ceil(_CROP_S * header.sample_rate)
        start = int(random.integers(max(header.num_frames - frames, 0) + 1))
        audio.read(path, start, frames, allow_truncated=allow_truncated)
    return time.perf_counter() - since


def _spread(names: Sequence[str], count: int) -> list[str]:
    """Some names, evenly over all."""
    return [names[row * len(names) // count] for row in range(count)] if len(names) > count else list(names)
