"""The rules of the years: what meets what, which means are taken, what is left out."""

import math
import statistics
import time

import numpy as np
import pytest
import torch

from lightning_modules.metrics.dcase_evaluation import evaluate_dcase


def naive_auc(normal, anomalous):
    return float(np.mean([(a > n) + (a == n) / 2 for a in anomalous for n in normal]))


@pytest.fixture
def clips():
    """Ten clips of each machine, section, domain and class, of differing difficulty."""
    rng = np.random.default_rng(0)
    rows = [
        (machine, section, domain, label, rng.normal() + label * hardness)
        for machine, hardness in (("fan", 1.0), ("valve", 0.2))
        for section in ("section_00", "section_01")
        for domain in ("source", "target")
        for label in (0, 1)
        for _ in range(10)
    ]
    machine, section, domain, label, scores = zip(*rows, strict=True)
    return {"scores": scores, "is_anomaly": label, "machine": machine, "section": section, "domain": domain}


def select(clips, **wanted):
    """Scores of the clips that have the wanted values."""
    rows = range(len(clips["scores"]))
    return [
        clips["scores"][row]
        for row in rows
        if all(clips[name][row] == value for name, value in wanted.items())
    ]


PLACES = [(machine, section) for machine in ("fan", "valve") for section in ("section_00", "section_01")]


def test_2020_takes_arithmetic_means_over_machines(clips):
    short = (
        np.array(clips["machine"]) + np.array(clips["section"]) != "valvesection_01"
    )  # valve has one section
    clips = {name: np.array(column)[short] for name, column in clips.items()}
    evaluation = evaluate_dcase(**clips, year=2020)
    aucs = [
        naive_auc(*(select(clips, machine=machine, section=section, is_anomaly=label) for label in (0, 1)))
        for machine, section in PLACES[:3]
    ]
    assert [row["auc"] for row in evaluation.rows] == pytest.approx(aucs)
    assert [row["section"] for row in evaluation.rows] == ["section_00", "section_01", "section_00"]
    assert {row["domain"] for row in evaluation.rows} == {""}
    assert evaluation.summary["auc"] == pytest.approx(((aucs[0] + aucs[1]) / 2 + aucs[2]) / 2)
    assert set(evaluation.summary) == {"auc", "pauc"}
    assert [(row["machine"], row["mean"]) for row in evaluation.means] == [
        ("fan", "arithmetic"),
        ("valve", "arithmetic"),
        ("", "arithmetic"),
    ]


def test_2021_evaluates_each_domain_by_itself(clips):
    evaluation = evaluate_dcase(**clips, year=2021)
    places = [(*place, domain) for place in PLACES for domain in ("source", "target")]
    assert [(row["machine"], row["section"], row["domain"]) for row in evaluation.rows] == places
    aucs = [
        naive_auc(*(select(clips, machine=m, section=s, domain=d, is_anomaly=label) for label in (0, 1)))
        for m, s, d in places
    ]
    assert [row["auc"] for row in evaluation.rows] == pytest.approx(aucs)
    paucs = [float(row["pauc"]) for row in evaluation.rows]
    assert evaluation.summary["official_score"] == pytest.approx(statistics.harmonic_mean(aucs + paucs))
    assert evaluation.summary["auc"] == pytest.approx(statistics.harmonic_mean(aucs))
    assert evaluation.summary["auc_target"] == pytest.approx(statistics.harmonic_mean(aucs[1::2]))
    assert "auc_all" not in evaluation.rows[0]
    (mean,) = [
        row
        for row in evaluation.means
        if (row["machine"], row["domain"], row["mean"]) == ("valve", "source", "arithmetic")
    ]
    assert mean["auc"] == pytest.approx((aucs[4] + aucs[6]) / 2)


@pytest.mark.parametrize("year", [2022, 2025])
def test_since_2022_normal_clips_of_a_domain_meet_all_anomalies(clips, year):
    evaluation = evaluate_dcase(**clips, year=year)
    aucs, whole = [], []
    for machine, section in PLACES:
        anomalies = select(clips, machine=machine, section=section, is_anomaly=1)
        whole.append(naive_auc(select(clips, machine=machine, section=section, is_anomaly=0), anomalies))
        for domain in ("source", "target"):
            normal = select(clips, machine=machine, section=section, domain=domain, is_anomaly=0)
            aucs.append(naive_auc(normal, anomalies))
    assert [row["auc"] for row in evaluation.rows] == pytest.approx(aucs)
    assert [row["auc_all"] for row in evaluation.rows] == pytest.approx(np.repeat(whole, 2))
    paucs = [float(row["pauc"]) for row in evaluation.rows]
    assert paucs[::2] == paucs[1::2], "both domains together"
    assert evaluation.summary["official_score"] == pytest.approx(statistics.harmonic_mean(aucs + paucs[::2]))


