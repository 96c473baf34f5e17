"""Where the editions of ASVspoof keep protocols and audio, and what stands in which column.

Sources: the databases' own README files, as unpacked by https://zenodo.org/records/4835108 (2021 DF, in parts) and
14498691 (5); the folders of https://github.com/nii-yamagishilab/AntiDeepfake; the protocols of the challenge phase of
ASVspoof 5 in https://github.com/asvspoof-challenge/asvspoof5.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.audio.search import names_in
from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError, check_key, read_rows

Edition = Literal["2019_LA", "2019_PA", "2021_LA", "2021_DF", "2021_PA", "5"]


@dataclass(frozen=True)
class Layout:
    """Where a split lies under the root, and in which columns of its protocol things stand.

    Attributes:
        protocols: Its protocol, the usual place first.
        folders: Patterns of the folders of its audio, the usual one first; they may be several.
        columns: Number of columns of a protocol -> what stands in which.
    """

    protocols: tuple[str, ...]
    folders: tuple[str, ...]
    columns: Mapping[int, Mapping[str, int]]


class Utterance(NamedTuple):
    """A line of a protocol: ``file:line``, its id, file, label and what else is said."""

    place: str
    key: str
    path: str
    label: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Found:
    """A split where it lies.

    Attributes:
        layout: Its layout.
        base: What its protocol is relative to: the root, or the track's folder in it.
        protocol: Its protocol.
        folders: Of its audio, at least one.
    """

    layout: Layout
    base: Path
    protocol: Path
    folders: tuple[Path, ...]

    def utterances(self, *, subset: str = "all") -> Iterator[Utterance]:
        """Lines of the protocol, of one subset where there are some; ``attack`` of bona fide speech is ``-``.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        path_of = _Paths(self.folders)
        shared: dict[
            tuple[str, ...], dict[str, str]
        ] = {}  # equal attributes are one object: a million fit into memory
        columns: Mapping[str, int] = {}
        names: list[str] = []
        keys: set[str] = set()
        for place, row in read_rows(self.protocol, num_columns=list(self.layout.columns)):
            if not columns:
                columns = self.layout.columns[len(row)]
                names = [name for name in columns if name not in {"key", "label"}]
            key, label = row[columns["key"]], row[columns["label"]]
            check_key(place, key, keys)
            if subset != "all" and "subset" in columns and row[columns["subset"]] != subset:
                continue
            if label == "bonafide":
                row[columns["attack"]] = "-"
            values = tuple([row[columns[name]] for name in names])
            if values not in shared:
                shared[values] = dict(zip(names, values, strict=True))
            yield Utterance(place, key, path_of(key), label, shared[values])


class _Paths:
    """Path of the audio of an id."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._first = folders[0]
        several = folders if len(folders) > 1 else ()
        self._names = {folder: names_in(folder) for folder in several}

    def __call__(self, key: str) -> str:
        name = f"{key}.flac"
        folders = (folder for folder, names in self._names.items() if name in names)
        return f"{next(folders, self._first)}/{name}"


def find_audio(edition: Edition, split: Part, root: Path) -> tuple[Path, ...]:
    """Folders of a split's audio that are there, of the root or of the track's folder in it."""
    layout = LAYOUTS[edition][split]
    found = (
        folder
        for base in _bases(edition, root)
        for pattern in layout.folders
        for folder in sorted(base.glob(pattern))
    )
    return tuple(dict.fromkeys(folder for folder in found if folder.is_dir()))


def find(edition: Edition, split: Part, root: Path, *, option: str = "root") -> Found:
    """A split of an edition in a folder.

    Args:
        edition: Which data set.
        split: One that it has.
        root: Folder of it, or one above.
        option: What names the folder, for messages.

    Raises:
        ProtocolError: No protocol is there.
    """
    layout = LAYOUTS[edition][split]
    for base in _bases(edition, root):
        for protocol in (base / name for name in layout.protocols):
            if protocol.exists():
                usual = base / layout.folders[0]
                return Found(layout, base, protocol, find_audio(edition, split, root) or (usual,))
    first = layout.protocols[0]
    raise ProtocolError(
        f"{root / first}: no such protocol: set {option} of ASVspoof {edition} to the folder that holds"
        f" {Path(first).parts[0]} and {Path(layout.folders[0]).parts[0]}"
    )


def find_asv_scores(edition: Edition, split: Part, found: Found) -> Path | None:
    """Speaker verification scores that the t-DCF of a split needs, where they lie beside the data.

    The file of 2019 (``SOURCE target|nontarget|spoof SCORE``), or the folder ``keys/<track>/ASV`` of 2021.
    """
    if edition.startswith("2019"):
        track, part = edition[5:], {"train": "train", "validation": "dev", "test": "eval"}[split]
        path = (
            found.base / f"ASVspoof2019_{track}_asv_scores/ASVspoof2019.{track}.asv.{part}.gi.trl.scores.txt"
        )
    else:
        path = found.protocol.parent.parent / "ASV"
    return path if path.exists() else None


def _bases(edition: Edition, root: Path) -> list[Path]:
    """Folders that the data lie in: the root, and the track's folder in it."""
    return list(dict.fromkeys((root, root / edition[5:])))


