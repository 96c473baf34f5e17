"""ASVspoof 2019, 2021 and 5: synthetic, converted and replayed speech against bona fide speech.

Sources: the databases' own README files and https://www.asvspoof.org; a score is higher for bona fide speech.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.clips.search import missing_files
from datamodules.demo.asvspoof import DEMO_ROOT, make_demo
from datamodules.files import score_rows, write_text_atomically
from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError
from datamodules.ssd.asvspoof_layouts import LAYOUTS, Edition, Found, find, find_asv_scores, find_audio
from datamodules.ssd.trial_lists import clips_beside, clips_of_sources


class ASVspoof(ClipDataModule):
    """Utterances of one edition of ASVspoof; labels spoof = 0, bonafide = 1.

    Attributes of clips: ``speaker``, ``attack`` (``-`` for bona fide) and, by edition, ``codec``,
    ``environment``, ``transmission``, ``source``, ``vocoder``, ``room``, ``microphone`` and ``subset``. In
    2021 PA ``attack`` is the replay device.

    Args:
        edition: Which data set.
        root: Folder that holds ``ASVspoof2019_LA_train`` and its siblings (or ``LA`` with them); for 2021
            ``ASVspoof2021_LA_eval``, or its parts as they are unpacked, and ``keys``; for edition 5 ``flac_T``,
            ``flac_D``, ``flac_E_eval``, or ``ASVspoof5_train`` and so on above these, and the protocols, also those of
            the challenge phase. The default is a synthetic corpus, made where it is missing.
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

    def split(self, name: Part) -> list[Clip]:
        """Rows of a protocol.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        return self._read(self._find(name))

    @property
    def corpus(self) -> str:
        """Edition and folder."""
        return f"ASVspoof {self.edition} {self.root.name}"

    def rows_to_predict(self) -> list[Clip]:
        """Clips of files, folders, lists, and protocols, whose audio lies where that of a split does or beside."""
        return clips_of_sources(self.predict, self._of_trials)

    def _of_trials(self, path: Path) -> list[Clip]:
        """Clips of a protocol whose audio lies where that of a split does, or of any list beside its audio."""
        faults: list[ProtocolError] = []
        for name in ("test", "validation", "train"):
            edition, root, _ = self._place(name)
            if not (folders := find_audio(edition, name, root)):
                continue
            try:
                clips = self._read(Found(LAYOUTS[edition][name], root, path, folders))
            except ProtocolError as error:  # of another edition, perhaps
                faults.append(error)
            else:
                if not missing_files(clips[:1]):
                    return clips
        try:
            return clips_beside(path)
        except ProtocolError as error:
            raise (faults or [error])[0] from None

    def _read(self, found: Found) -> list[Clip]:
        clips = []
        for place, key, path, label, attributes in found.utterances(subset=self.subset):
            if label not in self.classes:
                raise ProtocolError(
                    f"{place}: label {label!r} is neither spoof nor bonafide: correct the line"
                )
            clips.append(Clip(key, path, self.classes.index(label), attributes))
        if not clips:
            raise ProtocolError(
                f"{found.protocol}: no trial of subset {self.subset!r}: choose another subset"
            )
        return clips

    def asv_scores(self, split: Literal["validation", "test"]) -> Path | None:
        """Speaker verification scores that the t-DCF of a split needs, where they lie beside the data."""
        return find_asv_scores(self._place(split)[0], split, self._find(split))

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

    def _place(self, split: Part) -> tuple[Edition, Path, str]:
        """Edition that a split is of, its root, and the option that names that."""
        if self.edition.startswith("2021") and split != "test":
            edition = "2019_PA" if self.edition == "2021_PA" else "2019_LA"
            return edition, self.train_root or self.root, "train_root"
        return self.edition, self.root, "root"

    def _find(self, split: Part) -> Found:
        edition, root, option = self._place(split)
        return find(edition, split, root, option=option)
