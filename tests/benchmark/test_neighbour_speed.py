"""Ratios of exact neighbours, as the command prints them."""

import json
import sys

import pytest

from lightning_modules.benchmark import __main__ as benchmark


def test_ratios_memory_and_equality(tmp_path, monkeypatch, capsys):
    words = ["--neighbours", "--neighbours_size", "60", "3000", f"--json={tmp_path}/figures.json"]
    monkeypatch.setattr(sys, "argv", ["benchmark", *words])
    benchmark.main()
    found = json.loads((tmp_path / "figures.json").read_text())
    assert (found["queries"], found["bank"], found["neighbours"]) == (60, [3000, 768], 5)
    assert found["neighbours_beyond_1e-5"] == 0
    assert found["product_over_ours"] == pytest.approx(found["product_s"] / found["neighbours_s"])
    assert found["scikit_learn_over_ours"] == pytest.approx(found["scikit_learn_s"] / found["neighbours_s"])
    assert 0 < found["memory_gib"] < 4
    assert "scikit_learn_over_ours" in capsys.readouterr().out
