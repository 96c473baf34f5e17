"""Files that cannot be used, and files that hold the same recording: heard once, then remembered.

The same drum is in many kits, in another container, at another level: a split that parts the twins tests on what was
trained.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules import audio
from datamodules.cpus import allowed_cpus
from datamodules.files import write_text_atomically

_RATE = 16000
_SECONDS = 1.0  # from the beginning of a file: what is compared
_ROWS = 512  # compared at a time with all others
_SILENT = 1e-7  # largest sample of what is called silence, 24 bit's smallest


class Survey(NamedTuple):
    """What listening to files told.

    Attributes:
        faults: Number of a file -> why it cannot be used.
        pairs: Numbers of two files that hold the same recording, the smaller first.
    """

    faults: dict[int, str]
    pairs: list[tuple[int, int]]


def survey(paths: Sequence[str], *, threshold: float, cache: Path | None = None) -> Survey:
    """Decode the beginning of every file and compare all of them.

    Args:
        paths: Files; 128 kB of memory each, so that some ten thousand are no burden.
        threshold: Normalised cross-correlation at the best shift, either polarity, above which two files are the same.
        cache: File that remembers the result until one of the files changes; left alone where it cannot be written.
    """
    state = _state(paths, threshold)
    if cache is not None:
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged: heard again
            found = json.loads(cache.read_text(encoding="utf-8"))
            if found["state"] == state:
                return Survey(
                    {int(row): why for row, why in found["faults"].items()}, list(map(tuple, found["pairs"]))
                )
    with ThreadPoolExecutor(allowed_cpus() + 4) as pool:
        heard = list(pool.map(_listen, paths))
    faults = {row: sound for row, sound in enumerate(heard) if isinstance(sound, str)}
    rows = [row for row in range(len(paths)) if row not in faults]
    sounds = [sound for sound in heard if isinstance(sound, Tensor)]
    pairs = [(rows[a], rows[b]) for a, b in near_duplicates(sounds, threshold)]
    if cache is not None:
        with suppress(OSError):  # a corpus that may only be read is listened to each time
            write_text_atomically(cache, json.dumps({"state": state, "faults": faults, "pairs": pairs}))
    return Survey(faults, pairs)


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


def _listen(path: str) -> Tensor | str:
    """The beginning of a file as float32 (time,) without its mean, or why it cannot be used."""
    try:
        rate = audio.info(path).sample_rate
        waveform, _ = audio.read(path, frames=math.ceil(_SECONDS * rate))
    except audio.AudioError as error:
        return str(error)
    size = round(_SECONDS * _RATE)
    waveform = audio.resample(waveform.mean(dim=0), rate, _RATE)[:size]
    waveform = waveform - waveform.mean()
    if waveform.abs().max() < _SILENT:
        return f"{path}: its first {_SECONDS:g} s are silent"
    return torch.nn.functional.pad(waveform, (0, size - len(waveform)))


def _state(paths: Sequence[str], threshold: float) -> str:
    """Hash of what the result depends on."""
    lines = [f"{threshold}\n"]
    for path in paths:
        size, time = -1, -1
        with suppress(OSError):
            status = Path(path).stat()
            size, time = status.st_size, status.st_mtime_ns
        lines.append(f"{path}\t{size}\t{time}\n")
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
