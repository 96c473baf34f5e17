"""The detector's losses, scores and momentum step."""

import math

import numpy as np
import pytest
import soundfile
import torch
from torch import nn
from torch.nn import functional as F

from datamodules import ASVspoof
from datamodules.clips import Batch
from lightning_modules.frontends import LFCC
from lightning_modules.networks import LCNN
from lightning_modules.networks.output import Output
from lightning_modules.objectives import InterFrequency, InterInstance
from lightning_modules.ssd import SyntheticSpeechDetector
from lightning_modules.ssd.detector import two_class_logits


class Linear(nn.Module):
    """A network of one layer, whose losses can be written down."""

    embedding_dim = 4

    def __init__(self, num_logits=2):
        super().__init__()
        self.embed = nn.Linear(400, 4)
        self.classify = nn.Linear(4, num_logits)
        self.calls = 0

    def forward(self, waveform):
        self.calls += 1
        embedding = self.embed(waveform[:, 0])
        return Output(embedding, self.classify(embedding))


@pytest.fixture
def batch():
    torch.manual_seed(0)
    target = torch.tensor([0, 1, 1, 0, 1])
    index = torch.arange(5)
    return Batch(torch.randn(5, 1, 400), torch.full((5,), 400), target, index, list("abcde"), {})


def loss_of(module, batch):
    module.log = module.log_dict = lambda *_, **__: None
    return module.training_step(batch, 0)


def test_one_logit_gives_the_binary_cross_entropy_of_eq_5(batch):
    network = Linear(num_logits=1)
    loss = loss_of(SyntheticSpeechDetector(network), batch)
    logit = network(batch.waveform).logits[:, 0]
    assert torch.allclose(loss, F.binary_cross_entropy_with_logits(logit, batch.target.float()))


def test_class_weights_are_those_of_the_official_recipe(batch):
    network = Linear()
    loss = loss_of(SyntheticSpeechDetector(network, class_weights=[0.1, 0.9]), batch)
    expected = nn.CrossEntropyLoss(weight=torch.tensor([0.1, 0.9]))(
        network(batch.waveform).logits, batch.target
    )
    assert torch.allclose(loss, expected)


def test_an_objective_takes_the_place_of_both_cross_entropies(batch):
    network, objective = Linear(num_logits=1), nn.MultiMarginLoss()
    masked = InterFrequency(weight=0.0, mask=nn.Identity())
    loss = loss_of(SyntheticSpeechDetector(network, objective=objective, inter_frequency=masked), batch)
    logits = F.pad(network(batch.waveform).logits, (1, 0))
    assert torch.allclose(loss, 2 * objective(logits, batch.target))
    with pytest.raises(ValueError, match="objective replaces: drop one"):
        SyntheticSpeechDetector(network, objective=objective, class_weights=[0.1, 0.9])


@pytest.mark.parametrize(("dtype", "loss_dtype"), [(torch.float64,) * 2, (torch.bfloat16, torch.float32)])
def test_class_weights_at_true_precision(batch, dtype, loss_dtype):
    """As Lightning does it for ``precision: 64-true`` and ``bf16-true``: all of the module is of the type."""
    module = SyntheticSpeechDetector(Linear(), class_weights=[0.1, 0.9]).to(dtype)
    batch = batch._replace(waveform=batch.waveform.to(dtype))
    loss = loss_of(module, batch)
    logits = module.network(batch.waveform).logits.to(loss_dtype)
    assert loss.dtype == loss_dtype
    assert torch.allclose(
        loss, F.cross_entropy(logits, batch.target, torch.tensor([0.1, 0.9], dtype=dtype).to(loss_dtype))
    )


def test_full_loss_is_eq_6(batch):
    network = Linear()
    inf, ini = InterFrequency(weight=0.1), InterInstance(weight=0.3, bank_size=16)
    module = SyntheticSpeechDetector(network, inter_frequency=inf, inter_instance=ini)
    ini.enqueue(torch.randn(7, 4), torch.tensor([0, 1, 0, 1, 1, 0, 1]))
    bank, labels = ini.bank[:7].clone(), ini.labels[:7].clone()
    torch.manual_seed(1)
    loss = loss_of(module, batch)

    torch.manual_seed(1)
    masked = network(inf.mask(batch.waveform)).logits
    clean = network(batch.waveform)
    q_clean, q_masked = clean.logits.softmax(1), masked.softmax(1)
    divergence = ((q_clean - q_masked) * (q_clean / q_masked).log()).sum(1).mean() / 2
    similarity = 0.0
    for embedding, label in zip(clean.embedding, batch.target, strict=True):
        cosine = F.cosine_similarity(embedding, bank)
        same = labels == label
        similarity -= (
            torch.sigmoid(cosine[same]).log().mean() + (1 - torch.sigmoid(cosine[~same])).log().mean()
        ) / 5
    expected = F.cross_entropy(clean.logits, batch.target) + F.cross_entropy(masked, batch.target)
    expected = expected + 0.1 * divergence + 0.3 * similarity
    assert torch.allclose(loss, expected, atol=1e-6)
    assert (ini.labels[7:12] == batch.target).all(), "this batch's keys join the memory after the loss"


