"""Figures of learned effects by hand."""

import math

import pytest
import torch

from datamodules.production.pairs.pairs import Pair
from lightning_modules.production.effect_report import COLUMNS, effect_report, figures_of_pairs, split_metrics


def tones(*gains, time=8000):
    """(pair, 1, time) of a tone at some gains."""
    tone = torch.sin(0.2 * torch.arange(time, dtype=torch.float64))
    return torch.stack([gain * tone for gain in gains])[:, None]


def test_figures_of_a_tone_that_is_turned_down_too_little():
    dry, estimate, target = tones(0.5), tones(0.4), tones(0.25)
    (figures,) = figures_of_pairs(dry, estimate, target, sample_rate=8000)
    found = dict(zip(COLUMNS, figures.tolist(), strict=True))
    assert found["error"] / found["power"] == pytest.approx((0.15 / 0.25) ** 2, rel=1e-5)
    assert found["dry_error"] / found["power"] == pytest.approx(1, rel=1e-5)
    assert found["mae"] == pytest.approx(0.15 * 2 / math.pi, rel=1e-3)
    assert found["samples"] == 8000
    assert found["lufs_error"] == pytest.approx(20 * math.log10(0.4 / 0.25), abs=1e-3)
    assert found["gr_error"] == pytest.approx(20 * math.log10(0.4 / 0.25), abs=1e-3)
    assert found["gr_error_dry"] == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert found["gr_frames"] == 8000 // 64


def figures(**columns):
    """(pair, figure) with zeros where nothing is said."""
    size = len(next(iter(columns.values())))
    return torch.tensor(
        [[columns.get(name, [0.0] * size)[row] for name in COLUMNS] for row in range(size)],
        dtype=torch.float64,
    )


PAIRS = [Pair(key="long", knobs=(-20.0, 4.0)), Pair(key="short", knobs=(-10.0, 2.0))]


def test_errors_are_pooled_as_sum_over_sum_and_gains_over_frames():
    split = figures(
        error=[0.01, 0.4],
        dry_error=[0.2, 0.8],
        power=[1.0, 0.5],
        samples=[3000.0, 1000.0],
        mae=[0.1, 0.5],
        mr_stft=[1.0, 2.0],
        gr_error=[2.0, 0.0],
        gr_error_dry=[6.0, 0.0],
        gr_frames=[30.0, 0.0],
    )
    metrics = split_metrics(split)
    assert metrics["esr"] == pytest.approx((0.01 * 3000 + 0.4 * 1000) / 3500)  # no mean of 0.01 and 0.8
    assert metrics["esr_dry"] == pytest.approx((0.2 * 3000 + 0.8 * 1000) / 3500)
    assert metrics["mae"] == pytest.approx(0.2)
    assert metrics["mr_stft"] == pytest.approx(1.5)
    assert metrics["gr_error"] == pytest.approx(2)
    assert metrics["gr_error_dry"] == pytest.approx(6)
    assert metrics["esr_active"] == pytest.approx(0.01)  # of the pair that is turned down


def test_an_effect_that_turns_nothing_down_has_no_figures_of_that():
    metrics = split_metrics(figures(error=[0.1], power=[1.0], samples=[100.0]))
    assert {"gr_error", "esr_active"}.isdisjoint(metrics)


def test_a_report_lists_pairs_with_their_settings_and_warns_of_what_does_not_help():
    split = figures(error=[0.1, 0.4], dry_error=[0.2, 0.2], power=[1.0, 0.5], samples=[10.0, 10.0])
    report = effect_report(PAIRS, split, ["threshold", "ratio"])
    rows = report.tables["pairs"]
    assert [(row["key"], row["threshold"], row["ratio"]) for row in rows] == [
        ("long", -20, 4),
        ("short", -10, 2),
    ]
    assert [row["esr"] for row in rows] == pytest.approx([0.1, 0.8])
    assert math.isnan(float(rows[0]["gr_error"]))
    assert report.scores["esr"].tolist() == pytest.approx([0.1, 0.8])  # pyright: ignore[reportArgumentType, reportCallIssue, reportAttributeAccessIssue]
    assert report.warnings == ["an ESR of 0.333 is no better than the unprocessed input's 0.267"]
    split[1, COLUMNS.index("error")] = 0.0
    assert not effect_report(PAIRS, split, ["threshold", "ratio"]).warnings
