"""A clip has one score: whatever its neighbours, their order and the number of ranks; in tests and in packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_score import (
    FULL,
    NAMES,
    NUM_CLIPS,
    SMALL,
    build,
    mixed_clips,
    orders,
    packaged,
    scores_of_prediction,
    scores_of_test,
)
from torch import Tensor

import lightning_modules

WHOLE = [
    "ssd_aasist",
    "ssd_wavlm_mhfa",
    "ssd_xlsr_aasist",
    "ssd_xlsr_nes2net",
    "event_ast",
    "event_audio_slowfast",
    "event_beats",
    "event_datar",
    "event_eat",
    "event_passt",
    "event_resnet",
    "production_tagger",
]
"""Of the configurations that cut clips, those whose networks take clips of any length."""
ONE_VIEW = {"event_audio_slowfast": ["--data.num_views=1"]}
CASES = [
    *((name, []) for name in NAMES),
    *((name, ["--data.eval_crop_s=null", *ONE_VIEW.get(name, [])]) for name in WHOLE),
]


def ids(case) -> str:
    return "-whole".join([case[0], *([""] if case[1] else [])])


QUICK = [
    *("asd_arcface", "asd_autoencoder", "asd_maf", "asd_proxy_outlier", "ssd_aasist", "ssd_lcnn_lstm_sum"),
    *("ssd_wavlm_mhfa-whole", "ssd_xlsr_aasist"),
    *("event_ast", "event_ast-whole", "event_beats-whole", "event_datar", "production_tagger"),
]
LIMITS = {"32-true": 1e-5, "64-true": 1e-10}


@pytest.fixture(autouse=True)
def roots(monkeypatch, demo_corpus, demo_machines, demo_machines_2026, demo_events, request):
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))
    monkeypatch.setenv("DCASE2020_ROOT", str(demo_machines))
    for year in (2025, 2026):
        monkeypatch.setenv(f"DCASE{year}_ROOT", str(demo_machines_2026))
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
    monkeypatch.setenv("EPIC_ROOT", str(demo_events / "EPIC-KITCHENS-100"))
    for variable in list(os.environ):
        if variable.endswith("_WEIGHTS"):
            monkeypatch.delenv(variable)
    if "production_tagger" in request.node.name:
        monkeypatch.setenv("AUDIO_FOLDER_ROOT", str(request.getfixturevalue("one_shots")))


@pytest.fixture(scope="session")
def one_shots(tmp_path_factory):
    from tagged_sounds import write_tagged_sounds

    return write_tagged_sounds(tmp_path_factory.mktemp("sounds") / "one_shots", num_hits=1)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest, over the largest score."""
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


def check(name: str, settings: list[str], folder: Path, precision: str) -> None:
    """Scores of tests and predictions in several batches and orders, and of the package, are those of a clip alone."""
    platform = build(name, folder, *settings)
    clips = mixed_clips(platform.datamodule, folder / "clips")
    scores = [
        score(platform, clips, order, batch_size=size, precision=precision)
        for score in (scores_of_test, scores_of_prediction)
        for size, order in orders()
    ]
    alone = scores[0]
    assert alone.flatten(1).std(0).max() > 0 if alone.ndim > 1 else alone.std() > 0, "clips differ"
    for found in scores[1:]:
        assert difference(found, alone) <= LIMITS[precision]
    if precision == "32-true" and not platform.model.scorer().obstacle:
        assert difference(packaged(platform, clips, folder / "package"), alone) <= LIMITS[precision]


@pytest.mark.parametrize(
    ("name", "settings"),
    [pytest.param(*case, marks=[] if ids(case) in QUICK else [pytest.mark.slow]) for case in CASES],
    ids=map(ids, CASES),
)
def test_scores_do_not_depend_on_the_batch(name, settings, tmp_path):
    check(name, [*SMALL.get(name, []), *settings], tmp_path, "32-true")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings"), CASES, ids=map(ids, CASES))
def test_scores_do_not_depend_on_the_batch_in_float64(name, settings, tmp_path):
    check(name, [*SMALL.get(name, []), *settings], tmp_path, "64-true")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_scores_of_the_full_size_do_not_depend_on_the_batch(name, tmp_path):
    check(name, FULL.get(name, []), tmp_path, "32-true")


@pytest.mark.slow
@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize(("name", "settings"), CASES, ids=map(ids, CASES))
def test_three_ranks_score_like_one(name, settings, precision, tmp_path):
    settings = [*SMALL.get(name, []), *settings]
    platform = build(name, tmp_path / "one", *settings)
    clips = mixed_clips(platform.datamodule, tmp_path / "clips")
    expected = scores_of_test(platform, clips, range(NUM_CLIPS), batch_size=1, precision=precision)
    folder = tmp_path / "three"
    folder.mkdir()
    given = {"name": name, "folder": str(folder), "settings": settings, "ranks": 3, "precision": precision}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("one_score.py")), json.dumps(given)],
        env=os.environ
        | {"PYTHONPATH": str(Path(lightning_modules.__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert difference(torch.load(folder / "scores.pt"), expected) <= LIMITS[precision]
