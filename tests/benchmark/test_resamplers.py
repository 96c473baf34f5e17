"""What is measured of resamplers: the figures that the pages have."""

import json
import sys

import pytest

from lightning_modules.benchmark import __main__ as benchmark


def test_figures_of_both_resamplers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--resamplers", f"--json={tmp_path}/figures.json"])
    benchmark.main()
    found = json.loads((tmp_path / "figures.json").read_text())
    soxr, torchaudio = found["soxr_hq"], found["torchaudio"]
    assert soxr["left_8500_db"] < -130
    assert soxr["left_10000_db"] < -130
    assert torchaudio["left_8500_db"] == pytest.approx(-10.8, abs=0.1)
    assert torchaudio["left_10000_db"] == pytest.approx(-45.3, abs=0.1)
    assert (soxr["lost_7500_db"], torchaudio["lost_7500_db"]) == pytest.approx((0.4, 3.7), abs=0.05)
    assert (soxr["ripple_db"], torchaudio["ripple_db"]) == pytest.approx((0.0065, 1.78), abs=0.005)
    assert soxr["ms"] > 0
    assert torchaudio["ms"] > 0
    assert "torchaudio left_8500_db" in capsys.readouterr().out
