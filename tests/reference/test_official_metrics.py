"""Equality with the official ASVspoof evaluation code and with public score files.

Needs folders with the official repositories, none of which is part of this project:
ASVSPOOF2019_REFERENCE (clone of eurecom-asp/RawGAT-ST-antispoofing), ASVSPOOF2021_REFERENCE (``eval-package``
of asvspoof-challenge/2021), ASVSPOOF5_REFERENCE (``evaluation-package`` of asvspoof-challenge/asvspoof5).
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lightning_modules.metrics.asv_scores import read_asv_scores
from lightning_modules.metrics.asvspoof_evaluation import ScoreArrays, evaluate
from lightning_modules.metrics.asvspoof_protocols import read_protocol
from lightning_modules.metrics.breakdown import Groups
from lightning_modules.metrics.cm_scores import read_scores
from lightning_modules.metrics.functional import (
    AsvErrorRates,
    act_dcf,
    asv_error_rates,
    cllr,
    equal_error_rate,
    min_dcf,
    min_tdcf,
)

EXACT = {"rel": 0, "abs": 1e-12}


def reference(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} does not name the official repository's folder")
    return Path(os.environ[variable])


def load(folder: Path, name: str) -> ModuleType:
    """Imports one official file, whose siblings import each other by bare names."""
    spec = importlib.util.spec_from_file_location(f"official_{folder.name}_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        for sibling in set(sys.modules) - known:
            if str(getattr(sys.modules[sibling], "__file__", "")).startswith(str(folder)):
                del sys.modules[sibling]
    return module


def random_trials(seed: int, *, decimals: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    is_bonafide = rng.random(rng.integers(30, 3000)) < rng.uniform(0.1, 0.9)
    is_bonafide[:2] = True, False
    scores = rng.normal(size=len(is_bonafide)) + rng.uniform(-1, 4) * is_bonafide
    return (scores if decimals is None else scores.round(decimals)), is_bonafide


LEGACY_COSTS = {"Pspoof": 0.05, "Ptar": 0.9405, "Pnon": 0.0095}
LEGACY_COSTS |= {"Cmiss_asv": 1, "Cfa_asv": 10, "Cmiss_cm": 1, "Cfa_cm": 10}


@pytest.mark.parametrize(
    ("partition", "counts", "c0", "c1", "c2"),
    [
        ("dev", (1484, 5768, 22296), 0.025137659, 0.915362341, 0.380135450),
        ("eval", (5370, 33327, 63882), 0.025455880, 0.915044120, 0.380326226),
    ],
)
def test_asv_constants_of_2019(partition, counts, c0, c1, c2):
    folder = reference("ASVSPOOF2019_REFERENCE") / "tDCF_python/ASV_scores"
    asv = read_asv_scores(folder / f"ASVspoof2019.LA.asv.{partition}.gi.trl.scores.txt")
    is_bonafide = asv.groups.is_bonafide
    assert (asv.is_target.sum(), (is_bonafide & ~asv.is_target).sum(), (~is_bonafide).sum()) == counts
    assert asv.error_rates().costs(revision=2021) == pytest.approx((c0, c1, c2), abs=1e-9)
    assert asv.error_rates().costs(revision=2019) == pytest.approx((0, c1, c2), abs=1e-9)


@pytest.mark.parametrize("system", ["mul", "add", "cat"])
def test_public_scores_of_2019(system):
    root = reference("ASVSPOOF2019_REFERENCE")
    official = load(root / "tDCF_python", "eval_metrics")
    score_file = root / f"Pre_trained_models/RawGAT_ST_{system}/Scores.txt"
    asv_file = root / "tDCF_python/ASV_scores/ASVspoof2019.LA.asv.eval.gi.trl.scores.txt"
    protocol = read_protocol(root / "database/ASVspoof2019.LA.cm.eval.trl.txt")
    trials = ScoreArrays(read_scores(score_file, protocol), Groups(protocol.columns, protocol.is_bonafide))
    results = evaluate(trials, asv=read_asv_scores(asv_file))
    assert [each.condition.get("attack", "pooled") for each in results] == [
        "pooled",
        *(f"A{number:02}" for number in range(7, 20)),
    ]

    # the official script's way: labels from the score file, files read with numpy
    cm = np.genfromtxt(score_file, dtype=str)
    asv = np.genfromtxt(asv_file, dtype=str)
    scores, asv_scores = cm[:, 3].astype(float), asv[:, 2].astype(float)
    target, nontarget = (asv_scores[asv[:, 1] == kind] for kind in ("target", "nontarget"))
    _, asv_threshold = official.compute_eer(target, nontarget)
    for result in results:
        attack = result.condition.get("attack")
        spoof = scores[cm[:, 1] == attack] if attack else scores[cm[:, 2] == "spoof"]
        asv_spoof = asv_scores[asv[:, 0] == attack] if attack else asv_scores[asv[:, 1] == "spoof"]
        bonafide = scores[cm[:, 2] == "bonafide"]
        eer, threshold = official.compute_eer(bonafide, spoof)
        rates = official.obtain_asv_error_rates(target, nontarget, asv_spoof, asv_threshold)
        curve, _ = official.compute_tDCF(bonafide, spoof, *rates, LEGACY_COSTS, False)
        assert (result.eer, result.threshold) == pytest.approx((eer, threshold), **EXACT)
        assert result.min_tdcf == pytest.approx(curve.min(), **EXACT)
        assert (result.num_bonafide, result.num_spoof) == (7355, len(spoof))


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(20))
def test_tdcf_revisions_on_random_scores(seed, decimals):
    official = load(reference("ASVSPOOF2021_REFERENCE"), "eval_metrics")
    scores, is_bonafide = random_trials(seed, decimals=decimals)
    asv_scores, kind = random_trials(seed + 100, decimals=decimals)
    target, nontarget, spoof = asv_scores[kind] + 2, asv_scores[~kind][::2], asv_scores[~kind][1::2] + 1
    _, threshold = official.compute_eer(target, nontarget)
    false_alarm, miss, spoof_miss, spoof_false_alarm = official.obtain_asv_error_rates(
        target, nontarget, spoof, threshold
    )
    asv = asv_error_rates(target, nontarget, spoof)
    assert asv == AsvErrorRates(miss, false_alarm, spoof_false_alarm)

    trials = (scores[is_bonafide], scores[~is_bonafide])
    revised_costs = LEGACY_COSTS | {"Cmiss": 1, "Cfa": 10, "Cfa_spoof": 10}
    revised, _ = official.compute_tDCF(*trials, false_alarm, miss, spoof_false_alarm, revised_costs, False)
    legacy, _ = official.compute_tDCF_legacy(*trials, false_alarm, miss, spoof_miss, LEGACY_COSTS, False)
    assert float(min_tdcf(scores, is_bonafide, asv=asv, revision=2021)) == pytest.approx(
        revised.min(), **EXACT
    )
    assert float(min_tdcf(scores, is_bonafide, asv=asv, revision=2019)) == pytest.approx(
        legacy.min(), **EXACT
    )


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(20))
def test_asvspoof5_metrics_on_random_scores(seed, decimals):
    official = load(reference("ASVSPOOF5_REFERENCE"), "calculate_modules")
    scores, is_bonafide = random_trials(seed, decimals=decimals)
    trials = (scores[is_bonafide], scores[~is_bonafide])
    eer, miss, false_alarm, thresholds, at_eer = official.compute_eer(*trials)
    ours = equal_error_rate(scores, is_bonafide)
    assert (float(ours[0]), float(ours[1])) == pytest.approx((eer, at_eer), **EXACT)
    expected, _ = official.compute_mindcf(miss, false_alarm, thresholds, 0.05, 1, 10)
    assert float(min_dcf(scores, is_bonafide)) == pytest.approx(expected, **EXACT)
    expected, threshold = official.compute_actDCF(*trials, 0.05, 1, 10)
    assert threshold == pytest.approx(-np.log(1.9), **EXACT)
    assert float(act_dcf(scores, is_bonafide)) == pytest.approx(expected, **EXACT)
    assert float(cllr(scores, is_bonafide)) == pytest.approx(official.calculate_CLLR(*trials), **EXACT)


ATTACKS = [f"A{number:02}" for number in range(7, 20)]
CODECS = ["none", "alaw", "pstn", "g722", "ulaw", "gsm", "opus"]
VOCODERS = ["traditional_vocoder", "waveform_concatenation", "neural_vocoder_autoregressive", "unknown"]
VOCODERS += ["neural_vocoder_nonautoregressive"]
COMPRESSIONS = [
    "nocodec",
    "low_mp3",
    "high_mp3",
    "low_m4a",
    "high_m4a",
    "low_ogg",
    "high_ogg",
    "mp3m4a",
    "oggm4a",
]


def metadata_2021(track: str, rng: np.random.Generator, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Made-up metadata of a 2021 track, in the key files' column order, speaker and utterance left out."""
    spoofed, size = labels == "spoof", len(labels)

    def among_spoofed(values: list[str], otherwise: str = "-") -> np.ndarray:
        return np.where(spoofed, rng.choice(values, size), otherwise)

    subset = rng.choice(["eval", "eval", "progress", "hidden"], size)
    if track == "LA":
        columns = {"codec": rng.choice(CODECS, size), "trans": np.full(size, "-")}
        columns |= {
            "attack": among_spoofed(ATTACKS, "bonafide"),
            "label": labels,
            "trim": np.full(size, "notrim"),
        }
        return columns | {"subset": subset}
    trim = rng.choice(["notrim", "trim"], size)
    if track == "DF":
        columns = {"compr": rng.choice(COMPRESSIONS, size), "source": np.full(size, "asvspoof")}
        columns |= {"attack": among_spoofed(ATTACKS), "label": labels, "trim": trim, "subset": subset}
        columns |= {"vocoder": among_spoofed(VOCODERS, "bonafide")}
        return columns | {name: np.full(size, "-") for name in ("task", "team", "gender", "language")}
    distance = np.char.add(np.where(spoofed, "d", "D"), rng.integers(1, 7, size).astype(str))
    columns = {"asv_room": rng.choice([f"R{room}" for room in range(1, 10)], size)}
    columns |= {"asv_mic": rng.choice(["M1", "M2", "M3"], size), "dis_to_asv": distance}
    columns |= {"att_room": among_spoofed([f"r{room}" for room in range(1, 10)])}
    columns |= {"att_mic": among_spoofed(["m1", "m2", "m3"]), "att_d": among_spoofed(["s2", "s3", "s4"])}
    columns |= {"att_to_spk": among_spoofed(["c2", "c3", "c4"]), "label": labels, "trim": trim}
    return columns | {"subset": subset}


