"""Counts against values by hand, naive attention and published figures; the command against its files."""

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lightning_modules.benchmark import __main__ as benchmark
from lightning_modules.benchmark.cost_counters import count_macs, peak_bytes
from lightning_modules.config import cli
from lightning_modules.networks import AST, DATAR, AudioSlowFast

REPOSITORY = Path(__file__).parents[2]
CPU = torch.device("cpu")


@torch.no_grad()
def macs(network, *inputs):
    return count_macs(network.eval(), lambda: network(*inputs))


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Linear(6, 10), (3, 7, 6), 3 * 7 * 6 * 10),
        (nn.Conv1d(4, 6, 5, stride=2, padding=2), (2, 4, 20), 2 * 10 * 6 * 4 * 5),
        (nn.Conv2d(8, 12, (3, 5), padding=(1, 2), groups=4), (1, 8, 9, 11), 9 * 11 * 12 * 2 * 15),
        (nn.ConvTranspose1d(4, 6, 5, stride=2), (2, 4, 20), 2 * 20 * 4 * 6 * 5),
    ],
)
def test_modules_by_hand(layer, shape, expected):
    assert macs(layer, torch.randn(shape)) == (expected, expected)


class Attention(nn.Module):
    """Attention by PyTorch's kernel or by two products."""

    def __init__(self, *, naive: bool, bias: torch.Tensor | None):
        super().__init__()
        self.naive, self.bias = naive, bias

    def forward(self, q, k, v):
        if not self.naive:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)
        scores = q @ k.mT * q.shape[-1] ** -0.5
        return (scores if self.bias is None else scores + self.bias).softmax(-1) @ v


@pytest.mark.parametrize("bias", [None, torch.randn(2, 4, 24, 40)])
def test_attention_counts_like_two_products(bias):
    q, k, v = torch.randn(2, 4, 24, 16), torch.randn(2, 4, 40, 16), torch.randn(2, 4, 40, 16)
    kernel, naive = Attention(naive=False, bias=bias), Attention(naive=True, bias=bias)
    torch.testing.assert_close(kernel(q, k, v), naive(q, k, v))
    expected = (0, 2 * 4 * 24 * 40 * (16 + 16))
    assert macs(naive, q, k, v) == expected
    assert macs(kernel, q, k, v) == expected
    with sdpa_kernel(SDPBackend.MATH):
        assert macs(kernel, q, k, v) == expected


def test_lstm_by_hand():
    lstm = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
    first, second = 2 * 4 * 5 * (6 + 5), 2 * 4 * 5 * (10 + 5)
    assert macs(lstm, torch.randn(3, 8, 6)) == (0, 3 * 8 * (first + second))


def test_functional_layers_are_in_the_full_count_alone():
    class Masked(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight.tril(), self.bias)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5, 5))

        def forward(self, x):
            return F.linear(x, self.weight)

    assert macs(Network(), torch.randn(3, 5)) == (0, 3 * 5 * 5)
    assert macs(Masked(5, 5), torch.randn(3, 5)) == (3 * 5 * 5, 3 * 5 * 5)


def test_peak_memory_by_hand():
    held = torch.zeros(1000)

    def run():
        a = held + 1  # 4,000 bytes beside those held
        b = torch.cat([a, a])  # 8,000
        del a
        b.mul_(2)
        return b[:10] + b[10:20]  # 40

    assert peak_bytes(run, device=CPU, held=[held, held[:5]]) == 4000 + 4000 + 8000
    assert peak_bytes(lambda: [held + i for i in range(3)], device=CPU, held=[held]) == 4 * 4000
    assert (
        peak_bytes(lambda: [None for i in range(3) if (held + i).sum()], device=CPU, held=[held]) < 3 * 4000
    )


def test_peak_memory_of_a_backward_pass_holds_activations():
    weight = torch.ones(1000, requires_grad=True)

    def run():
        x = weight
        for _ in range(5):
            x = x.sin()  # keeps its input
        x.sum().backward()

    # five outputs, of which four beside the weight itself are kept, and at least a gradient
    assert 6 * 4000 <= peak_bytes(run, device=CPU, held=[weight]) <= 9 * 4000


