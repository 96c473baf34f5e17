"""The evaluation of a scored split."""

import pytest
import torch

from datamodules.clips import Clip
from datamodules.ssd.asvspoof import ASVspoof
from lightning_modules.metrics.functional import equal_error_rate
from lightning_modules.ssd.spoofing_report import spoofing_report


@pytest.fixture
def clips(demo_corpus):
    data = ASVspoof(root=str(demo_corpus))
    data.setup("test")
    return data.rows["test"], data.asv_scores("test")


def noisy_scores(clips, sign=1):
    torch.manual_seed(0)
    return sign * (torch.tensor([float(clip.target) for clip in clips]) + torch.randn(len(clips)))


def test_report_has_every_attack_and_both_metrics(clips):
    rows, asv = clips
    scores = noisy_scores(rows)
    report = spoofing_report(rows, scores, asv_scores=asv)
    target = torch.tensor([clip.target for clip in rows])
    assert report.metrics["eer"] == float(equal_error_rate(scores, target == 1)[0])
    assert 0 < report.metrics["min_tdcf"] <= 1
    assert [row["condition"] for row in report.table] == [
        "pooled",
        *sorted({c.attributes["attack"] for c in rows} - {"-"}),
    ]
    assert set(report.figures) == {"det", "scores"}
    assert not report.warnings


def test_without_asv_scores_there_is_no_tandem_cost(clips):
    rows, _ = clips
    report = spoofing_report(rows, noisy_scores(rows))
    assert "min_tdcf" not in report.metrics
    assert "min t-DCF" not in report.table[0]


def test_asv_scores_of_other_attacks_are_not_used(clips, tmp_path):
    rows, _ = clips
    of_pa = tmp_path / "asv.txt"
    of_pa.write_text("bonafide target 1\nbonafide nontarget 0\nAA spoof 0.5\nCC spoof 0.25\n")
    report = spoofing_report(rows, noisy_scores(rows), asv_scores=of_pa)
    assert "min_tdcf" not in report.metrics
    assert (
        f"no t-DCF: {of_pa}: ASV scores of the attacks AA to CC, but the trials are of A"
        in report.warnings[0]
    )


def test_inverted_scores_are_called_so(clips):
    rows, _ = clips
    (warning,) = spoofing_report(rows, noisy_scores(rows, sign=-3)).warnings
    assert "inverted" in warning


@pytest.mark.parametrize("num_distinct", [1, 2])
def test_scores_of_a_collapsed_network_are_reported(clips, num_distinct):
    rows, asv = clips
    report = spoofing_report(rows, torch.arange(len(rows)) % num_distinct, asv_scores=asv)
    assert len(report.scores) == len(rows)
    assert "eer" in report.metrics
    assert "min_tdcf" not in report.metrics
    assert f"only {num_distinct} distinct scores" in report.warnings[-1]


def test_one_class_is_refused():
    clips = [Clip(key=str(n), path="x", target=1) for n in range(4)]
    with pytest.raises(ValueError, match="spoof"):
        spoofing_report(clips, torch.arange(4.0))