def write_table(path: Path, columns: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(" ".join(row) for row in zip(*columns, strict=True)) + "\n")


def write_2021(track: str, folder: Path, rng: np.random.Generator) -> None:
    """Writes made-up keys, CM scores in another order, and ASV scores, in the official folders."""
    size = 12000
    labels = rng.choice(["bonafide", "spoof", "spoof"], size)
    utterances = np.array([f"{track}_E_{number}" for number in rng.permutation(size)])
    speakers = np.char.add("LA_", rng.integers(1, 40, size).astype(str))
    meta = metadata_2021(track, rng, labels)
    write_table(folder / track / "CM/trial_metadata.txt", [speakers, utterances, *meta.values()])
    scores = rng.normal(size=size).round(2) + 1.5 * (labels == "bonafide")
    order = rng.permutation(size)
    write_table(folder / "scores.txt", [utterances[order], np.array([f"{x:.6E}" for x in scores[order]])])
    kinds = rng.choice(["target", "nontarget", "spoof"], size)
    asv = metadata_2021(track, rng, kinds)
    write_table(folder / track / "ASV/trial_metadata.txt", [speakers, utterances, *asv.values()])
    asv_scores = rng.normal(size=size) + 3 * (kinds == "target") + 2 * (kinds == "spoof")
    asv_columns = [speakers, utterances, asv_scores.astype(str)]
    write_table(folder / track / "ASV/ASVTorch_Kaldi/score.txt", asv_columns)


