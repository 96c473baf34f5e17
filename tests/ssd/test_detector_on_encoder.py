"""InF and InI on a pretrained encoder: what is computed, and how little more of it is kept."""

import copy

import pytest
import torch
from speech_sources import small
from torch import nn
from torch.nn import functional as F

from datamodules.clips import Batch
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders import LoRA, SpeechEncoder
from lightning_modules.networks.output import Output
from lightning_modules.objectives import InterFrequency, InterInstance
from lightning_modules.ssd import SyntheticSpeechDetector

LORA = LoRA(targets=["q_proj", "v_proj"], rank=2)


class MeanOverTime(nn.Module):
    """A back end of one linear layer."""

    num_layers = 1

    def __init__(self, dim):
        super().__init__()
        self.dim = self.embedding_dim = dim
        self.classifier = nn.Linear(dim, 2)

    def forward(self, hidden):
        embedding = hidden.states[:, 0].mean(dim=1)
        return Output(embedding, self.classifier(embedding))


def batches(count):
    generator = torch.Generator().manual_seed(3)
    for _ in range(count):
        waveform = torch.randn(4, 1, 1600, generator=generator, dtype=torch.double) * 0.1
        target = torch.tensor([0, 1, 1, 0])
        yield Batch(waveform, torch.full((4,), 1600), target, torch.arange(4), list("abcd"), {})


def dense(network, momentum, waveform, masked, target, bank):
    """Eq. 6 written out: the loss, and what joins the bank."""
    clean, altered = network(waveform), network(masked)
    p, q = clean.logits.softmax(1), altered.logits.softmax(1)
    consistency = ((p - q) * (p.log() - q.log())).sum(1).mean() / 2  # both divergences, of which half
    loss = F.cross_entropy(clean.logits, target) + F.cross_entropy(altered.logits, target) + 0.1 * consistency
    for embedding, label in zip(clean.embedding, target, strict=True):
        same = [F.cosine_similarity(embedding, key, dim=0) for key, other in bank if other == label]
        others = [F.cosine_similarity(embedding, key, dim=0) for key, other in bank if other != label]
        for cosines, sign in ((same, 1), (others, -1)):
            if cosines:
                loss = loss + torch.stack(
                    [(1 + (-sign * each).exp()).log() for each in cosines]
                ).mean() / len(target)
    with torch.no_grad():
        keys = momentum.eval()(waveform).embedding
    return loss, [*bank, *zip(keys, target, strict=True)]


@pytest.mark.parametrize("trainable", ["all", "lora", 1, "none"])
@pytest.mark.parametrize("name", ["wav2vec2_base", "wavlm_large"])
def test_terms_and_gradients_are_those_of_eq_6_written_out(name, trainable):
    torch.manual_seed(0)
    encoder = small(name, trainable=trainable, lora=LORA if trainable == "lora" else None)
    network = EncoderClassifier(encoder, MeanOverTime(64)).double()
    for parameter in network.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)
    frequency = InterFrequency()
    plain, momentum, bank = copy.deepcopy(network), copy.deepcopy(network), []
    detector = SyntheticSpeechDetector(
        network, inter_frequency=frequency, inter_instance=InterInstance(momentum=0.7, bank_size=8)
    ).double()
    detector.log = detector.log_dict = lambda *_, **__: None  # pyright: ignore[reportAttributeAccessIssue]
    optimizers = [
        torch.optim.SGD((p for p in each.parameters() if p.requires_grad), lr=0.05)
        for each in (network, plain)
    ]
    for batch in batches(3):
        torch.manual_seed(1)
        loss = detector.training_step(batch, 0)
        torch.manual_seed(1)
        masked = frequency.mask(batch.waveform)
        expected, bank = dense(plain, momentum, batch.waveform, masked, batch.target, bank)
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-10)
        for optimizer, each in zip(optimizers, (loss, expected), strict=True):
            optimizer.zero_grad()
            each.backward()
        pairs = list(zip(network.parameters(), plain.parameters(), strict=True))
        assert any(own.grad is not None for own, _ in pairs)
        for own, other in pairs:
            assert (own.grad is None) == (other.grad is None)
            if own.grad is not None:
                torch.testing.assert_close(own.grad, other.grad, rtol=0, atol=1e-10)
        for optimizer in optimizers:
            optimizer.step()
        detector.after_optimizer_step()
        for slow, other in zip(momentum.parameters(), plain.parameters(), strict=True):
            slow.data = 0.7 * slow.data + 0.3 * other.data


def test_the_momentum_copy_holds_only_what_trains():
    lora = LoRA(targets=["q_proj", "v_proj"], rank=16)
    with torch.device("meta"):
        encoder = SpeechEncoder("xlsr_300m", trainable="lora", lora=lora)
        network = EncoderClassifier(encoder, MeanOverTime(1024))
        objective = InterInstance(bank_size=4)
        objective.bind(network)
    theirs = {id(parameter) for parameter in network.parameters()}
    own = sum(each.numel() for each in objective.encoder.parameters() if id(each) not in theirs)
    assert own == 1_572_864 + 2 * 1024 + 2
    assert own < 0.05 * sum(parameter.numel() for parameter in encoder.parameters())
    state = objective.state_dict()
    assert sum(state[name].numel() for name in state if name.startswith("encoder.")) == own
