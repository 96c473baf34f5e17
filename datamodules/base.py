"""What all data sets of clips share: splits and their loaders."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch.utils.data import DataLoader

from datamodules.clip_table import ClipTable
from datamodules.clips import Clip, ClipDataset, Padding, collate
from datamodules.files import clips_to_predict, require_files
from datamodules.loader import ResumableLoader
from datamodules.recordings import Recordings
from datamodules.resumable import ResumableDataModule
from datamodules.samplers import TrainBatchSampler, TrainSampler

SplitName = Literal["train", "validation", "test", "predict"]
_SPLITS_OF_STAGE: dict[str | None, tuple[SplitName, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
    None: ("train", "validation", "test", "predict"),
}


class ClipDataModule(ResumableDataModule):
    """A data set on disk as batches of waveforms.

    A data set is one subclass: `classes`, `split` and `write_scores`.

    Args:
        root: Folder of the data set.
        sample_rate: What waveforms are resampled to, in Hz.
        train_crop_s: Length of the random training crop in seconds; None takes whole clips.
        eval_crop_s: Length of the evaluation crop from the beginning of a clip; None takes whole clips.
        padding: How shorter clips are filled: ``repeat`` (of the clip), ``zero``, or ``mirror`` (as a centred
            short-time transform continues a clip).
        mono: Average the channels.
        in_memory: Decode a split once and keep it: 38 MB for ten minutes of mono at 16 kHz, shared by workers.
        batch_size: Training clips a rank.
        drop_last: Leave out what does not fill the last batch of a training epoch.
        eval_batch_size: Clips a batch in validation, test and prediction.
        num_workers: Loader processes a rank; None follows the CPUs, 0 decodes in the training process.
        seed: Of the order of clips and of the crops.
        predict: Audio files, folders, or ``.txt`` lists of paths to predict on.

    Attributes:
        clips: Split name -> its rows, once `setup` has read them.
    """

    classes: ClassVar[Sequence[str]]
    """Class names by index."""

    unique_keys: ClassVar[bool] = True
    """Whether a key names one recording in all splits, not only within its own."""

    num_views: int = 1
    """Crops of a clip in test and prediction, see `EvaluationBatchSampler`."""

    def __init__(
        self,
        *,
        root: str,
        sample_rate: int = 16000,
        train_crop_s: float | None = 4.0375,
        eval_crop_s: float | None = 4.0375,
        padding: Padding = "repeat",
        mono: bool = True,
        in_memory: bool = False,
        batch_size: int = 24,
        drop_last: bool = True,
        eval_batch_size: int = 24,
        num_workers: int | None = None,
        seed: int = 0,
        predict: Sequence[str] = (),
    ) -> None:
        super().__init__(
            root=root,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )
        self.sample_rate, self.mono = sample_rate, mono
        self.padding: Padding = padding
        self.train_crop_s, self.eval_crop_s = train_crop_s, eval_crop_s
        self.drop_last, self.in_memory = drop_last, in_memory
        self.predict = list(predict)
        self.clips: dict[str, ClipTable] = {}
        self._recordings: dict[str, Recordings] = {}

    @abstractmethod
    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Parse the rows of a split from the data set's own protocol, without looking at the audio."""

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """Name of each label of a clip -> its class names by index."""
        return {"class": self.classes}

    def left_out(self, name: str, clips: Sequence[Clip]) -> Mapping[str, str]:
        """Key -> reason of the clips of split `name` that the data set does without; the files of others must exist."""
        return {}

    @abstractmethod
    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[float],
        decisions: Sequence[int] | None = None,
    ) -> None:
        """Write detection scores, and decisions (0 or 1) where the data set asks for them, in its official format.

        Where that is several files, they lie in a folder: `path` without its suffix.
        """

    def make_demo(self, folder: Path) -> None:
        """Write a small corpus in the data set's own layout."""
        raise ValueError(
            f"{type(self).__name__} has no demo corpus: set root to the data set's folder, not {folder}"
        )

    def rows_to_predict(self) -> list[Clip]:
        """Clips of what `predict` names; a data set may also know its own protocols."""
        return clips_to_predict(self.predict)

    def setup(self, stage: str | None = None) -> None:
        """Read the splits of a stage, each once, and make sure that their audio is there."""
        for name in _SPLITS_OF_STAGE[stage]:
            if name not in self.clips:
                clips = self.rows_to_predict() if name == "predict" else self.split(name)
                left_out = {} if name == "predict" else self.left_out(name, clips)
                clips = [clip for clip in clips if clip.key not in left_out]
                require_files(clips)
                self.clips[name] = ClipTable(clips)

    def train_sampler(self, *, rank: int, world_size: int, reshuffle: bool) -> TrainSampler:
        """The order of training batches; a data set may have its own."""
        return TrainBatchSampler(
            len(self.clips["train"]),
            batch_size=self.batch_size,
            rank=rank,
            world_size=world_size,
            seed=self.seed,
            reshuffle=reshuffle,
            drop_last=self.drop_last,
        )

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches, of random crops unless clips are whole; resumes where a restored checkpoint was."""
        self.setup("fit")
        rank, world_size, _ = self.ranks
        reshuffle = not getattr(self.trainer, "overfit_batches", 0)
        sampler = self.train_sampler(rank=rank, world_size=world_size, reshuffle=reshuffle)
        return self.resumable_loader(
            self._dataset("train", self.train_crop_s), sampler, partial(collate, padding=self.padding)
        )

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Batches of the validation split; an empty list where the data set has none."""
        self.setup("validate")
        if not self.clips["validation"]:
            return []
        return self._evaluation_loader("validation", stage="validate", persistent=True)

    def test_dataloader(self) -> DataLoader[Any]:
        """Batches of the test split."""
        return self._evaluation_loader("test", stage="test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Batches of the files named by `predict`."""
        if not self.predict:
            raise ValueError("predict: nothing to score: name audio files, folders, or .txt lists of paths")
        return self._evaluation_loader("predict", stage="predict")

    def _evaluation_loader(
        self, split: SplitName, *, stage: str, persistent: bool = False
    ) -> DataLoader[Any]:
        self.setup(stage)
        num_views = 1 if split == "validation" else self.num_views
        dataset = self._dataset(split, self.eval_crop_s)
        return self._ordered_loader(dataset, num_views=num_views, persistent=persistent)

    def _ordered_loader(
        self,
        dataset: ClipDataset,
        *,
        num_clips: int | None = None,
        num_views: int = 1,
        persistent: bool = False,
    ) -> DataLoader[Any]:
        """Batches of the first `num_clips` rows, or all; whole clips longest first."""
        num_clips = len(dataset) if num_clips is None else num_clips
        return self.ordered_loader(
            dataset,
            num_clips,
            partial(collate, padding=self.padding),
            batch_size=self.eval_batch_size,
            lengths=dataset.lengths()[:num_clips] if dataset.crop is None else None,
            num_views=num_views,
            persistent=persistent,
        )

    def _dataset(self, split: SplitName, crop_s: float | None) -> ClipDataset:
        if self.in_memory and split not in self._recordings:
            self._recordings[split] = Recordings(self.clips[split], mono=self.mono)
        return ClipDataset(
            self.clips[split],
            sample_rate=self.sample_rate,
            crop_s=crop_s,
            padding=self.padding,
            mono=self.mono,
            recordings=self._recordings.get(split),
        )
