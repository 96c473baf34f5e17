"""Scores of the organisers' speaker verification (ASV) systems, which t-DCF needs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.metrics.asvspoof_protocols import EDITIONS, Protocol, find_layout, members_of
from lightning_modules.metrics.breakdown import Condition, Groups
from lightning_modules.metrics.functional.tandem import AsvErrorRates, asv_error_rates, asv_threshold
from lightning_modules.metrics.text_columns import as_numbers, fail, first_fields, read_columns


@dataclass(frozen=True, slots=True)
class AsvScores:
    """Scores of the speaker verification system behind the detector.

    Attributes:
        scores: float64 (trials,).
        is_target: bool (trials,), the claimed speaker.
        groups: What conditions filter; bona fide are target and nontarget trials.
        path: Where they were read.
        edition: Of the challenge.
    """

    scores: Tensor
    is_target: NDArray[np.bool_]
    groups: Groups
    path: Path
    edition: str
    _thresholds: dict[Condition, Tensor] = field(default_factory=dict, repr=False)

    @property
    def revision(self) -> int:
        """Of the t-DCF that the challenge computed with them."""
        return 2019 if self.edition == "ASVspoof 2019" else 2021

    def error_rates(self, condition: Condition = ()) -> AsvErrorRates:
        """Error rates of a condition at its own EER threshold.

        Raises:
            ValueError: The condition has no target, nontarget or spoof trial.
        """
        target, nontarget, spoof = self._by_kind(condition)
        bonafide_side = tuple(each for each in condition if each[0].among != "spoof")
        if bonafide_side not in self._thresholds and len(target) and len(nontarget):
            self._thresholds[bonafide_side] = asv_threshold(target, nontarget)
        return asv_error_rates(target, nontarget, spoof, threshold=self._thresholds.get(bonafide_side))

    def covers(self, condition: Condition) -> bool:
        """Whether the condition has trials of every kind; without, its t-DCF is undefined."""
        return all(map(len, self._by_kind(condition)))

    def check_attacks(self, attacks: Collection[str]) -> None:
        """Refuses scores of other data: they name attacks, but none of those that the detector met.

        Raises:
            ValueError: They have none in common.
        """
        if "attack" not in self.groups.columns:
            return
        ours = set(attacks) - {"-"}
        theirs = set(self.groups.columns["attack"][~self.groups.is_bonafide].tolist())
        if ours and theirs and ours.isdisjoint(theirs):
            raise ValueError(
                f"{self.path}: ASV scores of the attacks {_range(theirs)}, but the trials are of {_range(ours)}; "
                "give those of the same partition"
            )

    def check_belongs(self, protocol: Protocol) -> None:
        """Refuses ASV scores of another challenge, track or partition than a protocol's.

        Raises:
            ValueError: Editions or attacks differ. Ids are not compared: those of the 2021 ASV trials are others, such
                as ``LA_E_5013670-alaw-ita_tx``.
        """
        edition = protocol.layout.edition
        if edition != self.edition and edition in EDITIONS:
            raise ValueError(
                f"{self.path}: ASV scores of {self.edition}, but {protocol.path} is of {edition}; give its own, "
                "or drop --asv-scores"
            )
        if "attack" in protocol.columns:
            spoofed = protocol.chosen & ~protocol.is_bonafide
            self.check_attacks(np.unique(protocol.columns["attack"][spoofed]).tolist())

    def _by_kind(self, condition: Condition) -> list[Tensor]:
        """Scores of the condition's target, nontarget and spoofed trials."""
        members, is_bonafide = self.groups.members(condition), self.groups.is_bonafide
        kinds = (self.is_target, is_bonafide & ~self.is_target, ~is_bonafide)
        return [self.scores[torch.from_numpy(members & kind)] for kind in kinds]


def read_asv_scores(path: str | Path, *, subset: str | None = None) -> AsvScores:
    """Reads the organisers' ASV scores.

    Args:
        path: The 2019 file (``SOURCE target|nontarget|spoof SCORE`` lines), or the 2021 folder ``ASV`` with
            ``trial_metadata.txt`` and ``score.txt``, itself or in one subfolder.
        subset: As in `read_protocol`.

    Raises:
        ValueError: Unknown layout, key or score; the two 2021 files list different trials.
    """
    path = Path(path)
    if path.suffix in (".npy", ".pkl"):
        raise ValueError(
            f"{path}: pickled C012 tables can run code when opened and are refused; give the folder ASV "
            "beside it, from which the same coefficients are computed"
        )
    if path.is_dir():
        return _read_asv_folder(path, subset)
    if len(first_fields(path)) != 3:
        raise ValueError(f"{path}:1: expected three columns 'SOURCE target|nontarget|spoof SCORE'")
    sources, kinds, texts = read_columns(path, [0, 1, 2], width=3)
    scores = as_numbers(path, texts, sources)
    return _asv_scores(path, "ASVspoof 2019", kinds, scores, {"attack": np.array(sources)})


def _read_asv_folder(folder: Path, subset: str | None) -> AsvScores:
    """Joins the 2021 metadata and scores line by line: utterances repeat, one trial a claimed speaker."""
    metadata = folder / "trial_metadata.txt"
    found = sorted([*folder.glob("score.txt"), *folder.glob("*/score.txt")])
    if len(found) != 1:
        raise ValueError(f"{folder}: expected one score.txt in it or below, found {len(found)}")
    layout = find_layout(metadata)
    names = ["speaker", "utterance", "label", *layout.groups]
    wanted = [layout.columns.index(name) for name in names]
    speakers, utterances, kinds, *texts = read_columns(metadata, wanted, width=len(layout.columns))
    score_speakers, score_utterances, score_texts = read_columns(found[0], [0, 1, 2], width=3)
    listed = zip(speakers, utterances, strict=True)
    scored = zip(score_speakers, score_utterances, strict=True)
    for row, (ours, theirs) in enumerate(zip(listed, scored, strict=False)):
        if ours != theirs:
            fail(found[0], row, f"trial {' '.join(theirs)}, but {metadata} lists {' '.join(ours)} there")
    if len(utterances) != len(score_utterances):
        raise ValueError(
            f"{found[0]}: {len(score_utterances)} trials, but {metadata} lists {len(utterances)}"
        )
    columns = {name: np.array(column) for name, column in zip(names[3:], texts, strict=True)}
    scores = as_numbers(found[0], score_texts, utterances)
    chosen = members_of(metadata, columns, len(utterances), subset)
    return _asv_scores(metadata, layout.edition, kinds, scores, columns, chosen)


def _asv_scores(
    path: Path,
    edition: str,
    kinds: Sequence[str],
    scores: NDArray[np.float64],
    columns: Mapping[str, NDArray[np.str_]],
    chosen: NDArray[np.bool_] | slice = slice(None),
) -> AsvScores:
    for kind in set(kinds) - {"target", "nontarget", "spoof"}:
        fail(path, kinds.index(kind), f"key {kind!r} is neither 'target', 'nontarget' nor 'spoof'")
    kind_of = np.array(kinds)[chosen]
    groups = Groups({name: column[chosen] for name, column in columns.items()}, kind_of != "spoof")
    return AsvScores(torch.from_numpy(scores[chosen]), kind_of == "target", groups, path, edition)


def _range(attacks: Collection[str]) -> str:
    """The first and the last."""
    return " to ".join(dict.fromkeys((min(attacks), max(attacks))))
