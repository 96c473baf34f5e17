"""An audio effect as pairs of files, with or without knobs."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_info

from datamodules import audio
from datamodules.production.pairs.delay import measure_delay
from datamodules.production.pairs.effect_layout import (
    EffectInfo,
    FilePair,
    capture_pairs,
    folder_pairs,
    held_out,
    read_info,
)
from datamodules.production.pairs.effect_writer import write_effect
from datamodules.production.pairs.pairs import (
    PairDataModule,
    PairDataset,
    PairItem,
    PairSplit,
    normalise_knobs,
)

DEMO_ROOT = "data/demo/compressor"
AMPLIFIER_ROOT = "data/demo/amplifier"
_FOLDERS = {"train": "Train", "validation": "Val", "test": "Test"}
_DELAY_S = 10.0  # what a delay is measured on


class EffectPairs(PairDataModule):
    """Pairs in SignalTrain's layout or of a capture, see `effect_layout`; targets are cut from whole-file targets.

    Training items are chunks from anywhere in a file; those of evaluation are whole files, with ``Val`` standing in
    for a missing ``Test``. Of a capture the last `validation` of every file is held out, or of ten
    files and more as many whole ones: half each for validation and test.
    A constant delay of the targets is measured and printed at the start.

    Args:
        root: Folder of the data set. The default is a synthetic corpus, made where missing.
        sample_rate: Of the files, in Hz; other rates are an error, for resampling would alter both sides: `resampler`
            is for recordings that the trained effect is put to.
        chunk: Samples of a training item, with what the network looks back on.
        flip_polarity: Invert the polarity of half of the items; not for effects that treat the half waves differently.
        validation: Share of a capture that is held out.
        **settings: Of `PairDataModule`, but for `eval_batch_size`.

    Raises:
        ValueError: If files lack a partner, differ in rate or length, are not mono or seem swapped.
    """

    demo_root = Path(DEMO_ROOT)
    demo_writer = staticmethod(write_effect)

    def __init__(
        self,
        *,
        root: str = DEMO_ROOT,
        sample_rate: int = 44100,
        chunk: int = 65536,
        flip_polarity: bool = False,
        validation: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(root=root, sample_rate=sample_rate, eval_batch_size=1, **settings)
        self.chunk, self.flip_polarity, self.validation = chunk, flip_polarity, validation

    def split(self, name: PairSplit) -> list[FilePair]:
        """Pairs of a folder, or of a part of the capture."""
        self._info = read_info(self.root / "effect_info.ini")
        self.knob_names, self.knob_ranges = self._info.knob_names, self._info.knob_ranges
        folder = self.root / _FOLDERS[name]
        if name == "test" and not folder.is_dir():
            folder = self.root / _FOLDERS["validation"]
        if folder.is_dir():
            pairs = folder_pairs(folder, self._info, allow_truncated=self.allow_truncated)
        else:
            pairs = capture_pairs(self.root, allow_truncated=self.allow_truncated)
            pairs = held_out(pairs, name, self.validation)
        self._check(pairs, name)
        return pairs

    def _check(self, pairs: list[FilePair], name: str) -> None:
        for pair in pairs:
            header = audio.info(pair.input, allow_truncated=self.allow_truncated)
            if (rate := header.sample_rate) != self.sample_rate:
                raise ValueError(
                    f"{pair.input}: {rate} Hz where data.sample_rate is {self.sample_rate}: set that to {rate}"
                )
        if name == "train":
            short = min(pairs, key=lambda pair: pair.stop - pair.start)
            if short.stop - short.start < self.chunk:
                raise ValueError(
                    f"{short.input}: {short.stop - short.start} samples are less than data.chunk = {self.chunk}:"
                    " lower it or leave the file out"
                )
            self._tell_delay(pairs[0])

    def _tell_delay(self, pair: FilePair) -> None:
        if self._info.inverse:  # what comes before an effect cannot be late
            return
        size = min(pair.stop, round(_DELAY_S * self.sample_rate))
        source, target = (
            audio.read(path, 0, size, allow_truncated=self.allow_truncated)[0][0]
            for path in (pair.input, pair.target)
        )
        delay = measure_delay(source, target)
        if delay is not None and delay < -1:
            lead, name = -delay, Path(pair.input).name
            raise ValueError(
                f"{pair.target}: leads {name} by {lead} samples ({1000 * lead / self.sample_rate:.2f} ms); no effect"
                f" knows what is to come: cut the first {lead} samples off {name} and the last {lead} off the"
                " target, or exchange the files where their names are the wrong way round"
            )
        if delay is not None and delay > 1:
            rank_zero_info(
                f"{pair.target}: {delay} samples ({1000 * delay / self.sample_rate:.2f} ms) behind its input; the"
                " network learns this delay too: its receptive field must exceed it"
            )

    def dataset(self, name: PairSplit) -> "EffectDataset":
        """Chunks for training, whole files otherwise."""
        pairs = [pair for pair in self.rows[name] if isinstance(pair, FilePair)]
        if name != "train":
            return EffectDataset(pairs, self._info, allow_truncated=self.allow_truncated)
        return EffectDataset(
            pairs,
            self._info,
            chunk=self.chunk,
            flip_polarity=self.flip_polarity,
            allow_truncated=self.allow_truncated,
        )


class Capture(EffectPairs):
    """An effect without knobs, such as an amplifier at one setting; its demo corpus is one.

    Args:
        root: Folder of the data set.
        **settings: Of `EffectPairs`.
    """

    demo_root = Path(AMPLIFIER_ROOT)
    demo_writer = staticmethod(partial(write_effect, effect="amplifier"))

    def __init__(self, *, root: str = AMPLIFIER_ROOT, **settings: Any) -> None:
        super().__init__(root=root, **settings)


@dataclass(eq=False)
class EffectDataset(PairDataset):
    """Chunks of pairs of files where the draw says, or whole files.

    Attributes:
        pairs: The rows.
        info: Of the effect.
        chunk: Samples of an item; None takes the whole.
        flip_polarity: Invert the polarity of items of odd draws.
        allow_truncated: Take what there is of files that were cut off.
    """

    pairs: list[FilePair]
    info: EffectInfo
    chunk: int | None = None
    flip_polarity: bool = False
    allow_truncated: bool = False

    def __post_init__(self) -> None:
        self.equal = self.chunk is not None

    def __getitem__(self, item: tuple[int, int]) -> PairItem:
        index, draw = item
        pair = self.pairs[index]
        size = self.chunk or pair.stop - pair.start
        start = pair.start + (draw * (pair.stop - pair.start - size + 1) >> 64)
        sign = -1 if self.flip_polarity and draw % 2 else 1
        source, target = (
            audio.read(path, start, size, allow_truncated=self.allow_truncated)[0] * sign
            for path in (pair.input, pair.target)
        )
        return PairItem(source, target, normalise_knobs(pair.knobs, self.info.knob_ranges), pair, index)
