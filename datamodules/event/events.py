"""What data sets of audio events share: heads, coverage, views, balanced drawing, files of scores, lists of classes."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_info
from numpy.typing import ArrayLike, NDArray

from datamodules.audio import AudioError
from datamodules.base import ClipDataModule
from datamodules.clips import Clip
from datamodules.clips.coverage import ABSENT, coverage, read_exclusions
from datamodules.clips.films import SOUNDLESS, soundless
from datamodules.clips.search import missing_files
from datamodules.files import replacing
from datamodules.loading.samplers import TrainBatchSampler, TrainSampler, class_balancing_weights
from datamodules.protocol import ProtocolError, read_table

_SHOWN = 5  # films in a line


class EventDataModule(ClipDataModule):
    """Clips of audio events in classes of one head or several.

    A data set is one subclass: `heads`, and `split`, which lists every clip whether its file is there or not (a
    clip without a file has a path that does not exist). ``target`` of a clip is an int where there is one head,
    else a tuple in the order of `heads`; -1 is unknown.

    Listed clips that are absent, films without sound or excluded are left out, counted and named in `coverage`. A file
    that cannot be decoded ends a run: ``python -m datamodules.check --config FILE --exclude LIST`` finds all of them
    beforehand.

    Args:
        excluded: List of clips to leave out, CSV with the header ``key,reason``; None is ``excluded.csv`` in
            `root`, where there is one.
        num_views: Crops of a clip in test and prediction, evenly spaced from its first crop to its last; scores
            are averaged over rows of equal `Batch.index`. Validation takes the first crop alone.
        balanced: Draw training clips with replacement so that all classes come alike, see
            `class_balancing_weights`; an epoch is as long as without.
        **settings: Of `ClipDataModule`.
    """

    does_without_files: ClassVar[bool] = True
    """Whether listed clips without a file are left out, rather than faults of the list."""

    def __init__(
        self,
        *,
        excluded: str | None = None,
        num_views: int = 1,
        balanced: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if num_views < 1 or (num_views > 1 and self.eval_crop_s is None):
            raise ValueError(
                f"num_views is {num_views} with eval_crop_s {self.eval_crop_s}: give at least 1, and a crop where more"
            )
        self.excluded = Path(excluded).expanduser() if excluded else None
        self.num_views, self.balanced = num_views, balanced

    @property
    @abstractmethod
    def heads(self) -> Mapping[str, Sequence[str]]:
        """Name of each head -> its class names by index."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names of all heads side by side, as the columns of scores."""
        return [name for names in self.target_names.values() for name in names]

    def left_out(self, name: str, clips: Sequence[Clip]) -> Mapping[str, str]:
        """Clips without a file or whose film has no sound, and those of the list `excluded`; notes and prints coverage.

        Raises:
            AudioError: If no clip of the split is left.
        """
        exclusions = self._exclusions()
        absent = missing_files(clips) if self.does_without_files else []
        left_out = {clip.key: ABSENT for clip in absent}
        silent = soundless(clip.path for clip in clips if clip.key not in left_out)
        left_out |= {clip.key: SOUNDLESS for clip in clips if clip.path in silent}
        left_out |= {clip.key: exclusions[clip.key] for clip in clips if clip.key in exclusions}
        self.coverage[name] = coverage((clip.key for clip in clips), left_out)
        if clips:
            rank_zero_info(f"{type(self).__name__} {name}: {self.coverage[name]}{_named(silent)}")
        if clips and not self.coverage[name].found:
            raise AudioError(
                f"{self.root}: none of the {len(clips)} clips of the {name} split is there, e.g. {clips[0].path}"
                f" ({left_out[clips[0].key]}): set root to the folder of the data set, or unpack its audio there"
            )
        return left_out

    def train_sampler(self) -> TrainSampler:
        """Each clip once an epoch, or classes alike."""
        self.fit_batch_to_demo()
        targets = self.rows["train"].targets
        weights = class_balancing_weights(targets) if self.balanced else None
        return TrainBatchSampler(
            len(targets), drop_last=self.drop_last, weights=weights, **self.order_settings
        )

    def write_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike, decisions: Sequence[int] | None = None
    ) -> Path:
        """Write probabilities as NumPy's ``.npz``, which opens without pickle; `path` gets that suffix.

        Its arrays: ``key`` (clip,), ``head`` and ``classes`` (class,) text, ``probability`` float32 (clip, class). The
        scores of a detector, one a clip, are ``score`` float32 (clip,) in place of the last three.

        Args:
            path: File to write as a whole or not at all.
            keys: Ids of the clips.
            scores: (clip, class) probabilities, heads side by side, or (clip,) scores.
            decisions: Not written, the probabilities tell.

        Returns:
            The file.

        Raises:
            ValueError: If `scores` is not of that shape, or not finite.
        """
        checked = self._checked_scores(path, keys, scores)
        names: dict[str, Sequence[str]] = {"key": keys}
        if checked.ndim == 2:
            names["head"] = [head for head, classes in self.target_names.items() for _ in classes]
            names["classes"] = self.classes
        columns: dict[str, NDArray[Any]] = {name: np.array(texts, np.str_) for name, texts in names.items()}
        columns["probability" if checked.ndim == 2 else "score"] = checked
        with replacing(path := Path(path).with_suffix(".npz")) as file:
            np.savez(file, **columns)  # pyright: ignore[reportArgumentType]
        return path

    def _checked_scores(
        self, path: str | Path, keys: Sequence[str], scores: ArrayLike
    ) -> NDArray[np.float32]:
        """Finite scores, float32 (clip, class) or (clip,)."""
        checked = np.asarray(scores, np.float32)
        if checked.shape not in ((len(keys),), (len(keys), len(self.classes))):
            raise ValueError(
                f"{path}: scores of shape {checked.shape} where {len(keys)} clips x {len(self.classes)} classes were"
                " expected: give one column a class, heads side by side, or one score a clip"
            )
        if not np.isfinite(checked).all():
            key = keys[int(np.argwhere(~np.isfinite(checked))[0, 0])]
            raise ValueError(f"{path}: a score of {key} is not finite: look for NaN in training")
        return checked

    def _exclusions(self) -> dict[str, str]:
        path = self.excluded or self.root / "excluded.csv"
        return read_exclusions(path) if self.excluded or path.exists() else {}


def _named(films: Collection[str]) -> str:
    if not films:
        return ""
    more = f" and {len(films) - _SHOWN} more" if len(films) > _SHOWN else ""
    return f"; films without sound: {', '.join(sorted(films)[:_SHOWN])}{more}"


def read_classes(path: str | Path) -> dict[str, list[str]]:
    """Head -> class names by index, of a CSV file with the header ``head,index,name``.

    Raises:
        ProtocolError: If the file is not of that form.
    """
    rows = read_table(Path(path), num_columns=3)
    place, header = next(rows)
    if header != ["head", "index", "name"]:
        raise ProtocolError(f"{place}: begins with {header} where head,index,name was expected")
    heads: dict[str, list[str]] = {}
    for place, (head, index, name) in rows:
        names = heads.setdefault(head, [])
        if index != str(len(names)) or name in names:
            raise ProtocolError(
                f"{place}: class {name!r} has index {index} where {len(names)} and a new name were expected: write the"
                " classes of a head in order, each once"
            )
        names.append(name)
    return heads
