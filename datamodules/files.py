"""Files around a data set: what must be there, what to predict on, and atomic writing."""

import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datamodules import packed
from datamodules.audio import CHECK_COMMAND, SUFFIXES, AudioError, track_names
from datamodules.clips import Clip
from datamodules.protocol import read_rows


def missing_files(clips: Iterable[Clip]) -> list[Clip]:
    """Clips whose file is absent, found by one listing a folder rather than one look-up a file."""
    listings: dict[str, set[str]] = {}
    missing = []
    for clip in clips:
        folder, name = os.path.split(clip.path)
        if folder not in listings:
            listings[folder] = names_in(folder)
        if name not in listings[folder]:
            missing.append(clip)
    return missing


def require_files(clips: Sequence[Clip]) -> None:
    """Refuse a split of which files are absent.

    Raises:
        AudioError: With the first of them and their number.
    """
    if missing := missing_files(clips):
        raise AudioError(
            f"{missing[0].path}: no such file, and {len(missing)} of {len(clips)} files of its split are"
            f" missing: unpack the audio there or correct the data root ({CHECK_COMMAND})"
        )


def names_in(folder: str | Path) -> set[str]:
    """Names of what a folder holds, packed files too, or of the tracks in an HDF5 file; none where it is missing."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries}.union(packed.names_in(folder))
    except NotADirectoryError:  # a file of tracks
        return track_names(folder)
    except OSError:
        return set()


def walk(root: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder at and below a root, links followed, and the sorted names of its files, packed ones too.

    What begins with a dot is passed over.
    """
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield folder, sorted(name for name in {*names, *packed.names_in(folder)} if not name.startswith("."))


def audio_files(root: str | Path) -> list[Path]:
    """Files of audio at any depth below a folder, sorted, packed ones too; see `walk`."""
    return sorted(Path(folder, name) for folder, names in walk(root) for name in names if is_audio(name))


def is_audio(name: str) -> bool:
    """Whether a file's name ends as that of audio."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  a Path takes ten times longer


def clips_to_predict(sources: Iterable[str | Path]) -> list[Clip]:
    """Unlabelled clips of audio files, folders (searched in depth) and ``.txt`` lists (one path a line).

    The key is the file's name without its ending, or its path where two files share that name.

    Raises:
        ValueError: If a source does not exist or a folder holds no audio.
    """
    paths = list(dict.fromkeys(path for source in sources for path in _audio_files(Path(source))))
    stems = Counter(path.stem for path in paths)
    return [Clip(key=path.stem if stems[path.stem] == 1 else str(path), path=str(path)) for path in paths]


def _audio_files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        found = audio_files(source)
        if not found:
            raise ValueError(
                f"predict: no audio file in folder {source}: name a folder with {sorted(SUFFIXES)}"
            )
        yield from found
    elif source.name not in names_in(source.parent):
        raise ValueError(
            f"predict: {source} does not exist: name audio files, folders, or .txt lists of paths"
        )
    elif source.suffix == ".txt":
        for _, (name,) in read_rows(source, num_columns=1):
            yield source.parent / name
    else:
        yield source


def score_rows(path: str | Path, keys: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Keys and scores as text for the file `path`.

    Raises:
        ValueError: If their numbers differ or a score is not finite.
    """
    if len(keys) != len(scores):
        raise ValueError(f"{path}: {len(scores)} scores for {len(keys)} clips: give one score each")
    for key, score in zip(keys, scores, strict=True):
        if not math.isfinite(score):
            raise ValueError(f"{path}: score {score} of {key} is not finite: look for NaN in training")
    # nine digits give a float32 back exactly
    return [(key, f"{float(score):.9g}") for key, score in zip(keys, scores, strict=True)]


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a file in UTF-8 as a whole or not at all: a crash or a full disk leaves the old one."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: str | Path, content: bytes) -> None:
    """Write a file as a whole or not at all: a crash or a full disk leaves the old one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A place to write a folder that appears at once when complete; of several processes, the first wins."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
