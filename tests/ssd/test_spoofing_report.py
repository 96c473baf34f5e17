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


@pytest.mark.parametrize(("target", "only"), [(1, "bona fide"), (0, "spoofed")])
def test_one_class_has_trials_and_no_figures(target, only):
    clips = [Clip(key=str(n), path="x", target=target) for n in range(4)]
    report = spoofing_report(clips, torch.arange(4.0))
    assert (report.metrics, report.table) == ({}, ())
    assert report.trials["score"] == ["0", "1", "2", "3"]
    assert f"all 4 clips are {only}: there is no EER" in report.warnings[0]


def test_clips_without_a_label_are_named():
    clips = [Clip(key="a", path="x", target=1), Clip(key="b", path="x")]
    with pytest.raises(ValueError, match="1 of 2 clips have no label, the first is b"):
        spoofing_report(clips, torch.arange(2.0))


def test_attacks_that_a_corpus_does_not_tell_are_unknown():
    kinds = [(1, "-", 3.0), (0, "A01", 1.0), (0, "", 4.0)]
    clips = [Clip(f"{n}", "x", target, {"attack": attack}) for n, (target, attack, _) in enumerate(kinds)]
    report = spoofing_report(clips, torch.tensor([score for *_, score in kinds], dtype=torch.double))
    assert [(row["condition"], row["EER %"]) for row in report.table[1:]] == [("unknown", 100), ("A01", 0)]


def test_speakers_languages_and_corpora_have_tables_of_their_own():
    kinds = [("a", 1, 3.0), ("a", 0, 1.0), ("b", 0, 2.0), ("b", 1, 1.5), ("c", 0, 0.0)]
    clips = [
        Clip(f"{n}", "x", target, {"speaker": who, "corpus": "x"}) for n, (who, target, _) in enumerate(kinds)
    ]
    report = spoofing_report(clips, torch.tensor([score for *_, score in kinds], dtype=torch.double))
    assert list(report.tables) == ["by_speaker"]  # all are of one corpus
    rows = {row["condition"]: row for row in report.tables["by_speaker"]}
    assert [(row["bona fide"], row["spoof"]) for row in rows.values()] == [(1, 1), (1, 1), (0, 1)]
    assert [rows[name]["EER %"] for name in "ab"] == [0, 100]
    assert rows["c"]["spoof accepted %"] == 0
    assert list(report.trials) == ["key", "label", "score", "corpus", "speaker"]


def test_several_corpora_have_a_row_each_and_their_mean():
    """Of a, scores separate the classes; of b, one of two pairs is wrong; c has spoofs alone."""
    scored = [
        ("a", 1, 2.0),
        ("a", 0, 1.0),
        ("b", 1, 5.0),
        ("b", 0, 4.0),
        ("b", 1, 3.0),
        ("b", 0, 2.0),
        ("c", 0, 0.0),
    ]
    clips = [
        Clip(
            f"{corpus}/{row}",
            "x.wav",
            target,
            {"corpus": corpus, "attack": "-" if target else "A", "codec": ""},
        )
        for row, (corpus, target, _) in enumerate(scored)
    ]
    report = spoofing_report(clips, torch.tensor([score for *_, score in scored]).double())
    assert [row["condition"] for row in report.table] == ["pooled", "a", "b", "c"]
    eers = {row["condition"]: row["EER %"] for row in report.table}
    assert (eers["a"], eers["b"]) == (0, 50)
    assert report.metrics["mean_eer"] == 0.25
    assert {"by_corpus", "by_attack"} <= report.tables.keys()
