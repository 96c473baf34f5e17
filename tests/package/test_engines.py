"""Engines: the same scores, refusals in one line with the way out, and PyTorch where ONNX Runtime cannot."""

import re
import sys

import pytest
import torch
from torch import nn

from datamodules.hearing import Listening
from lightning_modules.networks.output import Output
from lightning_modules.package import engines
from lightning_modules.package.eager import Eager
from lightning_modules.package.engines import PARITY, choose, taken_by_auto
from lightning_modules.package.scorers import ClassScorer, SpoofingScorer

LISTENING = Listening(sample_rate=1000, crop_s=0.1, padding="repeat", mono=True)


class Tiny(nn.Module):
    """(b, 1, t) -> two logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), nn.Flatten(), nn.LazyLinear(2))
        self(torch.zeros(2, 1, 100))

    def forward(self, x: torch.Tensor) -> Output:
        embedding = self.layers[:3](x)
        return Output(embedding, self.layers[3](embedding))


@pytest.fixture
def scorer():
    torch.manual_seed(0)
    return SpoofingScorer(Tiny()).eval()


def test_onnx_runtime_scores_as_pytorch(scorer):
    with torch.inference_mode():  # as in a loop of predictions
        chosen = choose(scorer, LISTENING, "onnxruntime")
    assert chosen.name == "onnxruntime"
    assert re.match(r"engine: onnxruntime, whose scores differ .* by \de-\d\d of the largest", chosen.remark)
    clips = torch.randn(7, 1, 100)
    expected = scorer(clips)
    for part in (clips, clips[:1]):
        difference = (chosen.score(part, torch.full((len(part),), 100)) - expected[: len(part)]).abs().max()
        assert difference <= PARITY * expected.abs().max()


def test_auto_goes_by_what_was_measured_on_such_cpus(scorer, monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "X")
    assert taken_by_auto(scorer) == "eager"
    assert choose(scorer, LISTENING, "auto")[1:] == ("eager", "")
    monkeypatch.setattr(engines, "_FASTER_BY_ONNX", {("X", "Tiny")})
    assert taken_by_auto(scorer) == "onnxruntime"
    assert choose(scorer, LISTENING, "auto").name == "onnxruntime"


@pytest.mark.parametrize("missing", ["module", "parity", "graph"])
def test_auto_takes_pytorch_where_onnx_runtime_cannot(scorer, missing, monkeypatch, tmp_path):
    graph = tmp_path / "model.onnx" if missing == "graph" else None
    if missing == "module":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    if missing == "parity":
        monkeypatch.setattr(engines, "PARITY", -1.0)
    reason = {
        "module": "pip install 'audio-research-platform[export]'",
        "parity": "its scores differ by",
        "graph": f"{graph}: no such file: export with --onnx",
    }[missing]
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        choose(scorer, LISTENING, "onnxruntime", graph)
    assert str(refused.value).endswith("or take --engine eager")
    capability = torch.backends.cpu.get_cpu_capability()
    monkeypatch.setattr(engines, "_FASTER_BY_ONNX", {(capability, "Tiny")})
    chosen = choose(scorer, LISTENING, "auto", graph)
    assert chosen.name == "eager"
    assert reason in chosen.remark


class Levels(nn.Module):
    """Mean of a clip's own samples, as a front end that is told of lengths."""

    def forward(self, waveform: torch.Tensor, length: torch.Tensor | None = None) -> torch.Tensor:
        if length is None:
            return waveform.mean(-1)
        mask = torch.arange(waveform.shape[-1]) < length[:, None, None]
        return (waveform * mask).sum(-1) / length[:, None]


class Linear(nn.Linear):
    def forward(self, x: torch.Tensor) -> Output:
        return Output(x, super().forward(x))


def test_filled_clips_are_not_heard_as_sound():
    scorer = ClassScorer(Linear(1, 2), Levels(), heads={"class": ["a", "b"]}).eval()
    chosen = choose(scorer, LISTENING, "onnxruntime")
    clips, length = torch.rand(3, 1, 100), torch.tensor([100, 50, 20])
    assert chosen.name == "onnxruntime"
    torch.testing.assert_close(chosen.score(clips, length), scorer(clips, length))


def test_clips_are_scored_few_at_a_time(scorer, monkeypatch):
    monkeypatch.setattr("lightning_modules.package.eager._SAMPLES", 250)
    sizes = []
    scorer.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    clips = torch.randn(5, 1, 100)
    torch.testing.assert_close(Eager(scorer)(clips, None), scorer(clips))
    assert sizes == [2, 2, 1, 5]


def test_half_precision_is_left_alone(scorer):
    assert Eager(scorer).is_simplified
    assert not Eager(scorer.bfloat16()).is_simplified
    with torch.autocast("cpu", torch.bfloat16):
        assert not Eager(scorer.float()).is_simplified


def test_weights_that_are_made_of_others_are_left_alone(scorer):
    torch.nn.utils.parametrizations.weight_norm(scorer.network.layers[3])
    clips = torch.randn(3, 1, 100)
    engine = Eager(scorer)
    assert not engine.is_simplified
    assert torch.equal(engine(clips, None), scorer(clips))
