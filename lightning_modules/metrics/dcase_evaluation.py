"""Evaluation of anomalous sound detection by the official rules of DCASE Task 2, 2020 to 2026."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lightning_modules.metrics.dcase_means import DOMAINS, EPSILON, FigureRow, all_means, summarise
from lightning_modules.metrics.functional import auc, partial_auc

YEARS = range(2020, 2027)
Names = Sequence[str] | NDArray[np.str_]
_Clips = Mapping[str, NDArray]  # name -> column (clip,)


@dataclass(frozen=True, slots=True)
class DcaseEvaluation:
    """Figures of one system; fractions in [0, 1], NaN where undefined.

    Attributes:
        rows: One a machine and section (2020) or machine, section and domain (since 2021): `machine`,
            `section`, `domain`, `auc`, `pauc`; since 2022 `auc_all`, over both domains; with decisions
            `precision`, `recall` and `f1`.
        means: Of the rows, one a `machine`, `domain` ("" is all of them) and kind of `mean`, "arithmetic" or
            "harmonic", with the figures of the rows but `auc_all`.
        summary: Figures of the whole system: since 2021 `official_score`; `auc` and `pauc`; since 2021 those
            of each domain, as `auc_source`; with decisions `precision`, `recall` and `f1`.
        warnings: What is undefined and therefore left out of the means, and why.
    """

    rows: list[FigureRow]
    means: list[FigureRow]
    summary: dict[str, float]
    warnings: list[str]


def evaluate_dcase(
    scores: Tensor | ArrayLike,
    is_anomaly: Tensor | ArrayLike,
    *,
    machine: Names,
    section: Names,
    domain: Names | None = None,
    year: int,
    decisions: Tensor | ArrayLike | None = None,
) -> DcaseEvaluation:
    """Computes the figures of the official evaluators.

    2020 has no domains, and its means are arithmetic: over the sections of a machine, then over machines. In
    2021 each domain is evaluated by itself; since 2022 the normal clips of a domain meet the anomalies of
    both, and pAUC is that of both. Since 2021 the official score is the harmonic mean of every AUC and pAUC.

    Args:
        scores: (clip,), higher means more anomalous.
        is_anomaly: bool or 0 and 1 (clip,).
        machine: (clip,), e.g. "fan".
        section: (clip,), e.g. "id_00" or "section_00".
        domain: (clip,), "source" or "target", "" where unknown; not used in 2020.
        year: One of `YEARS`.
        decisions: 0 and 1 (clip,), 1 for anomalous.

    Raises:
        ValueError: Unknown year, columns of different lengths, labels or decisions other than 0 and 1, or a
            score that is not finite.
    """
    if year not in YEARS:
        raise ValueError(f"year is {year}: the rules of {YEARS[0]} to {YEARS[-1]} are known")
    if not len(machine):
        raise ValueError("no clips to evaluate")
    numbers = torch.as_tensor(scores, dtype=torch.float64).cpu().numpy()
    if not np.isfinite(numbers).all():
        first = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise ValueError(f"score {first} is {numbers[first]}: every score must be a finite number")
    domains = np.array(domain) if domain is not None and year > 2020 else np.full(len(machine), "")
    decided = {} if decisions is None else {"decisions": _binary(decisions, "decisions")}
    flags = _binary(is_anomaly, "is_anomaly")
    clips = {"scores": numbers, "is_anomaly": flags, "domain": domains, **decided}
    rows, warnings = [], []
    for (name, part), members in _sections(clips, machine, section):
        for value in np.unique(members["domain"]).tolist():
            row, warning = _row(members, value, year=year)
            rows.append({"machine": name, "section": part, "domain": value} | row)
            warnings += [" ".join(filter(None, (name, part, value))) + f": {warning}"] if warning else []
    means = all_means(rows, year=year)
    if year > 2020 and (found := {str(row["domain"]) for row in rows}) != set(DOMAINS):
        warnings.append(f"no official score: it needs the domains source and target, found {sorted(found)}")
    return DcaseEvaluation(rows, means, summarise(rows, means, year=year), warnings)


def _binary(values: Tensor | ArrayLike, name: str) -> NDArray[np.bool_]:
    array = torch.as_tensor(values).cpu().numpy()
    if not np.isin(array, (0, 1)).all():
        wrong = array[~np.isin(array, (0, 1))]
        raise ValueError(
            f"{name}: {len(wrong)} of {len(array)} are neither 0 nor 1, e.g. {wrong[0]}; leave them out"
        )
    return array.astype(bool)


def _sections(clips: _Clips, machine: Names, section: Names) -> list[tuple[tuple[str, str], _Clips]]:
    """Clips by machine and section, sorted by name."""
    lengths = [len(column) for column in (*clips.values(), machine, section)]
    if len(set(lengths)) > 1:
        raise ValueError(f"scores, labels and names of the clips must be equally many, found {lengths}")
    members: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, place in enumerate(zip(machine, section, strict=True)):
        members[str(place[0]), str(place[1])].append(index)  # numpy strings too
    return [
        (place, {name: column[index] for name, column in clips.items()})
        for place, index in sorted(members.items())
    ]


def _row(clips: _Clips, domain: str, *, year: int) -> tuple[FigureRow, str]:
    """Figures of a section in a domain, and why its AUC is undefined if it is."""
    inside, everywhere = clips["domain"] == domain, np.ones_like(clips["is_anomaly"])
    scored = inside | clips["is_anomaly"] if year > 2021 else inside
    figures: FigureRow = {
        "auc": _area(auc, clips, scored),
        "pauc": _area(partial_auc, clips, everywhere if year > 2021 else inside),
    }
    if year > 2021:
        figures["auc_all"] = _area(auc, clips, everywhere)
    if "decisions" in clips:
        figures |= _decision_figures(clips["is_anomaly"][inside], clips["decisions"][inside])
    num_anomalies = int(clips["is_anomaly"][scored].sum())
    if 0 < num_anomalies < scored.sum():
        return figures, ""
    missing = "normal" if num_anomalies else "anomalous"
    return figures, f"AUC is undefined: none of {scored.sum()} clips is {missing}"


def _area(area: Callable[..., Tensor], clips: _Clips, keep: NDArray[np.bool_]) -> float:
    labels = clips["is_anomaly"][keep]
    return float(area(clips["scores"][keep], labels)) if labels.any() and not labels.all() else math.nan


def _decision_figures(is_anomaly: NDArray[np.bool_], decisions: NDArray[np.bool_]) -> FigureRow:
    found = int((decisions & is_anomaly).sum())
    precision = found / max(int(decisions.sum()), EPSILON)
    recall = found / max(int(is_anomaly.sum()), EPSILON)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, EPSILON),
    }