def test_decisions_count_the_clips_of_their_row(clips):
    decisions = np.zeros(len(clips["scores"]))
    decisions[5:18] = 1  # fan section_00 source: 5 false alarms, 8 of 10 anomalies found
    evaluation = evaluate_dcase(**clips, year=2022, decisions=decisions)
    source, target = evaluation.rows[:2]
    assert (source["precision"], source["recall"]) == (8 / 13, 0.8)
    assert source["f1"] == pytest.approx(16 / 23)
    assert (target["precision"], target["recall"], target["f1"]) == (0, 0, 0)
    assert evaluation.summary["recall"] == pytest.approx(0, abs=1e-15), "floored, not divided by zero"


def test_undefined_sections_are_left_out_and_named(clips):
    hidden = np.array(clips["machine"]) == "valve"
    clips["is_anomaly"] = np.where(hidden, 0, clips["is_anomaly"])
    evaluation = evaluate_dcase(**clips, year=2021)
    expected = "valve section_00 source: AUC is undefined: none of 20 clips is anomalous"
    assert evaluation.warnings[0] == expected
    assert len(evaluation.warnings) == 4
    assert [math.isnan(float(row["auc"])) for row in evaluation.rows] == [False] * 4 + [True] * 4
    fan = {name: np.array(column)[~hidden] for name, column in clips.items()}
    assert evaluation.summary == evaluate_dcase(**fan, year=2021).summary
    clips["is_anomaly"] = [1] * len(hidden)
    evaluation = evaluate_dcase(**clips, year=2022)
    assert all(map(math.isnan, evaluation.summary.values()))
    assert evaluation.warnings[0] == "fan section_00 source: AUC is undefined: none of 40 clips is normal"


def test_without_domains_there_is_no_official_score(clips):
    evaluation = evaluate_dcase(**(clips | {"domain": [""] * len(clips["scores"])}), year=2023)
    assert "official_score" not in evaluation.summary
    assert evaluation.warnings == ["no official score: it needs the domains source and target, found ['']"]
    assert [row["auc"] for row in evaluation.rows] == [row["auc_all"] for row in evaluation.rows]


def test_order_and_type_of_the_columns_change_nothing(clips):
    expected = evaluate_dcase(**clips, year=2024)
    order = np.random.default_rng(1).permutation(len(clips["scores"]))
    shuffled = {name: np.array(column)[order] for name, column in clips.items()}
    scores = torch.from_numpy(shuffled.pop("scores")).exp()
    assert evaluate_dcase(scores, **shuffled, year=2024) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"year": 2019}, "year is 2019: the rules of 2020 to 2026 are known"),
        ({"scores": [math.nan] * 80}, "score 0 is nan"),
        ({"scores": [1.0] * 79}, "equally many"),
        ({"is_anomaly": [-1, *[0, 1] * 39, 0]}, "is_anomaly: 1 of 80 are neither 0 nor 1, e.g. -1"),
        ({"decisions": [0.5] * 80}, "decisions: 80 of 80 are neither 0 nor 1, e.g. 0.5"),
        (dict.fromkeys(("scores", "is_anomaly", "machine", "section", "domain"), ()), "no clips"),
    ],
)
def test_wrong_input_is_refused(clips, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_dcase(**(clips | {"year": 2022} | change))


def test_ten_thousand_clips_take_no_time():
    rng = np.random.default_rng(0)
    names = {
        "machine": rng.choice(["fan", "pump", "slider", "valve", "ToyCar"], 10_000),
        "section": rng.choice([f"section_{number:02}" for number in range(6)], 10_000),
        "domain": rng.choice(["source", "target"], 10_000),
    }
    start = time.process_time()
    evaluate_dcase(rng.normal(size=10_000), rng.random(10_000) < 0.5, **names, year=2023)
    assert time.process_time() - start < 2