@torch.no_grad()
def giga_macs(network, num_frames):
    return [count / 1e9 for count in macs(network, torch.randn(1, 128, num_frames))]


@pytest.mark.parametrize(
    ("network", "num_frames", "expected"),
    [
        (DATAR.tiny, 1024, (11.461, 12.495)),
        (lambda: DATAR.tiny(windows=(8, 8, 8, 4)), 1024, (11.354, 12.364)),
        (lambda: AudioSlowFast(309), 512, (5.521, 5.521)),
        pytest.param(
            lambda: DATAR.small(windows=(8, 8, 8, 4)), 1024, (22.258, 24.627), marks=pytest.mark.slow
        ),
        pytest.param(
            lambda: DATAR.base(windows=(8, 8, 8, 4)), 1024, (39.542, 42.701), marks=pytest.mark.slow
        ),
        pytest.param(DATAR.small, 1024, (22.364, 24.828), marks=pytest.mark.slow),
        pytest.param(DATAR.base, 1024, (39.732, 43.016), marks=pytest.mark.slow),
        pytest.param(AST.base, 1024, (103.349, 130.514), marks=pytest.mark.slow),
    ],
)
def test_published_implementations_cost_as_much(network, num_frames, expected):
    # the reference code of each network, by hooks and by torch.utils.flop_counter on naive attention; that of DATAR
    # projects the padding of its windows of 7, too: 12.743, 25.302 and 44.955, with products 1.034, 2.463, 3.284 more
    assert giga_macs(network(), num_frames) == pytest.approx(expected, rel=1e-4)


def run(monkeypatch, *arguments):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("lightning_modules.benchmark.cost.MIN_TIMED_S", 0.01)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--cost", "--trainer.accelerator=cpu", *arguments])
    cli.one_line_errors(benchmark.main)


def test_command_without_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(tmp_path / "nothing"))
    run(
        monkeypatch,
        *("--config=configs/ssd_lcnn_lstm_sum.yaml", "--cost_seconds", "0.5", "1", "--cost_frames", "101"),
        *(f"--json={tmp_path / 'cost.json'}", f"--markdown={tmp_path / 'cost.md'}"),
    )
    figures = json.loads((tmp_path / "cost.json").read_text())
    half, whole, frames = figures["rows"]
    assert figures["network"] == "LCNN"
    assert [row["length"] for row in figures["rows"]] == ["0.5 s", "1 s", "101 frames"]
    assert [row["input"] for row in figures["rows"]] == ["2×1×60×51", "2×1×60×101", "2×1×60×101"]
    assert all(value > 0 for row in figures["rows"] for value in list(row.values())[2:])
    for name in ("module_gmac", "full_gmac", "forward_mb"):
        assert half[name] < whole[name] == frames[name]
    assert whole["module_gmac"] < whole["full_gmac"]  # the LSTMs
    assert whole["forward_mb"] < whole["training_mb"]
    text = (tmp_path / "cost.md").read_text()
    assert f"| 1 s | 2×1×60×101 | {whole['parameters']:.3f} |" in text
    assert "torch.utils.flop_counter" in text
    assert "torch.utils.flop_counter" in capsys.readouterr().out


def test_windows_of_a_clip_add_up(monkeypatch, tmp_path):
    arguments = [
        "--config=configs/asd_autoencoder.yaml",
        "--cost_seconds",
        "2",
        f"--json={tmp_path / 'cost.json'}",
    ]
    run(monkeypatch, *arguments)
    (row,) = json.loads((tmp_path / "cost.json").read_text())["rows"]
    num_windows = 1 + 2 * 16000 // 512 - 4
    assert row["input"] == f"{2 * num_windows}×640"
    weights = 2 * (640 * 128 + 2 * 128 * 128 + 128 * 8)
    assert row["module_gmac"] == row["full_gmac"] == pytest.approx(num_windows * weights / 1e9)


def test_what_cannot_be_measured_is_one_line(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--config=configs/asd_frontend_ensemble.yaml")
    assert "FrontEndEnsemble has no single network" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, "--config=configs/ssd_aasist.yaml", "--cost_seconds", "0")
    assert "expected only positive numbers" in capsys.readouterr().err
