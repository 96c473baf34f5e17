"""ASVspoof 2019, 2021 and 5: synthetic, converted and replayed speech against bona fide speech.

Sources: the databases' own README files and https://www.asvspoof.org; a score is higher for bona fide speech.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.clips.search import clips_to_predict, missing_files, names_files
from datamodules.demo.asvspoof import DEMO_ROOT, make_demo
from datamodules.files import score_rows, write_text_atomically
from datamodules.protocol import ProtocolError, check_key, is_table, read_rows
from datamodules.ssd.asvspoof_layouts import LAYOUTS, Edition, Layout


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
    takes_class_scores = False
    demo_root = Path(DEMO_ROOT)
    demo_writer = staticmethod(make_demo)

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
        if edition not in LAYOUTS:
            raise ValueError(f"edition {edition!r} is unknown: choose one of {', '.join(LAYOUTS)}")
        self.edition: Edition = edition
        self.train_root = Path(train_root).expanduser() if train_root else None
        self.subset = subset

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Rows of a protocol.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        layout, root, protocol = self._locate(name)
        return self._read(layout, root / layout.folder, protocol)

    @property
    def corpus(self) -> str:
        """Edition and folder."""
        return f"ASVspoof {self.edition} {self.root.name}"

    def rows_to_predict(self) -> list[Clip]:
        """Clips of files, folders, lists and protocols of this edition, whose audio lies where that of a split does."""
        paths = [Path(source) for source in self.predict]
        protocols = [path for path in paths if is_table(path) and not names_files(path)]
        files = [source for source in self.predict if Path(source) not in protocols]
        return clips_to_predict(files) + [clip for path in protocols for clip in self._of_protocol(path)]

    def _of_protocol(self, path: Path) -> list[Clip]:
        for name in ("test", "validation", "train"):
            layout, root, _ = self._locate(name)
            clips = self._read(layout, root / layout.folder, path)
            if not missing_files(clips[:1]):
                return clips
        raise ProtocolError(
            f"{path}: {clips[0].key} is in no audio folder of ASVspoof {self.edition} at {self.root}: set data.root and"
            " data.edition to those of the protocol"
        )

    def _read(self, layout: Layout, folder: Path, protocol: Path) -> list[Clip]:
        wanted = self.subset if "subset" in layout.columns else "all"
        clips, keys = [], set()
        # Equal attributes are one object: a million rows fit into memory.
        shared: dict[tuple[str, ...], dict[str, str]] = {}
        names = [column for column in layout.columns if column not in {"key", "label"}]
        columns = [layout.columns[name] for name in names]
        for place, row in read_rows(protocol, num_columns=layout.num_columns):
            key, label = row[layout.columns["key"]], row[layout.columns["label"]]
            check_key(place, key, keys)
            if label not in self.classes:
                raise ProtocolError(
                    f"{place}: label {label!r} is neither spoof nor bonafide: correct the line"
                )
            if wanted != "all" and row[layout.columns["subset"]] != wanted:
                continue
            if label == "bonafide":
                row[layout.columns["attack"]] = "-"
            values = tuple([row[column] for column in columns])
            if values not in shared:
                shared[values] = dict(zip(names, values, strict=True))
            clips.append(Clip(key, f"{folder}/{key}.flac", self.classes.index(label), shared[values]))
        if not clips:
            raise ProtocolError(f"{protocol}: no trial of subset {wanted!r}: choose another subset")
        return clips

    def asv_scores(self, split: Literal["validation", "test"]) -> Path | None:
        """Speaker verification scores that the t-DCF of a split needs, where they lie beside the data.

        The file of 2019 (``SOURCE target|nontarget|spoof SCORE``), or the folder ``keys/<track>/ASV`` of 2021.
        """
        layout, root, protocol = self._locate(split)
        if layout.protocol.startswith("ASVspoof2019"):
            track, part = layout.protocol.split("_")[1], {"validation": "dev", "test": "eval"}[split]
            path = root / f"ASVspoof2019_{track}_asv_scores/ASVspoof2019.{track}.asv.{part}.gi.trl.scores.txt"
        else:
            path = protocol.parent.parent / "ASV"
        return path if path.exists() else None

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[float],
        decisions: Sequence[int] | None = None,
    ) -> Path:
        """Write scores, without decisions, to `path` as the edition's evaluation package reads them.

        2019: ``UTT SYSTEM KEY SCORE``, 2021 and unlabelled clips: ``UTT SCORE``, 5: with header and tabs.
        """
        rows = score_rows(path, keys, scores)
        if self.edition == "5":
            lines = ["filename\tcm-score", *(f"{key}\t{score}" for key, score in rows)]
        else:
            columns = self._labels() if self.edition.startswith("2019") else {}
            lines = [f"{key} {columns.get(key, '')}{score}" for key, score in rows]
        return write_text_atomically(path, "\n".join(lines) + "\n")

    def _labels(self) -> dict[str, str]:
        """Utterance -> ``SYSTEM KEY`` and a space, of all clips with a label."""
        clips = (clip for split in self.rows.values() for clip in split if clip.target != -1)
        return {
            clip.key: f"{(attack := clip.attributes['attack'])} {'bonafide' if attack == '-' else 'spoof'} "
            for clip in clips
        }

    def _locate(self, split: str) -> tuple[Layout, Path, Path]:
        """Layout of a split, the folder it is relative to (root, or the track's in it), its protocol."""
        edition, root, option = self.edition, self.root, "root"
        if edition.startswith("2021") and split != "test":
            edition = "2019_PA" if edition == "2021_PA" else "2019_LA"
            root, option = self.train_root or root, "train_root"
        layout = LAYOUTS[edition][split]
        for folder in (root, root / edition[5:]):
            for protocol in (folder / layout.protocol, folder / "ASVspoof5_protocols" / layout.protocol):
                if protocol.exists():
                    return layout, folder, protocol
        raise ProtocolError(
            f"{root / layout.protocol}: no such protocol: set {option} of ASVspoof {edition} to the folder"
            f" that holds {Path(layout.protocol).parts[0]} and {Path(layout.folder).parts[0]}"
        )
