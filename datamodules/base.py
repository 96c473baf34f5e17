"""What all data sets of clips share: splits and their loaders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning_utilities.core.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.clips import Clip, ClipDataset, Padding, collate
from datamodules.clips.class_names import (
    as_texts,
    describe_difference,
    distinct,
    recounted,
    renamed,
    same_order,
)
from datamodules.clips.coverage import Coverage
from datamodules.clips.recordings import Recordings
from datamodules.clips.search import clips_to_predict, require_files
from datamodules.clips.table import ClipTable, a_few
from datamodules.degradation import Chain
from datamodules.degradation.variants import DrawnVariant, variant_roots, variant_rows
from datamodules.loading.loader import ResumableLoader
from datamodules.loading.resumable import ResumableDataModule, SplitName
from datamodules.loading.samplers import TrainBatchSampler, TrainSampler

Channel = Literal["near", "far", "both", "mean"]
_NUMBERS: dict[Channel | int, int] = {"near": 0, "far": 1}


class ClipDataModule(ResumableDataModule):
    """A data set on disk as batches of waveforms.

    A data set is one subclass: `classes`, `split`, which gives `Clip`s, and `write_scores`.

    Args:
        train_crop_s: Length of the random training crop in seconds; None takes whole clips.
        eval_crop_s: Length of the evaluation crop from the beginning of a clip; None takes whole clips, in batches of
            one length.
        padding: How shorter clips are filled: ``repeat`` (of the clip), ``zero``, or ``mirror`` (as a centred
            short-time transform continues a clip).
        mono: Average the channels.
        channel: Which of several channels are heard, in place of what `mono` says: one alone by its number from 0, or
            of two microphones the one ``near`` (0) or ``far`` (1), ``both``, or the ``mean``.
        in_memory: Decode a split once and keep it: 38 MB for ten minutes of mono at 16 kHz, shared by workers.
        drop_last: Leave out what does not fill the last batch of a training epoch.
        predict: Audio files, folders, or ``.txt`` lists of paths to predict on.
        class_names: Names of classes -> those that a method knows them by; several classes may become one.
        degrade: Steps that degrade training crops, in the loader's workers -> the probability of each, as
            ``{rt60_0.2..0.6: 0.3, snr0..20: 0.5, mp3|opus: 0.5}``, see `datamodules.degradation.chain`.
        condition: Steps that degrade clips of validation and test, always the same way, as ``rt60_0.5+snr10+opus@16k``.
        noise: Folder of noise for both, at any depth, as MUSAN's; None draws noise.
        rooms: Folder of impulse responses for both, as that of RIRS_NOISES.
        **settings: Of `ResumableDataModule`.

    Attributes:
        coverage: Split name -> how much of its list is used, once `setup` has read it, of data sets that lose clips.
    """

    rows: dict[str, ClipTable]

    classes: ClassVar[Sequence[str]]
    """Class names by index."""

    unique_keys: ClassVar[bool] = True
    """Whether a key names one recording in all splits, not only within its own."""

    published_crop: ClassVar[bool] = True
    """Whether a published rule says which part of a test clip is scored; of a user's own data none does."""

    num_views: int = 1
    """Crops of a clip in test and prediction, see `EvaluationBatchSampler`."""

    def __init__(
        self,
        *,
        train_crop_s: float | None = 4.0375,
        eval_crop_s: float | None = 4.0375,
        padding: Padding = "repeat",
        mono: bool = True,
        channel: Channel | int | None = None,
        in_memory: bool = False,
        drop_last: bool = True,
        predict: Sequence[str] = (),
        class_names: Mapping[str, str] | None = None,
        degrade: dict[str, float] | None = None,
        condition: str | None = None,
        noise: str | None = None,
        rooms: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        folders = {"noise": _folder(noise), "rooms": _folder(rooms)}
        self.degrade = Chain(degrade, **folders) if degrade else None
        self.condition = Chain.of_condition(condition, **folders) if condition else None
        if isinstance(channel, int) and channel < 0:
            raise ValueError(f"channel {channel}: channels are counted from 0, or null hears all")
        self.mono = mono if channel is None else channel != "both"
        self.channel = channel if isinstance(channel, int) else _NUMBERS.get(channel or "mean")
        self.padding: Padding = padding
        self.train_crop_s, self.eval_crop_s = train_crop_s, eval_crop_s
        self.drop_last, self.in_memory = drop_last, in_memory
        self.predict = list(predict)
        self.class_names = as_texts("class_names", class_names)
        self._counted_as: Mapping[str, Sequence[str]] | None = None
        self._few = False
        self.coverage: dict[str, Coverage] = {}
        self._recordings: dict[str, Recordings] = {}

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        """Name of each label of a clip -> its class names by index, as `split` counts them."""
        return {"class": self.classes}

    @property
    def target_names(self) -> Mapping[str, Sequence[str]]:
        """Name of each label -> class names by index of the targets in `rows` and of columns of scores.

        `heads` by their `class_names`, until a method counts them in another order; see `count_classes_as`.
        """
        return (
            distinct(renamed(self.heads, self.class_names)) if self._counted_as is None else self._counted_as
        )

    def count_classes_as(self, names: Mapping[str, Sequence[str]], *, method: str, complete: bool) -> None:
        """Let targets of labelled rows, those at hand and those still to be read, count classes as a method does.

        Args:
            names: Label -> class names by index. Prediction takes them as they are.
            method: Its name, for messages.
            complete: Whether all of these classes must be there, as in training.

        Raises:
            ValueError: The data have other classes.
        """
        tables = [table for table in self.rows.values() if (table.targets >= 0).any()]
        if tables and not same_order(before := self.target_names, names):
            self._require_classes(names, method=method, complete=complete)
            for table in tables:
                table.targets = recounted(table.targets, before, names)
            order = "; ".join(", ".join(classes) for classes in names.values() if len(names) == 1)
            rank_zero_info(
                f"{type(self).__name__}: classes are counted in the order of the {method}, not of the data"
                + (f": {order}" if 0 < len(order) <= 100 else "")
            )
        self._counted_as = {label: list(classes) for label, classes in names.items()}

    def _require_classes(
        self, names: Mapping[str, Sequence[str]], *, method: str = "method", complete: bool = False
    ) -> None:
        found = renamed(self.heads, self.class_names)
        if difference := describe_difference(found, names, complete=complete):
            raise ValueError(
                f"{self.root}: {type(self).__name__} has {difference} by the {method}: give them the method's names"
                " with data.class_names='{NAME IN THE DATA: NAME IN THE METHOD}', or name other data"
            )

    @property
    def stop_s(self) -> float | None:
        """Where clips end whose files no protocol cuts, in seconds; None is the end of the file."""
        return None

    def keep_few(self) -> int:
        """Read a few rows of each class of every split from now on, see `a_few`; all of them are worth scoring."""
        self._few = True
        return 4

    def left_out(self, name: str, clips: Sequence[Clip]) -> Mapping[str, str]:
        """Key -> reason of the clips of split `name` that the data set does without; the files of others must exist."""
        return {}

    def place_of(self, clip: Clip) -> str:
        """What messages about a clip begin with: its file, behind ``list:line`` where a user's own list names it."""
        return clip.path

    def asv_scores(self, split: Literal["validation", "test"]) -> Path | None:
        """Speaker verification scores behind a split, which a t-DCF needs; most data sets have none."""
        return None

    def reference(self, index: int) -> Tensor | None:
        """What is to be extracted from test clip `index`, float32 (channel, time), if the data set knows it."""
        return None

    def rows_to_predict(self) -> list[Clip]:
        """Clips of what `predict` names; a data set may also know its own protocols."""
        return [replace(clip, stop_s=self.stop_s) for clip in clips_to_predict(self.predict)]

    def read_rows(self, name: SplitName) -> ClipTable:
        """Clips of a split that are not left out; makes sure that their audio is there."""
        clips = super().read_rows(name)
        left_out = {} if name == "predict" else self.left_out(name, clips)
        clips = [clip for clip in clips if clip.key not in left_out]
        if name != "predict":  # which scores the others, and names those that are missing
            require_files(clips)
        table = ClipTable(a_few(clips, training=name == "train") if self._few else clips)
        if (self.class_names or self._counted_as is not None) and (table.targets >= 0).any():
            self._require_classes(self.target_names)
            own = renamed(self.heads, self.class_names)
            table.targets = recounted(table.targets, own, self.target_names)
        return table

    def train_sampler(self) -> TrainSampler:
        """The order of training batches; a data set may have its own."""
        self.fit_batch_to_demo()
        return TrainBatchSampler(len(self.rows["train"]), drop_last=self.drop_last, **self.order_settings)

    def fit_batch_to_demo(self) -> None:
        """Cut batches that are larger than the demo corpus, where that is the data, so that it can be tried."""
        num_clips = len(self.rows["train"])
        share = num_clips // self.ranks[1]
        if self.root == self.demo_root and self.drop_last and self.batch_size > share > 0:
            rank_zero_info(
                f"{self.root}: batches of {share} clips, not {self.batch_size}: the demo corpus has {num_clips}"
            )
            self.batch_size = share

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches, of random crops unless clips are whole; resumes where a restored checkpoint was."""
        self.setup("fit")
        places = variant_roots(self.root, self.variant_settings) if self.degrade else []
        if places:
            rank_zero_info(f"{self.root}: training draws among {len(places)} packed variants of each clip")
            variants = [variant_rows(self.rows["train"], self.root, place) for place in places]
            dataset = DrawnVariant([self._cut(rows, self.train_crop_s) for rows in variants])
        else:
            dataset = self.dataset("train", self.train_crop_s, degrade=self.degrade)
        return self.resumable_loader(dataset, self.train_sampler(), partial(collate, padding=self.padding))

    @property
    def variant_settings(self) -> dict[str, Any]:
        """What packed variants of training clips depend on, as JSON takes it."""
        heard = {"sample_rate": self.sample_rate, "resampler": self.resampler, "mono": self.mono}
        return {**heard, "channel": self.channel, "degrade": self.degrade.settings if self.degrade else None}

    def predict_dataloader(self) -> DataLoader[Any]:
        """Batches of the files named by `predict`."""
        if not self.predict:
            raise ValueError("predict: nothing to score: name audio files, folders, or .txt lists of paths")
        self.setup("predict")
        return self.evaluation_loader("predict")

    def reference_dataloader(self) -> DataLoader[Any]:
        """The training clips once more, each once and all on every rank: what a model fits to or is compared with."""
        self.setup("fit")
        return self._ordered_loader(self.dataset("train", self.eval_crop_s), dealt=False)

    def evaluation_loader(self, split: SplitName) -> DataLoader[Any]:
        """Batches of a split, each of clips of one length, the longest first."""
        validates = split == "validation"  # each epoch, by the same workers, on the first crop alone
        dataset, num_views = self.dataset(split, self.eval_crop_s), 1 if validates else self.num_views
        return self._ordered_loader(dataset, num_views=num_views, persistent=validates)

    def _ordered_loader(
        self, dataset: ClipDataset, *, num_clips: int | None = None, **settings: Any
    ) -> DataLoader[Any]:
        """Batches of the first `num_clips` rows, or all, each of clips of one length, the longest first."""
        num_clips = len(dataset) if num_clips is None else num_clips
        return self.ordered_loader(
            dataset,
            num_clips,
            partial(collate, padding=self.padding),
            batch_size=self.eval_batch_size,
            lengths=None if dataset.equal else dataset.lengths()[:num_clips],
            **settings,
        )

    def dataset(self, split: SplitName, crop_s: float | None, *, degrade: Chain | None = None) -> ClipDataset:
        """Items of the rows in ``rows[split]``, cropped to `crop_s` seconds or whole.

        Those of validation and test are in the `condition`, others clean unless `degrade` says what is done to them.
        """
        if self.in_memory and split not in self._recordings:
            self._recordings[split] = Recordings(
                self.rows[split],
                mono=self.mono,
                channel=self.channel,
                allow_truncated=self.allow_truncated,
            )
        return self._cut(
            self.rows[split],
            crop_s,
            recordings=self._recordings.get(split),
            degrade=degrade,
            condition=self.condition if split in ("validation", "test") else None,
        )

    def _cut(self, rows: ClipTable, crop_s: float | None, **settings: Any) -> ClipDataset:
        return ClipDataset(
            rows,
            **self.decoding,
            crop_s=crop_s,
            padding=self.padding,
            mono=self.mono,
            channel=self.channel,
            **settings,
        )


def _folder(path: str | None) -> Path | None:
    return Path(path).expanduser() if path else None