def official_2021(official: ModuleType, track: str, subset: str, folder: Path) -> dict:
    """Runs the official functions; (row value, column value) -> (min t-DCF, EER), NaN where undefined."""
    settings = getattr(official.config, f"Config{track}")()
    subset_query = getattr(settings, "hidden", {}).get(subset, f'subset == "{subset}"')
    factors = [settings.factor_name_1, settings.factor_1_list, settings.factor_1_type]
    factors += [settings.factor_name_2, settings.factor_2_list, settings.factor_2_type]
    tools = official.pd_tools
    coefficients = None
    if track != "DF":
        keys = tools.load_protocol(folder / settings.protocol_asv_file, settings.p_names_asv)
        scores = tools.load_score(folder / settings.pre_score_asv_file, settings.s_names_asv)
        joined = tools.join_protocol_score(keys, scores[["score"]])
        coefficients = official.compute_tDCF_C012(joined.query(subset_query), *factors)
    keys = tools.load_protocol(folder / settings.protocol_cm_file, settings.p_names, index_col="trial")
    scores = tools.load_score(folder / "scores.txt", settings.s_names, index_col="trial")
    joined = tools.join_protocol_score(keys, scores[["score"]]).query(subset_query)
    tdcf, eer = official.compute_decomposed_mintdcf_eer(joined, *factors, C012_buf=coefficients)
    return {
        (row, column): (tdcf[i, j], eer[i, j])
        for i, row in enumerate(settings.factor_1_tag_list if track == "PA" else settings.factor_1_list)
        for j, column in enumerate(settings.factor_2_tag_list if track == "PA" else settings.factor_2_list)
    }