def test_ablation_without_consistency_keeps_the_masked_copies(batch):
    network = Linear()
    inf = InterFrequency(weight=0.0)
    module = SyntheticSpeechDetector(network, inter_frequency=inf)
    torch.manual_seed(1)
    loss = loss_of(module, batch)
    torch.manual_seed(1)
    masked = network(inf.mask(batch.waveform)).logits
    expected = F.cross_entropy(network(batch.waveform).logits, batch.target) + F.cross_entropy(
        masked, batch.target
    )
    assert torch.allclose(loss, expected, atol=1e-6)


def test_training_parts_add_nothing_to_scoring(batch):
    network = Linear()
    plain = SyntheticSpeechDetector(network).eval()
    trained = SyntheticSpeechDetector(
        network, inter_frequency=InterFrequency(), inter_instance=InterInstance()
    ).eval()
    network.calls = 0
    assert torch.equal(plain.score(batch), trained.score(batch))
    assert network.calls == 2
    extra = set(trained.state_dict()) - set(plain.state_dict())
    assert all(key.startswith(trained.training_only) for key in extra)


def test_score_is_the_bona_fide_logit(batch):
    network = Linear()
    assert torch.equal(SyntheticSpeechDetector(network).score(batch), network(batch.waveform).logits[:, 1])
    network = Linear(num_logits=1)
    assert torch.equal(SyntheticSpeechDetector(network).score(batch), network(batch.waveform).logits[:, 0])


def test_weights_are_those_of_a_checkpoint_and_no_others(batch, tmp_path):
    trained = SyntheticSpeechDetector(Linear(), inter_instance=InterInstance(bank_size=4))
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "best.ckpt")
    detector = SyntheticSpeechDetector(Linear(), weights=str(tmp_path / "best.ckpt"))
    assert torch.equal(detector.score(batch), trained.score(batch))
    with pytest.raises(
        ValueError, match=r"best\.ckpt: weights of another model than this Linear: 2 of another shape"
    ):
        SyntheticSpeechDetector(Linear(num_logits=1), weights=str(tmp_path / "best.ckpt"))


def test_two_class_logits_keep_the_log_odds():
    logit = torch.randn(6, 1)
    both = two_class_logits(logit)
    assert torch.allclose(both.log_softmax(1)[:, 1], F.logsigmoid(logit[:, 0]))


def test_momentum_encoder_follows_after_the_step():
    network, ini = Linear(), InterInstance(momentum=0.9)
    module = SyntheticSpeechDetector(network, inter_instance=ini)
    encoder = ini.encoder
    assert isinstance(encoder, Linear)
    before = encoder.embed.weight.clone()
    with torch.no_grad():
        network.embed.weight += 1
    module.after_optimizer_step()
    assert torch.allclose(encoder.embed.weight, before + 0.1, atol=1e-6)
    assert not math.isclose(float(before.mean()), float(encoder.embed.weight.mean()))


@torch.no_grad()
def test_a_whole_clip_scores_the_same_beside_a_longer_one(tmp_path):
    torch.manual_seed(0)
    model = SyntheticSpeechDetector(LCNN.lstm_sum(60), LFCC()).eval()
    random = np.random.default_rng(0)
    for size in (20000, 64000):
        soundfile.write(tmp_path / f"{size}.wav", random.uniform(-0.3, 0.3, size), 16000)

    def score(*names: str) -> dict[str, float]:
        files = [str(tmp_path / f"{name}.wav") for name in names]
        data = ASVspoof(root="", predict=files, eval_crop_s=None, eval_batch_size=2, num_workers=0)
        scores = [
            zip(batch.key, model.score(batch).tolist(), strict=True) for batch in data.predict_dataloader()
        ]
        return {key: value for part in scores for key, value in part}

    both = score("20000", "64000")
    assert len(both) == 2
    assert score("20000").items() <= both.items()
    assert score("64000").items() <= both.items()