def _splits_2019(track: str, **columns: int) -> dict[Part, Layout]:
    name = f"ASVspoof2019_{track}"
    protocol = f"{name}_cm_protocols/ASVspoof2019.{track}.cm"
    columns = {"speaker": 0, "key": 1, "attack": 3, "label": 4, **columns}
    parts: dict[Part, tuple[str, str]] = {
        "train": ("train", "trn"),
        "validation": ("dev", "trl"),
        "test": ("eval", "trl"),
    }
    return {
        split: Layout((f"{protocol}.{part}.{ending}.txt",), (f"{name}_{part}/flac",), {5: columns})
        for split, (part, ending) in parts.items()
    }


def _layout_2021(track: str, num_columns: int, **columns: int) -> Layout:
    """The whole edition, as one folder, or each part of its audio in a folder of its own."""
    data, keys = f"ASVspoof2021_{track}_eval", f"keys/{track}/CM/trial_metadata.txt"
    protocols = (
        keys,
        f"{track}-keys-full/{keys}",
        "keys/CM/trial_metadata.txt",
        f"{data}/trial_metadata.txt",
    )
    folders = (
        f"{data}/flac",
        f"{data}_part*/{data}/flac",
        f"{data}/{data}/flac",
        f"{data}/{data}_part*/{data}/flac",
    )
    return Layout(protocols, folders, {num_columns: {"speaker": 0, "key": 1, **columns}})


def _layout_5(part: str, folder: str, *protocols: str) -> Layout:
    """Audio in the root, as the challenge has it, or in a folder of the part; protocols in either or in their own."""
    columns = {
        10: {"speaker": 0, "key": 1, "codec": 3, "attack": 7, "label": 8},
        6: {"speaker": 0, "key": 1, "attack": 4, "label": 5},  # of the challenge phase
    }
    places = ("", "ASVspoof5_protocols/", f"ASVspoof5_{part}/")
    named = tuple(f"{place}ASVspoof5.{name}" for name in protocols for place in places)
    return Layout(named, (folder, f"ASVspoof5_{part}/{folder}"), columns)


LAYOUTS: dict[Edition, dict[Part, Layout]] = {
    "2019_LA": _splits_2019("LA"),
    "2019_PA": _splits_2019("PA", environment=2),
    "2021_LA": {"test": _layout_2021("LA", 8, codec=2, transmission=3, attack=4, label=5, subset=7)},
    "2021_DF": {"test": _layout_2021("DF", 13, codec=2, source=3, attack=4, label=5, subset=7, vocoder=8)},
    "2021_PA": {"test": _layout_2021("PA", 12, room=2, microphone=3, attack=7, label=9, subset=11)},
    "5": {
        "train": _layout_5("train", "flac_T", "train.tsv", "train.metadata.txt"),
        "validation": _layout_5("dev", "flac_D", "dev.track_1.tsv", "dev.metadata.txt"),
        "test": _layout_5("eval", "flac_E_eval", "eval.track_1.tsv"),
    },
}
