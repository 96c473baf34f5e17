"""Files that cannot be used, and files that hold the same recording: heard once, then remembered.

The same drum is in many kits, in another container, at another level: a split that parts the twins tests on what was
trained.
"""

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules import audio
from datamodules.audio import packed
from datamodules.cache import cache_entry, content_hash
from datamodules.cpus import allowed_cpus
from datamodules.files import is_special, write_text_atomically

_RATE = 16000
_SECONDS = 1.0  # from the beginning of a file: what is compared
_ROWS = 512  # compared at a time with all others
_SILENT = 1e-7  # largest sample of what is called silence, 24 bit's smallest


class Survey(NamedTuple):
    """What listening to files told.

    Attributes:
        faults: Number of a file -> why it cannot be read.
        silent: Number of a file -> that its beginning is silent.
        pairs: Numbers of two files that hold the same recording, the smaller first.
    """

    faults: dict[int, str]
    silent: dict[int, str]
    pairs: list[tuple[int, int]]


def survey(paths: Sequence[str], *, threshold: float, allow_truncated: bool = False) -> Survey:
    """Decode the beginning of every file and compare all of them, or remember what was found: see `datamodules.cache`.

    Args:
        paths: Files; 128 kB of memory each, so that some ten thousand are no burden.
        threshold: Normalised cross-correlation at the best shift, either polarity, above which two files are the same.
        allow_truncated: Take files that were cut off.
    """
    entry = _entry(paths, threshold, allow_truncated)
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # new, or damaged: heard
        found = json.loads(entry.read_text(encoding="utf-8"))
        faults = {int(row): f"{paths[int(row)]}{why}" for row, why in found["faults"].items()}
        silent = {int(row): _silent(paths[int(row)]) for row in found["silent"]}
        return Survey(faults, silent, [(int(a), int(b)) for a, b in found["pairs"]])
    with ThreadPoolExecutor(allowed_cpus() + 4) as pool:
        heard = list(pool.map(partial(_listen, allow_truncated=allow_truncated), paths))
    faults = {row: sound for row, sound in enumerate(heard) if isinstance(sound, str)}
    silent = {row: _silent(paths[row]) for row, sound in enumerate(heard) if sound is None}
    rows = [row for row, sound in enumerate(heard) if isinstance(sound, Tensor)]
    sounds = [sound for sound in heard if isinstance(sound, Tensor)]
    pairs = [(rows[a], rows[b]) for a, b in near_duplicates(sounds, threshold)]
    reasons = {row: why.removeprefix(paths[row]) for row, why in faults.items()}  # files may move
    with suppress(OSError):  # where nothing can be kept, files are listened to each time
        write_text_atomically(entry, json.dumps({"faults": reasons, "silent": list(silent), "pairs": pairs}))
    return Survey(faults, silent, pairs)


def near_duplicates(sounds: Sequence[Tensor], threshold: float) -> list[tuple[int, int]]:
    """Pairs of sounds (time,) of one length, not silent, whose normalised cross-correlation exceeds the threshold.

    No shift can lift the correlation of two sounds over the inner product of their magnitude spectra, so that one
    matrix product rules out nearly all pairs, exactly; the others are correlated by Fourier transform.
    """
    if len(sounds) < 2:
        return []
    waveforms = torch.stack([sound / sound.norm() for sound in sounds])
    size = 2 * waveforms.shape[1]
    bound = torch.cat([_magnitudes(part, size) for part in waveforms.split(_ROWS)])
    pairs: list[tuple[int, int]] = []
    for begin in range(0, len(bound), _ROWS):
        above = (bound[begin : begin + _ROWS] @ bound[begin:].T > threshold).triu(diagonal=1)
        candidates = above.nonzero() + begin  # (pair, 2)
        for some in candidates.split(_ROWS) if len(candidates) else ():
            spectra = torch.fft.rfft(waveforms[some], size)  # (pair, 2, bin)
            correlation = torch.fft.irfft(spectra[:, 0] * spectra[:, 1].conj(), size)
            pairs += map(tuple, some[correlation.abs().amax(dim=1) > threshold].tolist())
    return pairs


def _magnitudes(waveforms: Tensor, size: int) -> Tensor:
    """Magnitude spectra (sound, bin) of unit length."""
    magnitudes = torch.fft.rfft(waveforms, size).abs()
    magnitudes[:, 1:-1] *= math.sqrt(2)  # each stands for two bins
    return magnitudes / math.sqrt(size)


def _listen(path: str, *, allow_truncated: bool) -> Tensor | str | None:
    """The beginning of a file as float32 (time,) without its mean, or why it cannot be read; None is silence."""
    try:
        rate = audio.info(path, allow_truncated=allow_truncated).sample_rate
        size = math.ceil(_SECONDS * rate)
        waveform, _ = audio.read(path, frames=size, allow_truncated=allow_truncated)
    except audio.AudioError as error:
        return str(error)
    size = round(_SECONDS * _RATE)
    waveform = audio.resample(waveform.mean(dim=0), rate, _RATE)[:size]
    waveform = waveform - waveform.mean()
    if waveform.abs().max() < _SILENT:
        return None
    return torch.nn.functional.pad(waveform, (0, size - len(waveform)))


def _silent(path: str) -> str:
    return f"{path}: its first {_SECONDS:g} s are silent"


def _entry(paths: Sequence[str], threshold: float, allow_truncated: bool) -> Path:
    """Where the result is kept."""
    with ThreadPoolExecutor(allowed_cpus() + 4) as pool:
        digests = list(pool.map(_digest, paths))
    settings = {"threshold": threshold, "seconds": _SECONDS, "allow_truncated": allow_truncated}
    return cache_entry("near_duplicates", digests, settings)


def _digest(path: str) -> str:
    """Of a file's content, of a packed one by the pack's own sums; of one that cannot be opened why."""
    try:
        return "special" if is_special(path) else content_hash(path)
    except OSError as error:
        clip = packed.find(path)
        return (
            f"{type(error).__name__} {path}"
            if clip is None
            else f"{clip.checksum} of {clip.num_samples} samples"
        )
