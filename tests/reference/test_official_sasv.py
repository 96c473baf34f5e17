"""Equality with the official code of ASVspoof 5's second track, of the t-EER and of the Speech DF Arena.

Needs folders with the official repositories, none of which is part of this project: ASVSPOOF5_REFERENCE (the folder
``evaluation-package`` of a clone of asvspoof-challenge/asvspoof5, beside it ``Tool-score-fusion``), TEER_REFERENCE (a
clone of TakHemlata/T-EER) and ARENA_REFERENCE (a clone of Speech-Arena/speech_df_arena).
"""

import csv
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_official_metrics import EXACT, load, random_trials, reference

from lightning_modules.metrics.functional import (
    ASVSPOOF5_COSTS,
    TrialKind,
    VerificationCosts,
    equal_error_rate,
    fuse_verification,
    min_a_dcf,
    tandem_eer,
)
from lightning_modules.score import main

SPOOF, TARGET, NONTARGET = TrialKind
LABELS = np.array(["spoof", "target", "nontarget"])


def public_trials() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ASV scores, CM scores and kinds of 29,548 trials."""
    path = reference("ASVSPOOF5_REFERENCE").parent / "Tool-score-fusion/dev_scores_label.csv"
    asv, cm, kinds = np.genfromtxt(path, delimiter=",", skip_header=1).T
    assert [int((kinds == kind).sum()) for kind in (TARGET, NONTARGET, SPOOF)] == [1484, 5768, 22296]
    return asv, cm, kinds.astype(int)


def random_sasv_trials(
    seed: int, *, size: int = 1500, decimals: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, size, p=[0.6, 0.15, 0.25])
    asv = rng.normal(size=size) + rng.uniform(1, 4) * (kinds == TARGET) + (kinds == SPOOF)
    cm = rng.normal(size=size) + rng.uniform(0, 4) * (kinds != SPOOF)
    return (asv, cm, kinds) if decimals is None else (asv.round(decimals), cm.round(decimals), kinds)


def by_kind(scores: np.ndarray, kinds: np.ndarray) -> list[np.ndarray]:
    return [scores[kinds == kind] for kind in (TARGET, NONTARGET, SPOOF)]


def official_costs(official: ModuleType, costs: VerificationCosts) -> object:
    return official.CostModel(
        costs.p_spoof,
        costs.p_nontarget,
        costs.p_target,
        costs.miss,
        costs.false_alarm,
        costs.spoof_false_alarm,
    )


def test_a_dcf_of_the_public_trials():
    asv, _, kinds = public_trials()
    assert float(min_a_dcf(asv, kinds)[0]) == pytest.approx(0.379546992932252, **EXACT)
    assert float(min_a_dcf(asv, kinds, costs=ASVSPOOF5_COSTS)[0]) == pytest.approx(
        0.33363685676040694, **EXACT
    )


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(10))
def test_a_dcf_on_random_scores(seed, decimals):
    official = load(reference("ASVSPOOF5_REFERENCE"), "a_dcf")
    scores, _, kinds = random_sasv_trials(seed, decimals=decimals)
    for costs in (VerificationCosts(), ASVSPOOF5_COSTS):
        model = official_costs(official, costs)
        expected = official._calculate_a_dcf(*by_kind(scores, kinds), model, False)
        cost, threshold = min_a_dcf(scores, kinds, costs=costs)
        assert float(cost) == pytest.approx(expected["min_a_dcf"], **EXACT)
        # accepting all, the official code writes 1e-8 below the lowest score
        assert float(threshold) == pytest.approx(expected["min_a_dcf_thresh"], rel=0, abs=1.001e-3)


def curves(official: ModuleType, asv: np.ndarray, cm: np.ndarray, kinds: np.ndarray) -> list[np.ndarray]:
    """CM and ASV curves, as the official t-EER takes them."""
    target, nontarget, spoof = by_kind(cm, kinds)
    cm_curve = official.compute_det_curve(np.concatenate([target, nontarget]), spoof)
    return [*cm_curve, *official.compute_Pmiss_Pfa_Pspoof_curves(*by_kind(asv, kinds))]


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(10))
def test_t_eer_on_random_scores(seed, decimals):
    official = load(reference("ASVSPOOF5_REFERENCE"), "calculate_modules")
    asv, cm, kinds = random_sasv_trials(seed, decimals=decimals)
    found = curves(official, asv, cm, kinds)
    expected, (asv_at, cm_at) = official.compute_teer(*found, flag_return_index=True)
    eer, asv_threshold, cm_threshold = map(float, tandem_eer(asv, cm, kinds))
    assert eer * 100 == pytest.approx(expected, rel=0, abs=1e-9)
    assert (asv_threshold, cm_threshold) == (found[-1][asv_at], found[2][cm_at])


@pytest.mark.parametrize("size", [29_548, 200_000])
def test_t_eer_as_the_evaluation_package_hastens_it(size):
    official = load(reference("ASVSPOOF5_REFERENCE"), "calculate_modules")
    trials = public_trials() if size == 29_548 else random_sasv_trials(0, size=size)
    expected = official.compute_teer_accelerated(*curves(official, *trials))
    assert float(tandem_eer(*trials).eer) * 100 == pytest.approx(expected, rel=0, abs=1e-9)


def test_t_eer_of_its_own_package():
    """Runs the loop of evaluate_tEER.py, which is a script without functions, on made scores and all its priors."""
    folder = reference("TEER_REFERENCE")
    asv, cm, kinds = random_sasv_trials(7, size=800, decimals=2)
    names = ["Pmiss_CM", "Pfa_CM", "tau_CM", "Pmiss_ASV", "Pfa_non_ASV", "Pfa_spf_ASV", "tau_ASV"]
    scope = dict(zip(names, curves(load(folder, "eval_metrics"), asv, cm, kinds), strict=True))
    script = (folder / "evaluate_tEER.py").read_text(encoding="utf-8")
    loop = script[script.index("# Different spoofing prevalence") : script.index("    ##====")]
    printed: list[str] = []
    exec(loop.replace("{:.2f}", "{:.17g}"), scope | {"np": np, "print": printed.append})
    found = [re.fullmatch(r"concurrent-teer for \[rho :(\S+)\] = (\S+) ", line) for line in printed]
    assert [line[1] for line in found if line] == ["0", "0.2", "0.5", "0.8", "1"]
    for line in filter(None, found):
        eer = float(tandem_eer(asv, cm, kinds, p_spoof=float(line[1])).eer)
        assert eer * 100 == pytest.approx(float(line[2]), rel=0, abs=1e-9)


@pytest.mark.parametrize("p_spoof", [0.0, 0.3, 1.0])
def test_fusion(p_spoof, monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    monkeypatch.setattr(sys, "argv", ["score-fusion.py"])
    official = load(reference("ASVSPOOF5_REFERENCE").parent / "Tool-score-fusion", "score-fusion")
    asv, cm, _ = random_sasv_trials(0)
    expected = official.fuse_llr_nonlinear(asv, cm, p_spoof)
    assert fuse_verification(asv, cm, p_spoof=p_spoof).numpy() == pytest.approx(expected, **EXACT)


def write_track_2(folder: Path, seed: int, *, with_groups: bool) -> list[str]:
    """Writes a key and scores in another order, and returns the command's arguments."""
    rng = np.random.default_rng(seed)
    asv, cm, kinds = random_sasv_trials(seed, size=4000, decimals=2)
    rows = []
    for number, (verification, detector, kind) in enumerate(zip(asv, cm, kinds, strict=True)):
        trial = [f"E_{number % 40:04}", f"E_{number // 2:010}"]
        label = ["spoof" if kind == SPOOF else "bonafide", LABELS[kind]]
        groups = [f"A{rng.integers(17, 20)}" if kind == SPOOF else "bonafide", f"C0{rng.integers(1, 3)}"]
        rows.append((trial, label, groups, [detector, verification, min(detector, verification)]))
    separator = " " if with_groups else "\t"
    header = ["spk", "filename", "cm-label", "asv-label"]
    if with_groups:
        header = [
            "tar_spk_anon",
            "trial_anon",
            "cm-label",
            "asv-label",
            "attack_anon",
            "codec",
            "track_2_tag",
        ]
    key = [header, *([*trial, *label, *[*groups, "-"] * with_groups] for trial, label, groups, _ in rows)]
    (folder / "key.tsv").write_text("".join(separator.join(map(str, each)) + "\n" for each in key))
    scores = [[*trial, *numbers] for trial, _, _, numbers in rows]
    table = [["spk", "filename", "cm-score", "asv-score", "sasv-score"]]
    table += [scores[row] for row in rng.permutation(len(scores))]
    (folder / "scores.tsv").write_text("".join("\t".join(map(str, each)) + "\n" for each in table))
    return ["--scores", str(folder / "scores.tsv"), "--protocol", str(folder / "key.tsv")]


