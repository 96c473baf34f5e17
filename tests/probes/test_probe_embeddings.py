"""An encoder is asked once; whatever embeddings depend on asks it again."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from probed_encoder import FRAME, ProbedEncoder

from datamodules import ASVspoof
from datamodules.cache import VARIABLE
from lightning_modules.networks import AASIST
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.probes.embedder import Embedder
from lightning_modules.probes.embeddings import embeddings
from lightning_modules.probes.heard import embed
from lightning_modules.ssd import SyntheticSpeechDetector


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(ProbedEncoder, "calls", 0)
    return tmp_path / "cache"


def settings(**encoder) -> dict[str, Any]:
    return {
        "network": {
            "class_path": "EncoderClassifier",
            "init_args": {"encoder": {"class_path": "ProbedEncoder", "init_args": encoder}},
        }
    }


def found(
    demo_corpus, *, seed: int = 0, crop_s: float = 0.3, split: Any = "test", root: Any = None, **options
):
    """Embeddings by a method that is built anew, as by another process."""
    torch.manual_seed(seed)
    method = SyntheticSpeechDetector(EncoderClassifier(ProbedEncoder(trainable="none"), PooledLinear(dim=8)))
    data = ASVspoof(root=str(root or demo_corpus), eval_crop_s=crop_s, num_workers=0, eval_batch_size=16)
    data.setup()
    embedder = Embedder(method.network, **options)
    hear = partial(embed, method, embedder)
    return embeddings(method, embedder, hear, data, split, settings(trainable="none"))


def test_a_second_probe_finds_what_the_first_left_to_the_bit(demo_corpus, cache, tmp_path):
    first = found(demo_corpus)
    calls = ProbedEncoder.calls
    assert calls > 0
    moved = tmp_path / "moved"
    moved.symlink_to(demo_corpus)
    for again in (found(demo_corpus), found(demo_corpus, root=moved)):  # whose files are the same
        assert torch.equal(first.statistics, again.statistics)
        assert [row.key for row in first.rows] == [row.key for row in again.rows]
    assert ProbedEncoder.calls == calls


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"crop_s": 0.2}, {"split": "validation"}, {"all_layers": True}, {"pooling": "class"}],
)
def test_what_embeddings_depend_on_asks_the_encoder_again(demo_corpus, cache, change):
    found(demo_corpus)
    calls = ProbedEncoder.calls
    found(demo_corpus, **change)
    assert ProbedEncoder.calls > calls


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_torn_file_is_none(demo_corpus, cache, size):
    first = found(demo_corpus)
    (path,) = (cache / "embeddings").rglob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    assert torch.equal(found(demo_corpus).statistics, first.statistics)
    assert path.read_bytes() == whole


def test_an_interrupted_probe_leaves_nothing(demo_corpus, cache, monkeypatch):
    monkeypatch.setattr(ProbedEncoder, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found(demo_corpus)
    assert not [path for path in (cache / "embeddings").rglob("*") if path.is_file()]


def interrupted(*_: Any, **__: Any):
    raise KeyboardInterrupt


def test_embeddings_are_those_of_the_encoder(demo_corpus, cache):
    torch.manual_seed(0)
    encoder = ProbedEncoder(layers="all").eval()
    data = ASVspoof(root=str(demo_corpus), eval_crop_s=0.3, num_workers=0)
    data.setup()
    kinds = {
        "mean": found(demo_corpus, all_layers=True).statistics,
        "class": found(demo_corpus, all_layers=True, pooling="class").statistics,
        "last": found(demo_corpus).statistics,
    }
    item = data.dataset("test", 0.3)[5, 0]
    waveform = item.waveform[None]
    with torch.inference_mode():
        hidden: Hidden = encoder(waveform)
        encoder.layers = "last"
        last: Hidden = encoder(waveform)
    assert hidden.class_tokens is not None
    torch.testing.assert_close(kinds["mean"][5], hidden.states[0].mean(dim=1))
    torch.testing.assert_close(kinds["class"][5], hidden.class_tokens[0, :, 0])
    torch.testing.assert_close(kinds["last"][5], last.states[0].mean(dim=1))


def test_padding_counts_for_nothing():
    encoder = ProbedEncoder(layers="last")
    embedder = Embedder(EncoderClassifier(encoder, PooledLinear(dim=8)))
    waveform = torch.randn(2, 1, 3 * FRAME)
    waveform[1, :, FRAME:] = 9.0  # not its own
    alone = embedder(waveform[1:, :, :FRAME])
    torch.testing.assert_close(embedder(waveform, torch.tensor([3 * FRAME, FRAME]))[1:], alone)


def test_networks_without_encoder_have_one_embedding():
    network = AASIST(channels=(8, 8, 8, 8, 8, 8)).eval()
    waveform = torch.randn(2, 1, 8000)
    torch.testing.assert_close(Embedder(network)(waveform)[:, 0], network(waveform).embedding)
    for option, wrong in {"--layers": {"all_layers": True}, "--pooling": {"pooling": "mean"}}.items():
        with pytest.raises(
            ValueError, match=f"{option}: AASIST has one embedding: it is for networks of an encoder"
        ):
            Embedder(network, **wrong)