@pytest.mark.parametrize(
    ("track", "subset"),
    [
        *(("LA", subset) for subset in ("eval", "progress", "hidden")),
        *(("DF", subset) for subset in ("eval", "progress", "hidden")),
        *(("PA", subset) for subset in ("eval", "progress", "hidden1_PA", "hidden2_PA")),
    ],
)
def test_all_conditions_of_2021(track, subset, tmp_path, monkeypatch):
    pytest.importorskip("pandas", reason="the official 2021 code needs pandas")
    monkeypatch.setitem(sys.modules, "table_API", ModuleType("table_API"))  # fails with matplotlib >= 3.9
    official = load(reference("ASVSPOOF2021_REFERENCE"), "main")
    write_2021(track, tmp_path, np.random.default_rng(["LA", "DF", "PA"].index(track)))
    expected = official_2021(official, track, subset, tmp_path)

    protocol = read_protocol(tmp_path / track / "CM/trial_metadata.txt", subset=subset)
    columns = {name: column[protocol.chosen] for name, column in protocol.columns.items()}
    groups = Groups(columns, protocol.is_bonafide[protocol.chosen])
    trials = ScoreArrays(read_scores(tmp_path / "scores.txt", protocol), groups)
    asv = read_asv_scores(tmp_path / track / "ASV", subset=subset) if track != "DF" else None
    layout = protocol.layout
    results = evaluate(trials, asv=asv, revision=2021, rows=layout.rows, across=layout.across)

    row_names = {factor.name for factor in layout.rows}
    ours = {}
    for result in results:
        rows = [value for name, value in result.condition.items() if name in row_names]
        across = [value for name, value in result.condition.items() if name not in row_names]
        ours[(*rows, "Pooled")[0], (*across, "Pooled")[0]] = (result.min_tdcf, result.eer)
    assert set(ours) == set(expected)
    assert np.isfinite([eer for _, eer in expected.values()]).all()
    for condition, numbers in ours.items():
        assert numbers == pytest.approx(expected[condition], nan_ok=True, **EXACT), condition


def test_all_conditions_of_asvspoof5(tmp_path):
    pandas = pytest.importorskip("pandas", reason="the official ASVspoof 5 code needs pandas")
    official = load(reference("ASVSPOOF5_REFERENCE"), "calculate_metrics_full")
    rng = np.random.default_rng(5)
    size = 6000
    label = rng.choice(["bonafide", "spoof", "spoof"], size)
    attack = np.where(
        label == "spoof", rng.choice([f"A{number}" for number in range(17, 33)], size), "bonafide"
    )
    codec = rng.choice(["-", *(f"C{number:02}" for number in range(1, 12))], size)
    utterance = np.array([f"E_{number:010}" for number in rng.permutation(size)])
    score = rng.normal(size=size).round(2) + 2 * (label == "bonafide")
    blank = np.full(size, "-")
    protocol_columns = [blank, utterance, blank, codec, blank, blank, blank, attack, label, blank]
    write_table(tmp_path / "protocol.tsv", protocol_columns)
    lines = [f"{name}\t{value}" for name, value in zip(utterance, score, strict=True)]
    (tmp_path / "scores.tsv").write_text("filename\tcm-score\n" + "\n".join(lines) + "\n")
    table = pandas.DataFrame({"cm-score": score, "cm_label": label, "attack_anon": attack, "codec": codec})
    attacks, codecs, *matrices = official.calculate_minDCF_EER_CLLR_actDCF_full(table)

    protocol = read_protocol(tmp_path / "protocol.tsv")
    trials = ScoreArrays(
        read_scores(tmp_path / "scores.tsv", protocol), Groups(protocol.columns, protocol.is_bonafide)
    )
    results = evaluate(trials)
    assert len(results) == matrices[0].size
    for result in results:
        at = attacks.index(result.condition.get("attack", "pooled"))
        to = codecs.index(result.condition.get("codec", "pooled"))
        numbers = (result.min_dcf, result.eer, result.cllr, result.act_dcf)
        assert numbers == pytest.approx([matrix[at, to] for matrix in matrices], **EXACT)
