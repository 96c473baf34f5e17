"""The command that the rules of convolutions come from measures every layer and says what the rule takes."""

import json
import sys

import pytest

from lightning_modules.benchmark import __main__ as benchmark
from lightning_modules.benchmark import convolutions
from lightning_modules.config import cli
from lightning_modules.networks import convolution


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--convolutions", *arguments])
    cli.one_line_errors(benchmark.main)


def test_every_layer_is_measured_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(convolutions, "ROUNDS", 1)
    for module in (convolutions, convolution):
        monkeypatch.setattr(module, "rule_of_this_cpu", lambda: "avx2-1")
    files = [f"--json={tmp_path / 'x.json'}", f"--markdown={tmp_path / 'x.md'}"]
    run(monkeypatch, "--config=configs/ssd_aasist.yaml", "--data.eval_crop_s=0.25", "--cost_clips=1", *files)
    figures = json.loads((tmp_path / "x.json").read_text())
    assert (figures["network"], figures["rule"]) == ("AASIST", "avx2-1")
    first, second = [row for row in figures["rows"] if row["gradient"] == "weights"][:2]
    frames = (4000 - 128) // 3  # after the sinc filters and the pooling
    assert (first["input"], first["weights"]) == ([1, 1, 23, frames], [32, 1, 2, 3])
    assert (second["input"], second["weights"]) == ([1, 32, 24, frames], [32, 32, 2, 3])
    assert (first["taken"], second["taken"]) == ("torch", "shifts")
    sizes = [(*row["input"], *row["weights"], row["gradient"]) for row in figures["rows"]]
    assert len(set(sizes)) == len(sizes) == 2 * 14
    assert all(
        row[name] > 0 for row in figures["rows"] for name in ("torch_ms", "columns", "flipped_or_shifts")
    )
    assert "| 1×32×24×" in (tmp_path / "x.md").read_text()
    assert "rule avx2-1" in capsys.readouterr().out


def test_a_network_without_them_is_one_line(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--config=configs/asd_autoencoder.yaml", "--data.eval_crop_s=1")
    assert "Autoencoder has no convolutions" in capsys.readouterr().err
