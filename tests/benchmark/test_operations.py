"""The profile of a step: shares of its operations, and other forms that compute the same."""

import json
import sys

import pytest
import torch

from lightning_modules.benchmark import __main__ as benchmark
from lightning_modules.benchmark import operations
from lightning_modules.benchmark.forms import other_forms
from lightning_modules.config import cli

MOVES = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
LINE = ([1], [0], [2], False, [0], 1)
MASK = [True, True, False]
CASES = [
    ("aten.convolution", [(2, 8, 9, 10), (6, 8, 3, 3), (6,)], MOVES, 2),
    ("aten.convolution", [(2, 8, 20), (6, 8, 3), (6,)], LINE, 1),
    ("aten.convolution_backward", [(2, 6, 9, 10), (2, 8, 9, 10), (6, 8, 3, 3)], ([6], *MOVES, MASK), 3),
    ("aten.convolution_backward", [(2, 6, 16), (2, 8, 20), (6, 8, 3)], ([6], *LINE, MASK), 1),
    ("aten.mm", [(5, 6), (6, 7)], (), 2),
    ("aten.addmm", [(7,), (5, 6), (6, 7)], (), 3),
    ("aten.bmm", [(3, 5, 6), (3, 6, 7)], (), 2),
    ("aten.native_batch_norm", [(4, 3, 5, 6), (3,), (3,), (3,), (3,)], (True, 0.1, 1e-5), 2),
    ("aten.native_batch_norm_backward", [(4, 3, 5, 6), (4, 3, 5, 6), *[(3,)] * 5], (True, 1e-5, [True] * 3), 1),
    ("aten.max_pool2d_with_indices", [(2, 3, 8, 8)], ([2, 2], [2, 2]), 1),
    ("aten.elu", [(5, 6)], (1.6, 1.05), 1),
    ("aten.gelu", [(5, 6)], (), 1),
    ("aten._safe_softmax", [(5, 6)], (1,), 1),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "sizes", "settings", "number"), CASES)
def test_all_forms_compute_the_same(operation, sizes, settings, number):
    torch.manual_seed(0)
    given = [torch.randn(size).double() for size in sizes]
    own = getattr(torch.ops.aten, operation.split(".")[1])(*given, *settings)
    forms = other_forms(operation, (*given, *settings))
    assert len(forms) == number
    for form in forms.values():
        assert operations._difference(own, form()) < 1e-12


def test_layer_norm_by_its_variance():
    x, weight, bias = (torch.randn(size).double() for size in ((4, 5), (5,), (5,)))
    own = torch.ops.aten.native_layer_norm(x, [5], weight, bias, 1e-5)
    (form,) = other_forms("aten.native_layer_norm", (x, [5], weight, bias, 1e-5)).values()
    assert operations._difference(own, form()) < 1e-12


def test_noise_has_the_layout_of_what_it_stands_for():
    for x in (
        torch.zeros(4, 3, 1).expand(4, 3, 5),
        torch.zeros(2, 8, 5, 6).to(memory_format=torch.channels_last),
    ):
        noise = operations._Size(x).noise()
        assert (noise.shape, noise.stride(), noise.dtype) == (x.shape, x.stride(), x.dtype)
        assert noise.unique().numel() > 10


def test_operations_of_no_other_form_have_none():
    assert other_forms("aten.erfinv", (torch.zeros(1),)) == {}


def test_shares_of_a_step_and_its_forms(monkeypatch, tmp_path, capsys, demo_corpus):
    monkeypatch.setattr(operations, "ROUNDS", 1)
    arguments = ["--config=configs/ssd_lcnn.yaml", "--model.network.num_frames=126", "--data.train_crop_s=1"]
    arguments += ["--data.batch_size=2", "--data.num_workers=0", f"--data.root={demo_corpus}"]
    files = [f"--json={tmp_path / 'x.json'}", f"--markdown={tmp_path / 'x.md'}"]
    monkeypatch.setattr(sys, "argv", ["benchmark", "--operations", *arguments, *files])
    cli.one_line_errors(benchmark.main)
    figures = json.loads((tmp_path / "x.json").read_text())
    assert figures["model"] == "SyntheticSpeechDetector of LCNN"
    assert figures["batch"][0] == 2
    assert sum(figures["operations"].values()) == pytest.approx(1)
    (row,) = [row for row in figures["rows"] if row["sizes"] == [[2, 32, 63, 120], [96, 32, 3, 3], [96]]]
    assert (row["operation"], row["calls"]) == ("aten.convolution", 1)
    assert row["form"] in ("other layout", "columns")
    assert 0 <= row["differs"] < 1e-5
    assert 0 <= figures["settled"] <= 1
    assert "| aten.convolution | 2×32×63×120, 96×32×3×3, 96 | 1 |" in (tmp_path / "x.md").read_text()
    assert "no other form is faster" in capsys.readouterr().out
