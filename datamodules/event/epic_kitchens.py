"""EPIC-KITCHENS-100: verbs and nouns of actions in kitchens, heard in untrimmed videos.

Sources: Damen et al., Rescaling Egocentric Vision, IJCV 2022; AudioSlowFast, Kazakos et al., ICASSP 2021.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from lightning_utilities.core.rank_zero import rank_zero_warn
from numpy.typing import ArrayLike

from datamodules.audio import track_names
from datamodules.clips import Clip
from datamodules.demo.epic_kitchens import DEMO_ROOT, write_epic_kitchens
from datamodules.event.epic_annotations import Segment, read_members, read_names, read_segments
from datamodules.event.epic_submission import NUM_NOUNS, NUM_VERBS, write_submission
from datamodules.event.events import EventDataModule
from datamodules.event.youtube import find_files

VALIDATION_LIST, TEST_LIST = "EPIC_100_validation.csv", "EPIC_100_test_timestamps.csv"
_FOLDERS = frozenset({"videos", "audio", *(f"P{number:02d}" for number in range(1, 38))})


class EPICKitchens(EventDataModule):
    """Action segments of EPIC-KITCHENS-100, cut out of the sound of whole videos without reading the rest.

    Attributes of clips: ``participant``, ``video``, and, where the annotations have the lists, ``tail_verb``,
    ``tail_noun`` and ``unseen`` (a participant without training clips), "1" or "0".

    Args:
        root: Folder of the data set. The default is a synthetic corpus, made where it is missing.
        audio: In `root`, a folder of ``<video_id>.wav`` (or any other sound or film; the sound is read where there
            are both), also in folders as ``P01`` and ``P01/videos``; or an HDF5 file of tracks, see
            `datamodules.audio.hdf5`.
        annotations: Folder in `root` of the lists ``EPIC_100_*.csv``.
        train_list: Training list in there.
        validation: Part of the training clips held out as validation split: whole videos, chosen by a hash of their
            id, the same for every seed and machine; 0 for none. ``official`` validates on the official validation
            split, with a warning where that is tested on.
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
    demo_writer = staticmethod(write_epic_kitchens)

    def __init__(
        self,
        *,
        root: str = DEMO_ROOT,
        audio: str = "audio",
        annotations: str = "annotations",
        train_list: str = "EPIC_100_train.csv",
        validation: float | Literal["official"] = 0.05,
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
        fraction = 0 if validation == "official" else validation
        if isinstance(fraction, str) or not 0 <= fraction < 1:
            raise ValueError(f"validation {validation} must be official, or at least 0 and less than 1")
        self.validation: float | Literal["official"] = validation
        self._audio, self._annotations = Path(audio).expanduser(), Path(annotations).expanduser()
        self.test_split: Literal["validation", "test"] = test_split
        self.train_list, self.context = train_list, context

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

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Rows of a list; clips have the target (verb, noun), (-1, -1) in the official test split.

        Raises:
            ProtocolError: With the file, the line and the way out.
        """
        if name == "test":
            return self._listed(self.test_split, self.eval_crop_s)
        if self.validation != "official":
            clips = self._listed("train", self.train_crop_s if name == "train" else self.eval_crop_s)
            held_out = _videos_to_hold_out(clips, self.validation)
            return [c for c in clips if (c.attributes["video"] in held_out) == (name == "validation")]
        if name == "train":
            return self._listed("train", self.train_crop_s)
        if self.test_split == "validation":
            rank_zero_warn("EPICKitchens validates on its test split: checkpoints are chosen on test clips")
        return self._listed("validation", self.eval_crop_s)

    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write probabilities (clip, 397) as a submission to the challenge, see `write_submission`."""
        return write_submission(path, keys, scores, supervision=self.supervision)

    def _listed(self, part: Literal["train", "validation", "test"], crop_s: float | None) -> list[Clip]:
        """Every clip of an official list."""
        lists = {"train": self.train_list, "validation": VALIDATION_LIST, "test": TEST_LIST}
        labelled = part != "test"
        segments = read_segments(
            self.annotations / lists[part], num_classes=(NUM_VERBS, NUM_NOUNS) if labelled else None
        )
        paths, groups = self._paths(), self._groups(labelled)
        clips = []
        for segment in segments:
            start_s, stop_s = segment.start_s, segment.stop_s
            if self.context and crop_s is not None:
                start_s, stop_s = _in_context(start_s, stop_s, crop_s)
            path = paths.get(segment.video, f"{self.audio}/{segment.video}.wav")
            target = (segment.verb, segment.noun)
            clips.append(Clip(segment.key, path, target, _attributes(segment, groups), start_s, stop_s))
        return clips

    def _paths(self) -> dict[str, str]:
        """Video -> its file, or its track in an HDF5 file."""
        if self.audio.is_file():
            return {name: f"{self.audio}/{name}" for name in track_names(self.audio)}
        return find_files(self.audio, _FOLDERS)

    def _groups(self, labelled: bool) -> dict[str, set[str]]:
        """Attribute -> classes or participants that have it, as far as the annotations list them."""
        names = {"unseen": f"unseen_participant_ids_{'validation' if labelled else 'test'}"}
        if labelled:
            names |= {"tail_verb": "tail_verbs", "tail_noun": "tail_nouns"}
        files = {group: self.annotations / f"EPIC_100_{name}.csv" for group, name in names.items()}
        return {group: read_members(file) for group, file in files.items() if file.exists()}


def _videos_to_hold_out(clips: Sequence[Clip], fraction: float) -> set[str]:
    """Ids of as many videos as it takes to hold this part of the clips."""
    counts = Counter(clip.attributes["video"] for clip in clips)
    videos = sorted(counts, key=lambda video: hashlib.sha256(video.encode()).digest())
    held_before = accumulate((counts[video] for video in videos), initial=0)
    return {video for video, held in zip(videos, held_before, strict=False) if held < fraction * len(clips)}


def _in_context(start_s: float, stop_s: float, crop_s: float) -> tuple[float, float]:
    if stop_s - start_s >= crop_s:
        return start_s, stop_s
    # To the millisecond, which is a whole number of samples.
    start_s = max(round((start_s + stop_s - crop_s) / 2, 3), 0.0)
    return start_s, start_s + crop_s


def _attributes(segment: Segment, groups: Mapping[str, set[str]]) -> dict[str, str]:
    values = {
        "unseen": segment.participant,
        "tail_verb": str(segment.verb),
        "tail_noun": str(segment.noun),
    }
    flags = {group: str(int(values[group] in members)) for group, members in groups.items()}
    return {"participant": segment.participant, "video": segment.video} | flags
