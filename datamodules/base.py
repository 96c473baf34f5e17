"""What all data sets of clips share: splits, loaders, ranks, resumption."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.clips import Clip, ClipDataset, Padding, collate
from datamodules.files import clips_to_predict, require_files
from datamodules.loader import ResumableLoader, worker_settings
from datamodules.recordings import Recordings
from datamodules.samplers import EvaluationBatchSampler, TrainBatchSampler, TrainSampler

SplitName = Literal["train", "validation", "test", "predict"]
_SPLITS_OF_STAGE: dict[str | None, tuple[SplitName, ...]] = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
    None: ("train", "validation", "test", "predict"),
}


class ClipDataModule(LightningDataModule, ABC):
    """A data set on disk as batches of waveforms; loaders work with and without a Trainer.

    A data set is one subclass: `classes`, `split` and `write_scores`. Under several ranks set
    ``Trainer(use_distributed_sampler=False)``: the samplers here know about ranks.

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

    demo_root: ClassVar[Path | None] = None
    """Where the data set's demo corpus lies, if it has one."""

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
        super().__init__()
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, found {value}: correct the data section")
        self.root = Path(root).expanduser()
        self.sample_rate, self.mono = sample_rate, mono
        self.padding: Padding = padding
        self.train_crop_s, self.eval_crop_s = train_crop_s, eval_crop_s
        self.batch_size, self.eval_batch_size, self.drop_last = batch_size, eval_batch_size, drop_last
        self.in_memory = in_memory
        self.num_workers, self.seed, self.predict = num_workers, seed, list(predict)
        self.clips: dict[str, list[Clip]] = {}
        self._recordings: dict[str, Recordings] = {}
        self._train_loader: ResumableLoader | None = None
        self._restored: dict[str, int] | None = None

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

    def make_small(self, folder: Path) -> None:
        """Where `prepare_data` would make a corpus, make it in `folder` instead, for a dry run that leaves nothing."""
        if self.root == self.demo_root and not self.root.exists():
            self.root = folder / self.root.name
            self.make_demo(self.root)

    def prepare_data(self) -> None:
        """Make the demo corpus where the root is its place and it is missing."""
        if self.root == self.demo_root and not self.root.exists():
            self.make_demo(self.root)

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
                self.clips[name] = clips

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
        rank, world_size, ranks_on_node = self._ranks()
        reshuffle = not getattr(self.trainer, "overfit_batches", 0)
        sampler = self.train_sampler(rank=rank, world_size=world_size, reshuffle=reshuffle)
        self._train_loader = ResumableLoader(
            self._dataset("train", self.train_crop_s),
            batch_sampler=sampler,
            epoch_batches=self._epoch_batches(len(sampler)),
            collate_fn=partial(collate, padding=self.padding),
            **worker_settings(self.num_workers, ranks_on_node=ranks_on_node),
        )
        # A loader made anew within a run (reload_dataloaders_every_n_epochs) must not repeat the first epoch.
        epoch = self.trainer.current_epoch if self.trainer else 0
        self._train_loader.load_state_dict(self._restored or {"epoch": epoch, "position": 0})
        self._restored = None
        return self._train_loader

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

    def state_dict(self) -> dict[str, Any]:
        """Progress of training, for a checkpoint.

        Lightning also saves the loader's own state, but restores that only in the middle of an epoch.
        """
        return self._train_loader.state_dict() if self._train_loader else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader continue where the checkpoint was."""
        self._restored = state_dict or None

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
        rank, world_size, ranks_on_node = self._ranks()
        sampler = EvaluationBatchSampler(
            num_clips,
            batch_size=self.eval_batch_size,
            rank=rank,
            world_size=world_size,
            lengths=dataset.lengths()[:num_clips] if dataset.crop is None else None,
            num_views=num_views,
        )
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=partial(collate, padding=self.padding),
            **worker_settings(self.num_workers, ranks_on_node=ranks_on_node, persistent=persistent),
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

    def _ranks(self) -> tuple[int, int, int]:
        """Rank, number of ranks, and ranks on this node."""
        if self.trainer is None:
            return 0, 1, 1
        return self.trainer.global_rank, self.trainer.world_size, self.trainer.num_devices

    def _epoch_batches(self, available: int) -> int:
        """Batches after which Lightning ends an epoch."""
        limit = self.trainer.limit_train_batches if self.trainer else None
        if limit is None:
            return available
        return min(limit, available) if isinstance(limit, int) else int(limit * available)