@pytest.mark.parametrize("seed", range(3))
def test_command_equals_the_evaluation_package(seed, tmp_path):
    pytest.importorskip("pandas", reason="the official ASVspoof 5 code needs pandas")
    folder = reference("ASVSPOOF5_REFERENCE")
    arguments = write_track_2(tmp_path, seed, with_groups=False)
    trials = load(folder, "util").load_sasv_scores_keys(tmp_path / "scores.tsv", tmp_path / "key.tsv")
    expected = load(folder, "calculate_metrics").calculate_aDCF_tdcf_tEER(*trials, "", printout=False)

    assert main([*arguments, "--json", str(tmp_path / "results.json")]) == 0
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]
    numbers = [result["min_a_dcf"], result["min_tdcf"], result["t_eer"] * 100]
    assert numbers == pytest.approx([float(each) for each in expected], rel=0, abs=1e-9)


@pytest.mark.parametrize("asv", ["built in", "as computed", "mended"])
def test_all_conditions_of_track_2(asv, tmp_path):
    """Where the package computes error rates of verification, it takes the misses of spoofs for their false alarms."""
    pytest.importorskip("pandas", reason="the official ASVspoof 5 code needs pandas")
    folder = reference("ASVSPOOF5_REFERENCE")
    arguments = write_track_2(tmp_path, 5, with_groups=True)
    util = load(folder, "util")
    table = util.load_sasv_scores_keys_as_pd(tmp_path / "scores.tsv", tmp_path / "key.tsv")
    official = load(folder, "calculate_metrics_full")
    if asv == "mended":
        scope = official.calculate_aDCF_tdcf_tEER.__globals__
        computed = scope["obtain_asv_error_rates"]
        scope["obtain_asv_error_rates"] = lambda *trials: np.array(computed(*trials))[[0, 1, 3]]
    with_scores = asv != "built in"
    attacks, codecs, *matrices = official.calculate_aDCF_tdcf_tEER_full(table, table if with_scores else None)

    more = ["--asv-scores", str(tmp_path / "scores.tsv")] if with_scores else []
    assert main([*arguments, *more, "--csv", str(tmp_path / "results.csv")]) == 0
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == matrices[0].size == 12
    for row in rows:
        at = attacks.index(row["attack"] or "pooled"), codecs.index(row["codec"] or "pooled")
        cost, tdcf, eer = (float(matrix[at]) for matrix in matrices)
        assert (float(row["min_a_dcf"]), float(row["t_eer"]) * 100) == pytest.approx((cost, eer), abs=1e-9)
        assert (float(row["min_tdcf"]) == pytest.approx(tdcf, abs=1e-9)) == (asv != "as computed")


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(20))
def test_eer_of_the_arena_is_ours_to_the_bit(seed, decimals):
    pytest.importorskip("pandas", reason="the arena's code needs pandas")
    pytest.importorskip("sklearn", reason="the arena's code needs scikit-learn")
    official = load(reference("ARENA_REFERENCE") / "utils", "metrics")
    scores, is_bonafide = random_trials(seed, decimals=decimals)
    expected, threshold = official.compute_eer(scores[is_bonafide], scores[~is_bonafide])
    assert tuple(map(float, equal_error_rate(scores, is_bonafide))) == (expected, threshold)


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(20))
def test_interpolated_eer_is_that_of_scikit_learn(seed, decimals):
    metrics = pytest.importorskip("sklearn.metrics")
    optimize = pytest.importorskip("scipy.optimize")
    scores, is_bonafide = random_trials(seed, decimals=decimals)
    false_alarm, hit, _ = metrics.roc_curve(is_bonafide, scores)
    expected = optimize.brentq(lambda rate: 1 - rate - np.interp(rate, false_alarm, hit), 0, 1, xtol=1e-14)
    found = float(equal_error_rate(scores, is_bonafide, rule="interpolated")[0])
    assert found == pytest.approx(expected, rel=0, abs=1e-12)
