"""ASVspoof 2019, 2021 and 5: synthetic, converted and replayed speech against bona fide speech.

Sources: the databases' own README files and https://www.asvspoof.org; a score is higher for bona fide speech.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.demo.asvspoof import DEMO_ROOT, make_demo
from datamodules.files import write_text_atomically
from datamodules.protocol import ProtocolError, check_key, read_rows

Edition = Literal["2019_LA", "2019_PA", "2021_LA", "2021_DF", "2021_PA", "5"]


@dataclass(frozen=True)
class _Layout:
    """Where a split lies under the root, and in which columns of its protocol things stand."""

    protocol: str
    folder: str
    num_columns: int
    columns: Mapping[str, int]


def _layout_2019(track: str, part: str, ending: str) -> _Layout:
    name = f"ASVspoof2019_{track}"
    protocol = f"{name}_cm_protocols/ASVspoof2019.{track}.cm.{part}.{ending}.txt"
    columns = {"speaker": 0, "key": 1, "attack": 3, "label": 4}
    if track == "PA":
        columns["environment"] = 2
    return _Layout(protocol, f"{name}_{part}/flac", 5, columns)


def _layout_2021(track: str, num_columns: int, **columns: int) -> _Layout:
    protocol, folder = f"keys/{track}/CM/trial_metadata.txt", f"ASVspoof2021_{track}_eval/flac"
    return _Layout(protocol, folder, num_columns, {"speaker": 0, "key": 1, **columns})


def _layout_5(protocol: str, folder: str) -> _Layout:
    return _Layout(protocol, folder, 10, {"speaker": 0, "key": 1, "codec": 3, "attack": 7, "label": 8})


def _splits_2019(track: str) -> dict[str, _Layout]:
    parts = {"train": ("train", "trn"), "validation": ("dev", "trl"), "test": ("eval", "trl")}
    return {split: _layout_2019(track, *part) for split, part in parts.items()}


_LAYOUTS: dict[Edition, dict[str, _Layout]] = {
    "2019_LA": _splits_2019("LA"),
    "2019_PA": _splits_2019("PA"),
    "2021_LA": {"test": _layout_2021("LA", 8, codec=2, transmission=3, attack=4, label=5, subset=7)},
    "2021_DF": {"test": _layout_2021("DF", 13, codec=2, source=3, attack=4, label=5, subset=7, vocoder=8)},
    "2021_PA": {"test": _layout_2021("PA", 12, room=2, microphone=3, attack=7, label=9, subset=11)},
    "5": {
        "train": _layout_5("ASVspoof5.train.tsv", "flac_T"),
        "validation": _layout_5("ASVspoof5.dev.track_1.tsv", "flac_D"),
        "test": _layout_5("ASVspoof5.eval.track_1.tsv", "flac_E_eval"),
    },
}


class ASVspoof(ClipDataModule):
    """Utterances of one edition of ASVspoof; labels spoof = 0, bonafide = 1.

    Attributes of clips: ``speaker``, ``attack`` (``-`` for bona fide) and, by edition, ``codec``,
    ``environment``, ``transmission``, ``source``, ``vocoder``, ``room``, ``microphone`` and ``subset``. In
    2021 PA ``attack`` is the replay device.

    Args:
        edition: Which data set.
        root: Folder that holds ``ASVspoof2019_LA_train`` and its siblings (or ``LA`` with them); for 2021
            ``ASVspoof2021_LA_eval`` and ``keys``; for edition 5 ``flac_T``, ``flac_D``, ``flac_E_eval`` and
            the protocols. The default is a synthetic corpus, made where it is missing.
        train_root: Root of ASVspoof 2019, which 2021 is trained on: the same track, and LA for DF.
        subset: Which trials of 2021 to test on.
        **settings: Of `ClipDataModule`.
    """

    classes = ("spoof", "bonafide")

    def __init__(
        self,
        *,
        edition: Edition = "2019_LA",
        root: str = DEMO_ROOT,
        train_root: str | None = None,
        subset: Literal["eval", "progress", "hidden", "all"] = "eval",
        **settings: Any,
    ) -> None:
        super().__init__(root=root, **settings)
        if edition not in _LAYOUTS:
            raise ValueError(f"edition {edition!r} is unknown: choose one of {', '.join(_LAYOUTS)}")
        self.edition: Edition = edition
        self.train_root = Path(train_root).expanduser() if train_root else None
        self.subset = subset

    def prepare_data(self) -> None:
        """Make the demo corpus where the root is its place and it is missing."""
        if self.root == Path(DEMO_ROOT) and not self.root.exists():
            make_demo(self.root)

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Rows of a protocol.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        layout, root, protocol = self._locate(name)
        folder = root / layout.folder
        wanted = self.subset if "subset" in layout.columns else "all"
        clips, keys = [], set()
        shared: dict[
            tuple[str, ...], dict[str, str]
        ] = {}  # equal attributes are one object: a million rows fit
        names = [column for column in layout.columns if column not in {"key", "label"}]
        for place, row in read_rows(protocol, num_columns=layout.num_columns):
            key, label = row[layout.columns["key"]], row[layout.columns["label"]]
            check_key(place, key, keys)
            if label not in self.classes:
                raise ProtocolError(
                    f"{place}: label {label!r} is neither spoof nor bonafide: correct the line"
                )
            keys.add(key)
            if wanted != "all" and row[layout.columns["subset"]] != wanted:
                continue
            if label == "bonafide":
                row[layout.columns["attack"]] = "-"
            values = tuple(row[layout.columns[column]] for column in names)
            attributes = shared.setdefault(values, dict(zip(names, values, strict=True)))
            clips.append(Clip(key, f"{folder}/{key}.flac", self.classes.index(label), attributes))
        if not clips:
            raise ProtocolError(f"{protocol}: no trial of subset {wanted!r}: choose another subset")
        return clips

    def asv_scores(self, split: Literal["validation", "test"]) -> Path:
        """File of speaker verification scores for the 2019 t-DCF: source, target|nontarget|spoof, score."""
        if not self.edition.startswith("2019"):
            raise ValueError(
                f"edition {self.edition} has no verification scores beside its audio: use 2019_LA or 2019_PA"
            )
        track, part = self.edition[5:], {"validation": "dev", "test": "eval"}[split]
        _, root, _ = self._locate(split)
        return root / f"ASVspoof2019_{track}_asv_scores/ASVspoof2019.{track}.asv.{part}.gi.trl.scores.txt"

    def write_scores(self, path: str | Path, keys: Sequence[str], scores: Sequence[float]) -> None:
        """Write scores as the edition's evaluation package reads them.

        2019: ``UTT SYSTEM KEY SCORE``, 2021 and unlabelled clips: ``UTT SCORE``, 5: with header and tabs.
        """
        rows = _score_rows(path, keys, scores)
        if self.edition == "5":
            lines = ["filename\tcm-score", *(f"{key}\t{score}" for key, score in rows)]
        else:
            columns = self._labels() if self.edition.startswith("2019") else {}
            lines = [f"{key} {columns.get(key, '')}{score}" for key, score in rows]
        write_text_atomically(path, "\n".join(lines) + "\n")

    def _labels(self) -> dict[str, str]:
        """Utterance -> ``SYSTEM KEY`` and a space, of all clips with a label."""
        clips = (clip for split in self.clips.values() for clip in split if clip.target >= 0)
        return {clip.key: f"{clip.attributes['attack']} {self.classes[clip.target]} " for clip in clips}

    def _locate(self, split: str) -> tuple[_Layout, Path, Path]:
        """Layout of a split, the folder it is relative to (root, or the track's in it), its protocol."""
        edition, root, option = self.edition, self.root, "root"
        if edition.startswith("2021") and split != "test":
            edition = "2019_PA" if edition == "2021_PA" else "2019_LA"
            root, option = self.train_root or root, "train_root"
        layout = _LAYOUTS[edition][split]
        for folder in (root, root / edition[5:]):
            for protocol in (folder / layout.protocol, folder / "ASVspoof5_protocols" / layout.protocol):
                if protocol.exists():
                    return layout, folder, protocol
        raise ProtocolError(
            f"{root / layout.protocol}: no such protocol: set {option} of ASVspoof {edition} to the folder"
            f" that holds {Path(layout.protocol).parts[0]} and {Path(layout.folder).parts[0]}"
        )


def _score_rows(path: str | Path, keys: Sequence[str], scores: Sequence[float]) -> list[tuple[str, str]]:
    if len(keys) != len(scores):
        raise ValueError(f"{path}: {len(scores)} scores for {len(keys)} utterances: give one score each")
    for key, score in zip(keys, scores, strict=True):
        if not math.isfinite(score):
            raise ValueError(f"{path}: score {score} of {key} is not finite: look for NaN in training")
    # nine digits give a float32 back exactly
    return [(key, f"{float(score):.9g}") for key, score in zip(keys, scores, strict=True)]
