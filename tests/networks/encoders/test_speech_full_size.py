"""Encoders of speech at their public widths: numbers, memory and speed."""

import subprocess
import sys
import time
from typing import Any

import pytest
import torch
import transformers
from torchaudio.models.wav2vec2.utils import import_huggingface_model

from lightning_modules.networks.encoders import Sizes, SpeechEncoder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_TRAIN = """
import sys, torch
from lightning_modules.networks.encoders import LoRA, SpeechEncoder
lora = LoRA(targets=["q_proj", "v_proj"], rank=16) if sys.argv[1] == "lora" else None
encoder = SpeechEncoder("xlsr_300m", trainable=sys.argv[1], lora=lora)
optimizer = torch.optim.Adam(p for p in encoder.parameters() if p.requires_grad)
loss = encoder(torch.randn(1, 1, 64000)).states.square().mean()
loss.backward()
optimizer.step()
assert torch.isfinite(loss)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("wav2vec2_base", None),
        ("wavlm_base", None),
        ("xlsr_300m", None),
        ("wavlm_large", None),
        ("xlsr_1b", 2),
        ("xlsr_2b", 2),
    ],
)
def test_every_layer_equals_both_libraries(name: Any, depth):
    encoder = SpeechEncoder(name, sizes=Sizes(depth=depth), layers="all").eval()
    reference = getattr(transformers, type(encoder.model).__name__)(encoder.model.config).eval()
    reference.load_state_dict(encoder.model.state_dict())
    clip = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        states = encoder(clip).states
        expected = torch.stack(reference(clip, output_hidden_states=True).hidden_states, 1)
        torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)
        del reference
        layers, _ = import_huggingface_model(encoder.model).eval().extract_features(clip)
        torch.testing.assert_close(states[:, 1:], torch.stack(layers, 1), rtol=1e-5, atol=1e-5)


def peak_memory(trainable):
    """In KiB, of a process that makes one step."""
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, trainable], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of /proc")
def test_a_step_of_lora_needs_at_most_half_the_memory():
    adapted, full = peak_memory("lora"), peak_memory("all")
    print(f"lora {adapted / 2**20:.2f} GiB, all {full / 2**20:.2f} GiB: {adapted / full:.2f}")
    assert adapted <= 0.5 * full


def test_scoring_is_as_fast_as_the_library():
    encoder = SpeechEncoder("xlsr_300m", trainable="none").eval()
    clip, times = torch.randn(1, 64000) * 0.1, {"ours": [], "theirs": []}
    with torch.no_grad():
        for _ in range(6):
            for kind, model in (("ours", encoder), ("theirs", encoder.model)):
                begin = time.perf_counter()
                model(clip)
                times[kind].append(time.perf_counter() - begin)
    ratio = min(times["ours"]) / min(times["theirs"])
    print(f"ours {min(times['ours']):.3f} s, theirs {min(times['theirs']):.3f} s: {ratio:.3f}")
    assert ratio < 1.05  # what clocks differ by
