"""Machines and a sweep in a simulated room, at a microphone array.

The experiment of Kawaguchi et al., Anomaly Detection Based on an Ensemble of Dereverberation and Anomalous Sound
Extraction, ICASSP 2019, section 4, with recorded machines in a simulated room for the paper's real one.
"""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import audio
from datamodules.asd.dcase_layouts import TARGETS, Layout, machine_attributes
from datamodules.asd.dcase_scores import write_score_files
from datamodules.asd.room.room_corpus import write_corpus
from datamodules.asd.room.room_simulation import Simulation
from datamodules.base import ClipDataModule
from datamodules.clips import Clip, Padding
from datamodules.demo.machines import DEMO_ROOT, make_demo

_KEY = re.compile(r"([^/]+)/((?:normal|anomaly)_(id_\d+)_\d+(?:_snr[+-][\d.]+)?)")


class SimulatedRoom(ClipDataModule):
    """Multichannel segments of machines, without and with a sweep; labels normal = 0, anomaly = 1.

    Attributes of clips: ``machine``, ``section`` (``id_00``), ``domain`` (empty), ``instance``
    (``<machine>/<section>``), and ``snr``: of an anomaly one of `snr_db`, as ``-5``, else empty.

    Every instance has its place 1.5 to 2.1 m from the array; the loudspeaker stands 1 m from it. A segment of an
    instance is one clip or several in random order, so that few clips recur in other orders; training segments come
    from training clips, test segments from normal test clips. An anomalous segment has the same machine's sound and
    sweep at every SNR.

    Args:
        root: Where the corpus lies; simulated where it is missing. `room_corpus` describes the layout.
        machine_root: Folder of machines in the layout of DCASE 2020. The default is a synthetic corpus, made where
            it is missing.
        machines: Their names; None is all.
        reverberation_time_s: RT60, the time in which sound decays by 60 dB.
        num_microphones: On a circle of 3.4 cm radius.
        snr_db: Of the sweep over the machine, both as reverberant powers at the array.
        num_train: Training segments an instance.
        num_normal: Normal test segments an instance.
        num_abnormal: Anomalous test segments an instance, each at every SNR.
        segment_s: Length of a segment.
        simulation_seed: Of the places, of the order of clips and of the sweep's beginning; `seed` is training's.
        references: Keep the sweep at the microphones of every anomalous clip, by which to measure its extraction.
        mono: Average the microphones.
        train_crop_s: Length of the random training crop in seconds; None takes whole segments.
        eval_crop_s: Length of the evaluation crop; None takes whole segments.
        padding: How shorter clips, as those of `predict`, are filled.
        **settings: Of `ClipDataModule`.
    """

    classes = ("normal", "anomaly")
    unique_keys = False
    year = 2020
    """Of the challenge whose rules apply."""

    def __init__(
        self,
        *,
        root: str = "data/simulated_room",
        machine_root: str = DEMO_ROOT,
        machines: Sequence[str] | None = None,
        reverberation_time_s: float = 0.4,
        num_microphones: int = 8,
        snr_db: Sequence[float] = (-5, -10, -15),
        num_train: int = 15,
        num_normal: int = 15,
        num_abnormal: int = 15,
        segment_s: float = 10.0,
        simulation_seed: int = 0,
        references: bool = False,
        mono: bool = False,
        train_crop_s: float | None = None,
        eval_crop_s: float | None = None,
        padding: Padding = "mirror",
        **settings: Any,
    ) -> None:
        super().__init__(
            root=root,
            mono=mono,
            train_crop_s=train_crop_s,
            eval_crop_s=eval_crop_s,
            padding=padding,
            **settings,
        )
        self.machines = list(machines) if machines else None
        self.references = references
        self.simulation = Simulation(
            machine_root=machine_root,
            reverberation_time_s=reverberation_time_s,
            num_microphones=num_microphones,
            snr_db=list(snr_db),
            num_train=num_train,
            num_normal=num_normal,
            num_abnormal=num_abnormal,
            segment_s=segment_s,
            simulation_seed=simulation_seed,
        )

    def prepare_data(self) -> None:
        """Simulate the corpus where it is missing: minutes for the paper's size."""
        if self.root.exists():
            return
        source = Path(self.simulation.machine_root)
        if source == Path(DEMO_ROOT) and not source.exists():
            make_demo(source)
        write_corpus(self.root, self.simulation, machines=self.machines, references=self.references)

    def make_small(self, folder: Path) -> None:
        """Where the corpus is missing, simulate a few seconds of one machine in `folder`."""
        if self.root.exists():
            return
        machine_root = Path(self.simulation.machine_root)
        if machine_root == Path(DEMO_ROOT) and not machine_root.exists():
            machine_root = folder / "machines"
            make_demo(machine_root, seconds=1.0, num_train=4, num_test=4)
        self.root = folder / "room"
        self.simulation = replace(
            self.simulation,
            machine_root=str(machine_root),
            reverberation_time_s=min(self.simulation.reverberation_time_s, 0.2),
            num_microphones=2,
            num_train=2,
            num_normal=1,
            num_abnormal=1,
            segment_s=1.0,
        )
        self.machines = self.machines or sorted(Layout(2020, machine_root).machines("dev"))[:1]
        self.prepare_data()

    def reference(self, index: int) -> Tensor | None:
        """The sweep alone in test clip `index`, float32 (channel, time); None of a normal clip or if none are kept."""
        clip = self.rows["test"][index]
        if not self.references or clip.target == 0:
            return None
        path = Path(clip.path)
        return audio.read(path.parent.parent / "references" / path.name)[0]

    @property
    def instances(self) -> list[str]:
        """``<machine>/<section>`` of the normal training clips, sorted."""
        self.prepare_data()
        return sorted({clip.attributes["instance"] for clip in self._corpus["train"]})

    def split(self, name: Literal["train", "validation", "test"]) -> list[Clip]:
        """Clips in the order of the manifest; there is no validation split.

        Raises:
            ValueError: If the folder is not such a corpus, has other settings or lacks one of the machines.
        """
        return list(self._corpus.get(name, []))

    def reference_dataloader(self) -> DataLoader[Any]:
        """The whole training clips, each once, dealt to the ranks: what detectors fit thresholds to."""
        self.setup("fit")
        return self._ordered_loader(self.dataset("train", None))

    def write_scores(
        self,
        path: str | Path,
        keys: Sequence[str],
        scores: Sequence[float],
        decisions: Sequence[int] | None = None,
    ) -> Path:
        """Write a folder of ``anomaly_score_*.csv`` and, with decisions, ``decision_result_*.csv`` as of DCASE 2020."""
        return write_score_files(path, keys, scores, decisions, score_stem=_score_stem)

    @cached_property
    def _corpus(self) -> dict[str, list[Clip]]:
        """Clips of the chosen machines by split."""
        chosen = self._check_settings()
        corpus: dict[str, list[Clip]] = {"train": [], "test": []}
        with (self.root / "manifest.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["machine"] in chosen:
                    path = self.root / row["file"]
                    attributes = machine_attributes(row["machine"], row["id"]) | {"snr": row["snr_db"]}
                    clip = Clip(f"{row['machine']}/{path.stem}", str(path), TARGETS[row["kind"]], attributes)
                    corpus[path.parent.name].append(clip)
        return corpus

    def _check_settings(self) -> Sequence[str]:
        """Compare what the corpus was made of with what is asked for; gives the machines to read."""
        try:
            written = json.loads((self.root / "settings.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(
                f"{self.root}: no settings.json in it, so not a corpus of a simulated room: set root to one, or to"
                " a folder that is not there yet"
            ) from None
        wanted = asdict(self.simulation) | ({"references": True} if self.references else {})
        for name, value in wanted.items():
            if written.get(name) != value:
                raise ValueError(
                    f"{self.root}: was simulated with {name} {written.get(name)}, not {value}: set it so, set root to a"
                    " new folder, or delete this one"
                )
        if unknown := sorted(set(self.machines or ()) - set(written["machines"])):
            raise ValueError(
                f"{self.root}: was simulated without machines {', '.join(unknown)}: choose of"
                f" {', '.join(written['machines'])}, set root to a new folder, or delete this one"
            )
        return self.machines or written["machines"]


def _score_stem(key: str) -> tuple[str, str] | None:
    match = _KEY.fullmatch(key)
    return match and (f"{match[1]}_{match[3]}", f"{match[2]}.wav")
