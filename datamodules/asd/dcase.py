"""DCASE Task 2 of 2020 to 2026: anomalous sounds of machines, learnt from normal sounds.

Sources: the tasks' descriptions and evaluators (https://dcase.community), and for proxy outliers Primus et al.,
Anomalous Sound Detection as a Simple Binary Classification Problem with Careful Selection of Proxy Outlier
Examples, DCASE 2020 workshop. A score is higher for anomalous sounds.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader

from datamodules import audio
from datamodules.asd.dcase_layouts import YEARS, Layout, Subset
from datamodules.asd.dcase_scores import write_score_files
from datamodules.asd.original_layouts import way_out_of
from datamodules.asd.proxy_outliers import (
    FOREIGN,
    ProxyOutliers,
    foreign_clips,
    recording_condition,
    select,
    too_short,
)
from datamodules.base import Channel, ClipDataModule
from datamodules.clips import Clip
from datamodules.demo.machines import DEMO_ROOT, make_demo
from datamodules.demo.machines_of_years import YEARS as DEMO_YEARS
from datamodules.demo.machines_of_years import make_demo_of
from datamodules.loading.samplers import ProxyBatchSampler, TrainSampler


class DCASE(ClipDataModule):
    """Clips of machines; labels normal = 0, anomaly = 1, unknown = -1, and proxy outliers = 1 in training.

    Attributes of clips: ``machine``, ``section`` (``id_00`` in 2020), ``domain``, ``instance``
    (``<machine>/<section>``, empty for clips of a foreign corpus); from 2021 on ``condition``, what follows the
    number in the file's name, and the columns of the year's tables of attributes, where a name that comes again has a
    number (``mic``, ``mic_2``). Test clips of ``test_rename``, where that is, have their true names and labels.

    Args:
        year: Edition of the task.
        root: Folder with ``dev_data`` and ``eval_data`` (``.../raw`` too), or with the machines themselves. The
            default is a synthetic corpus of 2020, made where it is missing, as are ``data/demo/DCASE2021`` to
            ``DCASE2026`` of their years.
        machine: Machine to detect anomalies of, e.g. ``fan``; None is all.
        id: Its section, e.g. ``id_00`` or ``section_00``; None is all.
        subset: Development or evaluation set; the evaluation set's test clips carry no label.
        additional_training: Train on the normal clips of both sets, of all their machines and sections that are
            chosen, rather than of `subset` alone.
        channel: As in `ClipDataModule`, of clips of several channels, as those of 2026 are: ``near`` the machine, which
            None is in 2026, or ``far`` from it, ``both``, which None is where `mono` is false, or their ``mean``.
            Without, clips of other years with several channels are refused.
        supplemental: Train on the clean sounds of machines in ``supplemental`` (2025) too, whose `condition` is
            ``supplemental``; noise there is taken by `noise`, or `proxy_outliers` ``folder`` and `proxy_root`.
        hidden_attributes: Take the conditions that 2024 and 2025 hid from those who took part, see `Layout`.
        proxy_outliers: What class 1 of training is made of, see `datamodules.asd.proxy_outliers`; None trains on
            normal clips alone.
        proxy_root: Folder of a foreign corpus of proxy outliers.
        num_proxy_outliers: Draw that many of them, by `seed`; None, or more than there are, takes all.
        recording_conditions: Machine -> name of its recording conditions. Others are ``ToyADMOS`` if their name
            begins with Toy, else ``MIMII``.
        validation_fraction: Part of each instance's normal training clips held out as validation split; with 0
            there is none.
        **settings: Of `ClipDataModule`.
    """

    classes = ("normal", "anomaly")
    takes_class_scores = False
    unique_keys = False
    demo_root = Path(DEMO_ROOT)
    demo_writer = staticmethod(make_demo)

    def __init__(
        self,
        *,
        year: int = 2020,
        root: str = DEMO_ROOT,
        machine: str | None = None,
        id: str | None = None,  # noqa: A002  the field's word
        subset: Subset = "dev",
        additional_training: bool = False,
        channel: Channel | int | None = None,
        supplemental: bool = False,
        hidden_attributes: bool = False,
        proxy_outliers: ProxyOutliers | None = None,
        proxy_root: str | None = None,
        num_proxy_outliers: int | None = None,
        recording_conditions: Mapping[str, str] | None = None,
        validation_fraction: float = 0.0,
        **settings: Any,
    ) -> None:
        if channel is None and year >= 2026 and settings.get("mono", True):
            channel = "near"
        super().__init__(root=root, channel=channel, **settings)
        if year not in YEARS:
            raise ValueError(f"year {year} is unknown: choose one of {', '.join(map(str, YEARS))}")
        if not 0 <= validation_fraction < 1:
            raise ValueError(
                f"validation_fraction must be at least 0 and less than 1, found {validation_fraction}: correct the"
                " data section"
            )
        self.year = year
        if self._has_demo_of_year:
            self.demo_root = Path(DEMO_ROOT).with_name(f"DCASE{year}")
        self.machine, self.id = machine, id
        self.additional_training, self.supplemental = additional_training, supplemental
        self.hidden_attributes = hidden_attributes
        self._may_average = channel is not None
        self.subset: Subset = subset
        self.proxy_outliers: ProxyOutliers | None = proxy_outliers
        self.proxy_root = Path(proxy_root).expanduser() if proxy_root else None
        self.num_proxy_outliers = num_proxy_outliers
        self.recording_conditions = dict(recording_conditions or {})
        self.validation_fraction = validation_fraction

    @property
    def corpus(self) -> str:
        """Year and folder."""
        return f"DCASE {self.year} {self.root.name}"

    @cached_property
    def layout(self) -> Layout:
        """Where things lie under the root, which may still change until the first look."""
        return Layout(self.year, self.root, self.hidden_attributes)

    @property
    def instances(self) -> list[str]:
        """``<machine>/<section>`` of the normal training clips, sorted; read from the names of the files."""
        self.prepare_data()
        return sorted({clip.attributes["instance"] for clip in self._normals})

    def make_demo(self, folder: Path) -> None:
        """Write the corpus of the year."""
        if self._has_demo_of_year:
            make_demo_of(self.year, folder)
        else:
            super().make_demo(folder)

    @property
    def _has_demo_of_year(self) -> bool:
        return type(self).demo_writer is DCASE.demo_writer and self.year in DEMO_YEARS

    def setup(self, stage: str | None = None) -> None:
        """Read the splits of a stage; warn where machines were recorded at another rate than `sample_rate`.

        Raises:
            ValueError: If clips have several channels, and nothing says which is heard.
        """
        before = set(self.rows)
        super().setup(stage)
        for name in self.rows.keys() - before - {"predict"}:
            for clip in self.rows[name][:1]:
                header = audio.info(clip.path, allow_truncated=self.allow_truncated)
                self._check_channels(clip.path, header.num_channels)
                if (rate := header.sample_rate) != self.sample_rate:
                    rank_zero_warn(
                        f"{clip.path} has {rate} Hz: such clips are resampled to sample_rate {self.sample_rate} Hz"
                    )

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Clips by instance; in training the normal ones, then proxy outliers.

        Raises:
            ValueError: If nothing fits machine, id and proxy_outliers, or a file's name is not of the year.
        """
        if name == "test":
            return self._of_target(self._read(self.subset, "test"), "test")
        held_out = self._held_out()
        if name == "validation":
            return [clip for clip in self._normals if clip.key in held_out]
        return [clip for clip in self._normals if clip.key not in held_out] + self._proxies()

    def left_out(self, name: str, clips: Sequence[Clip]) -> Mapping[str, str]:
        """Clips of AudioSet without a window of the detector: a few of its videos end early."""
        if name != "train" or self.proxy_outliers != "audioset":
            return {}
        proxies = [clip for clip in clips if clip.target == 1]
        if short := too_short(proxies, allow_truncated=self.allow_truncated):
            key, reason = next(iter(short.items()))
            rank_zero_warn(
                f"{len(short)} of {len(proxies)} clips of AudioSet are left out, e.g. {key}: {reason}"
            )
        return short

    def train_sampler(self) -> TrainSampler:
        """Halves of normal clips and proxy outliers where there are such; else the base's order."""
        if self.proxy_outliers is None:
            return super().train_sampler()
        return ProxyBatchSampler(self.rows["train"].targets, **self.order_settings)

    def reference_dataloader(self) -> DataLoader[Any]:
        """The whole normal training clips, each once, dealt to the ranks: what detectors fit thresholds to."""
        self.setup("fit")
        num_normals = int((self.rows["train"].targets == 0).sum())
        return self._ordered_loader(self.dataset("train", None), num_clips=num_normals)

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[float],
        decisions: Sequence[int] | None = None,
    ) -> Path:
        """Write the year's ``anomaly_score_*.csv`` and, with decisions, ``decision_result_*.csv`` into a folder.

        See `datamodules.asd.dcase_scores`.
        """
        return write_score_files(path, keys, scores, decisions, score_stem=self.layout.score_stem)

    def _read(self, subset: Subset, part: Literal["train", "test"]) -> list[Clip]:
        machines = self.layout.machines(subset)
        clips = [clip for machine in machines for clip in self.layout.clips(subset, machine, part)]
        if part == "train" and (others := self.layout.with_supplemental(subset)):
            if self.supplemental:
                clips += [clip for name in others for clip in self.layout.clips(subset, name, "supplemental")]
            else:
                rank_zero_info(
                    f"{self.layout.folder(subset)}: supplemental clips of {len(others)} machines are not used:"
                    " data.supplemental=true trains on the clean sounds, data.noise takes a folder of noise"
                )
        return clips

    @cached_property
    def _all_normals(self) -> dict[Subset, list[Clip]]:
        """Training clips of both subsets, the same list where the layout keeps them together."""
        dev = self._read("dev", "train")
        together = self.layout.folder("eval") == self.layout.folder("dev")
        return {"dev": dev, "eval": dev if together else self._read("eval", "train")}

    @cached_property
    def _normals(self) -> list[Clip]:
        normals = self._all_normals
        if self.additional_training and normals["dev"] is not normals["eval"]:
            return self._of_target(normals["dev"] + normals["eval"], "training")
        return self._of_target(normals[self.subset], "training")

    def _check_channels(self, path: str, num_channels: int) -> None:
        if num_channels > 1 and self.mono and self.channel is None and not self._may_average:
            raise ValueError(
                f"{path}: has {num_channels} channels, and clips of {self.year} have one: set data.year to 2026, or"
                " data.channel to near (the first), far (the second), both or mean"
            )

    def _of_target(self, clips: Sequence[Clip], kind: str) -> list[Clip]:
        """Clips of the chosen machine and id."""
        wanted, known = {"machine": self.machine, "id": self.id}, clips
        for option, column in (("machine", "machine"), ("id", "section")):
            value = wanted[option]
            chosen = [clip for clip in known if value is None or clip.attributes[column] == value]
            if not chosen and known:
                names = sorted({clip.attributes[column] for clip in known})
                raise ValueError(
                    f"{self.layout.folder(self.subset)}: no {kind} clips of {option} {value!r}: choose one of"
                    f" {', '.join(names)}, or null for all"
                )
            known = chosen
        if not known:
            if way_out := way_out_of(self.root):
                raise ValueError(way_out)
            folders = " or ".join(self.layout.test_folders) if kind == "test" else "train"
            raise ValueError(
                f"{self.root}: no {kind} clips of the {self.subset} set of {self.year}: set root to the"
                f" folder that holds {self.subset}_data/<machine>/{folders} or <machine>/{folders}"
            )
        return list(known)

    def _held_out(self) -> set[str]:
        """Keys of the validation clips: of each instance its part, at least one, by seed."""
        by_instance: dict[str, list[str]] = defaultdict(list)
        for clip in self._normals if self.validation_fraction else ():
            by_instance[clip.attributes["instance"]].append(clip.key)
        held_out: set[str] = set()
        for number, (instance, keys) in enumerate(sorted(by_instance.items())):
            count = max(round(self.validation_fraction * len(keys)), 1)
            if count == len(keys):
                raise ValueError(
                    f"{self.root}: validation_fraction {self.validation_fraction} leaves none of the {len(keys)}"
                    f" clips of {instance} for training: {'lower it' if count > 1 else 'set it to 0'}"
                )
            held_out.update(np.random.default_rng([self.seed, 2, number]).choice(keys, count, replace=False))
        return held_out

    def _proxies(self) -> list[Clip]:
        if self.proxy_outliers is None:
            return []
        if self.proxy_outliers in FOREIGN:
            found = foreign_clips(self.proxy_outliers, self.proxy_root)
        else:
            normals = {clip.path: clip for clips in self._all_normals.values() for clip in clips}
            found = select(
                self.proxy_outliers,
                list(normals.values()),
                targets=set(self.instances),
                condition=lambda machine: recording_condition(machine, self.recording_conditions),
            )
        return self._draw(found)

    def _draw(self, found: list[Clip]) -> list[Clip]:
        count = self.num_proxy_outliers
        if count is not None and count < 1:
            raise ValueError(f"num_proxy_outliers {count}: choose a number from 1, or null for all")
        if count is None or count >= len(found):
            if count is not None and count > len(found):
                rank_zero_warn(
                    f"num_proxy_outliers {count}: proxy_outliers {self.proxy_outliers} has {len(found)} clips here,"
                    " all are taken"
                )
            return found
        rows = np.random.default_rng([self.seed, 3, count]).choice(len(found), count, replace=False)
        return [found[row] for row in sorted(rows)]
