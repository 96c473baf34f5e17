"""EPIC-KITCHENS-100: verbs and nouns of actions in kitchens, heard in untrimmed videos.

Sources: Damen et al., Rescaling Egocentric Vision, IJCV 2022; AudioSlowFast, Kazakos et al., ICASSP 2021.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from datamodules.audio import SUFFIXES, AudioError, track_names
from datamodules.clips import Clip
from datamodules.demo.epic_kitchens import DEMO_ROOT, write_epic_kitchens
from datamodules.epic_annotations import Segment, read_members, read_names, read_segments
from datamodules.epic_submission import NUM_NOUNS, NUM_VERBS, write_submission
from datamodules.events import EventDataModule


class EPICKitchens(EventDataModule):
    """Action segments of EPIC-KITCHENS-100, cut out of the sound of whole videos without reading the rest.

    Attributes of clips: ``participant``, ``video``, and, where the annotations have the lists, ``tail_verb``,
    ``tail_noun`` and ``unseen`` (a participant without training clips), "1" or "0".

    Args:
        root: Folder of the data set. The default is a synthetic corpus, made where it is missing.
        audio: In `root`, a folder of ``<video_id>.wav`` (or any other audio or video files), up to two folders deep
            as ``P01/videos/P01_11.MP4``; or an HDF5 file with one dataset a video, see `datamodules.hdf5`.
        annotations: Folder in `root` of the lists ``EPIC_100_*.csv``.
        train_list: Training list in there.
        test_split: The official validation split, or the official test split, whose labels only the challenge's
            server knows.
        context: Put a segment shorter than the crop into the middle of a crop of its video; one too close to the
            beginning is not in the middle, one too close to the end is padded. Otherwise `padding` fills the crop.
        sls_pt: Level of supervision in pre-training that a submission declares, 0 to 5.
        sls_tl: That of training labels.
        sls_td: That of training data.
        **settings: Of `EventDataModule`.
    """

    demo_root = Path(DEMO_ROOT)

    def __init__(
        self,
        *,
        root: str = DEMO_ROOT,
        audio: str = "audio",
        annotations: str = "annotations",
        train_list: str = "EPIC_100_train.csv",
        test_split: Literal["validation", "test"] = "validation",
        context: bool = False,
        sls_pt: int = 2,
        sls_tl: int = 3,
        sls_td: int = 3,
        **settings: Any,
    ) -> None:
        super().__init__(root=root, **settings)
        self.supervision = {"sls_pt": sls_pt, "sls_tl": sls_tl, "sls_td": sls_td}
        for name, level in self.supervision.items():
            if not 0 <= level <= 5:
                raise ValueError(
                    f"{name} {level} is no level of supervision: give 0 to 5 (https://github.com/epic-kitchens/sls)"
                )
        if context and None in (self.train_crop_s, self.eval_crop_s):
            raise ValueError("context fills crops: set train_crop_s and eval_crop_s, or context: false")
        if test_split not in ("validation", "test"):
            raise ValueError(f"test_split {test_split!r} is unknown: choose validation or test")
        self._audio, self._annotations = Path(audio).expanduser(), Path(annotations).expanduser()
        self.train_list, self.test_split, self.context = train_list, test_split, context

    @property
    def audio(self) -> Path:
        """Folder or HDF5 file of the videos' sound."""
        return self.root / self._audio

    @property
    def annotations(self) -> Path:
        """Folder of the lists."""
        return self.root / self._annotations

    @cached_property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """The challenge's verbs and nouns; ids beyond them, as in version 2 of the nouns, label no segment."""
        return {
            "verb": read_names(self.annotations / "EPIC_100_verb_classes.csv", NUM_VERBS),
            "noun": read_names(self.annotations / "EPIC_100_noun_classes.csv", NUM_NOUNS),
        }

    def make_demo(self, folder: Path) -> None:
        """Write the synthetic corpus."""
        write_epic_kitchens(folder)

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Rows of a list; clips have the target (verb, noun), (-1, -1) in the official test split.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        labelled = name != "test" or self.test_split == "validation"
        held_out = "EPIC_100_validation.csv" if labelled else "EPIC_100_test_timestamps.csv"
        segments = read_segments(
            self.annotations / (self.train_list if name == "train" else held_out),
            num_classes=(NUM_VERBS, NUM_NOUNS) if labelled else None,
        )
        crop_s = self.train_crop_s if name == "train" else self.eval_crop_s
        paths, groups = self._paths(), self._groups(labelled)
        clips = []
        for segment in segments:
            start_s, stop_s = segment.start_s, segment.stop_s
            if self.context and crop_s is not None:
                start_s, stop_s = _in_context(start_s, stop_s, crop_s)
            clips.append(
                Clip(
                    segment.key,
                    paths.get(segment.video, f"{self.audio}/{segment.video}.wav"),
                    (segment.verb, segment.noun),
                    _attributes(segment, groups),
                    start_s,
                    stop_s,
                )
            )
        return clips

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: ArrayLike,
        decisions: Sequence[int] | None = None,
    ) -> None:
        """Write probabilities (clip, 397) as a submission to the challenge, see `write_submission`."""
        write_submission(path, keys, scores, supervision=self.supervision)

    def _paths(self) -> dict[str, str]:
        """Video -> its file, or its track in an HDF5 file.

        Raises:
            AudioError: If a video has two files, or the HDF5 file is none.
        """
        if self.audio.is_file():
            return {name: f"{self.audio}/{name}" for name in track_names(self.audio)}
        paths: dict[str, str] = {}
        for pattern in ("*", "P*/*", "P*/*/*"):
            for path in self.audio.glob(pattern):
                if path.suffix.lower() in SUFFIXES and paths.setdefault(path.stem, str(path)) != str(path):
                    raise AudioError(
                        f"{path}: {path.stem} is also in {paths[path.stem]}: keep one file a video in the folder"
                    )
        return paths

    def _groups(self, labelled: bool) -> dict[str, set[str]]:
        """Attribute -> classes or participants that have it, as far as the annotations list them."""
        names = {"unseen": f"unseen_participant_ids_{'validation' if labelled else 'test'}"}
        if labelled:
            names |= {"tail_verb": "tail_verbs", "tail_noun": "tail_nouns"}
        files = {group: self.annotations / f"EPIC_100_{name}.csv" for group, name in names.items()}
        return {group: read_members(file) for group, file in files.items() if file.exists()}


def _in_context(start_s: float, stop_s: float, crop_s: float) -> tuple[float, float]:
    if stop_s - start_s >= crop_s:
        return start_s, stop_s
    start_s = max(
        round((start_s + stop_s - crop_s) / 2, 3), 0.0
    )  # a millisecond is a whole number of samples
    return start_s, start_s + crop_s


def _attributes(segment: Segment, groups: Mapping[str, set[str]]) -> dict[str, str]:
    values = {
        "unseen": segment.participant,
        "tail_verb": str(segment.verb),
        "tail_noun": str(segment.noun),
    }
    flags = {group: str(int(values[group] in members)) for group, members in groups.items()}
    return {"participant": segment.participant, "video": segment.video} | flags
