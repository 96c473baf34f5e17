import sys

import pytest
import torch
import transformers
from speech_sources import FAMILIES, SMALL, fairseq_tensors, small
from torch import nn
from torchaudio.models.wav2vec2 import wav2vec2_model
from torchaudio.models.wav2vec2.utils import import_huggingface_model
from torchaudio.models.wav2vec2.utils.import_fairseq import _convert_state_dict

from lightning_modules.networks.encoders import LoRA, Sizes, SpeechEncoder, TimeMask

LORA = LoRA(targets=["q_proj", "v_proj"], rank=2, dropout=0.5)
CLIPS = torch.randn(2, 1, 5003, generator=torch.Generator().manual_seed(1)) * 0.1


def modes(encoder):
    return [block.training for block in encoder.blocks]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_equals_the_library(name):
    encoder = small(name, layers="all").eval()
    reference = getattr(transformers, type(encoder.model).__name__)(encoder.model.config).eval()
    reference.load_state_dict(encoder.model.state_dict())
    with torch.no_grad():
        expected = reference(CLIPS[:, 0], output_hidden_states=True)
        hidden = encoder(CLIPS)
        torch.testing.assert_close(
            hidden.states, torch.stack(expected.hidden_states, 1), rtol=1e-5, atol=1e-5
        )
        assert hidden.length.tolist() == [hidden.states.shape[2]] * 2 == [15, 15]
        last = small(name).eval()(CLIPS[:, 0]).states
        torch.testing.assert_close(last[:, 0], expected.last_hidden_state, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_equals_torchaudio(name):
    encoder = small(name, layers="all").eval()
    reference = import_huggingface_model(encoder.model).eval()
    with torch.no_grad():
        layers, _ = reference.extract_features(CLIPS[:, 0])
        states = encoder(CLIPS).states[:, 1:]
    torch.testing.assert_close(states, torch.stack(layers, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["wav2vec2_base", "xlsr_300m"])
def test_names_of_fairseq_are_those_that_torchaudio_knows(name):
    is_large = name == "xlsr_300m"
    reference = wav2vec2_model(
        extractor_mode="layer_norm" if is_large else "group_norm",
        extractor_conv_layer_config=[(32, 10, 5), *[(32, 3, 2)] * 4, (32, 2, 2), (32, 2, 2)],
        extractor_conv_bias=is_large,
        encoder_embed_dim=64,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=128,
        encoder_pos_conv_groups=16,
        encoder_num_layers=2,
        encoder_num_heads=4,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=128,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=is_large,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    ).eval()
    state = _convert_state_dict(fairseq_tensors(name))
    reference.load_state_dict(state)  # which knows names of weight norm until 2023
    with torch.no_grad():
        expected, _ = reference(CLIPS[:, 0])
        states = small(name).eval()(CLIPS).states[:, 0]
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)


def test_names_of_wavlm_in_its_own_code():
    names = set(fairseq_tensors("wavlm_large", pretraining=False))
    attention = "encoder.layers.0.self_attn."
    assert {name for name in names if name.startswith(attention) and "_proj" not in name} == {
        f"{attention}relative_attention_bias.weight",
        f"{attention}grep_linear.weight",
        f"{attention}grep_linear.bias",
        f"{attention}grep_a",
    }


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_clip_has_its_own_states_in_a_batch(name, normalize):
    encoder = small(name, layers="all", normalize=normalize).eval()
    length = torch.tensor([5003, 400, 2719])
    clips = torch.randn(3, 1, 5003, generator=torch.Generator().manual_seed(2))
    clips = clips.where(torch.arange(5003) < length[:, None, None], 7.0)  # what follows a clip is not heard
    with torch.no_grad():
        together = encoder(clips, length)
        for number, samples in enumerate(length.tolist()):
            alone = encoder(clips[number : number + 1, :, :samples]).states[0]
            steps = int(together.length[number])
            assert alone.shape[1] == steps
            torch.testing.assert_close(together.states[number, :, :steps], alone, rtol=1e-5, atol=1e-5)
    assert together.length.tolist() == [15, 1, 8]


def test_normalized_clips_have_no_level_and_no_offset():
    encoder = small(normalize=True).eval()
    with torch.no_grad():
        states = encoder(CLIPS).states
        torch.testing.assert_close(encoder(5 * CLIPS + 0.3).states, states, rtol=1e-2, atol=1e-3)
        raw = small().eval()
        expected = raw(nn.functional.layer_norm(CLIPS, CLIPS.shape[-1:])).states
        torch.testing.assert_close(states, expected, rtol=0, atol=0)
        assert not torch.allclose(raw(CLIPS).states, states, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "parameters", "tensors"),
    [
        ("wav2vec2_base", 94_371_712, 211),
        ("xlsr_300m", 315_438_720, 422),
        ("mms_300m", 315_438_720, 422),
        ("xlsr_1b", 962_497_408, 806),
        ("xlsr_2b", 2_159_259_648, 806),
        ("wavlm_base", 94_381_936, 248),
        ("wavlm_large", 315_453_120, 488),
        ("hubert_base", 94_371_712, 211),
        ("hubert_large", 315_438_720, 422),
    ],
)
def test_numbers_of_parameters(name, parameters, tensors):
    with torch.device("meta"):
        encoder = SpeechEncoder(name)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == parameters
    assert len(encoder.state_dict()) == tensors


def test_numbers_of_lora():
    lora = LoRA(targets=["q_proj", "v_proj"], rank=16)
    with torch.device("meta"):
        encoder = SpeechEncoder("xlsr_300m", trainable="lora", lora=lora)
    trainable = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for parameter in trainable) == 24 * 2 * 16 * 2048 == 1_572_864


@pytest.mark.parametrize("name", FAMILIES)
def test_lora_begins_as_the_base_works_and_merges(name):
    base = small(name, layers="all", trainable="none").eval()
    adapted = SpeechEncoder(name, sizes=SMALL, layers="all", trainable="lora", lora=LORA).eval()
    state = {key.replace(".base_layer", ""): key for key in adapted.state_dict() if "lora" not in key}
    adapted.load_state_dict({state[key]: value for key, value in base.state_dict().items()}, strict=False)
    with torch.no_grad():  # with gradients attention may be rounded otherwise
        assert torch.equal(adapted(CLIPS).states, base(CLIPS).states)
    states = adapted(CLIPS).states
    states.square().sum().backward()
    for key, parameter in adapted.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad == ("lora" in key)
        if "lora_B" in key:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0
            nn.init.normal_(parameter)
    changed = adapted(CLIPS).states
    assert (changed - states)[:, 1:].abs().amax(dim=(0, 2, 3)).min() > 0.01
    merged = adapted.merge()
    torch.testing.assert_close(merged(CLIPS).states, changed, rtol=1e-4, atol=1e-4)
    assert list(merged.state_dict()) == list(base.state_dict())


def test_nothing_is_drawn_in_training_unless_asked_for():
    encoder = small("wavlm_base", layers="all").train()
    assert modes(encoder) == [True, True]
    state = torch.get_rng_state()
    assert torch.equal(encoder(CLIPS).states, encoder(CLIPS).states)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "dropout", ["dropout", "attention_dropout", "activation_dropout", "projection_dropout", "layer_drop"]
)
@pytest.mark.parametrize("name", ["xlsr_300m", "wavlm_base"])
def test_what_is_asked_for_acts_on_what_trains_alone(name, dropout):
    settings = {dropout: 0.5}
    encoder = small(name, layers="all", **settings)
    torch.manual_seed(0)
    assert encoder(CLIPS).states.shape[1] == 3  # whatever is dropped
    assert any(not torch.equal(encoder(CLIPS).states, encoder(CLIPS).states) for _ in range(5))
    encoder.eval()
    assert torch.equal(encoder(CLIPS).states, small(name, layers="all").eval()(CLIPS).states)
    for trainable, lora in (("none", None), ("lora", LoRA(targets=["q_proj"]))):
        frozen = small(name, layers="all", trainable=trainable, lora=lora, **settings).train()
        assert modes(frozen) == [False, False]
        assert torch.equal(frozen(CLIPS).states, frozen(CLIPS).states)
    top = small(name, layers="all", trainable=1, **settings).train()
    assert modes(top) == [False, True]
    assert torch.equal(top(CLIPS).states[:, :2], top(CLIPS).states[:, :2])


@pytest.mark.parametrize("name", ["xlsr_300m", "wavlm_large"])
def test_dropped_layers_pass_on_what_they_got_and_have_a_gradient(name):
    encoder = small(name, layers="all", layer_drop=1.0)
    states = encoder(CLIPS).states
    assert torch.equal(states[:, 0], states[:, 1])
    assert torch.equal(states[:, 0], states[:, 2])
    states.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)


def test_a_mask_takes_the_place_of_what_blocks_hear():
    encoder = small(layers="all", mask=TimeMask(share=1.0, span=15))
    parameter = encoder.model.masked_spec_embed
    assert parameter.requires_grad
    states = encoder(CLIPS).states  # 15 steps, all masked
    assert torch.equal(states[0], states[1])
    states.square().sum().backward()
    assert parameter.grad.abs().max() > 0
    assert torch.equal(encoder.eval()(CLIPS).states, small(layers="all").eval()(CLIPS).states)
    assert not small().model.masked_spec_embed.requires_grad  # which no rank would have a gradient of
    with pytest.raises(ValueError, match="mask: masks what frozen blocks hear, with trainable=none"):
        small(mask=TimeMask(), trainable="none")


@pytest.mark.parametrize("name", ["wav2vec2_base", "wavlm_large"])
@pytest.mark.parametrize("trainable", ["all", 1, "lora"])
def test_what_is_computed_again_has_the_same_gradients(name, trainable):
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        lora = LORA if trainable == "lora" else None
        encoder = small(
            name, trainable=trainable, lora=lora, gradient_checkpointing=checkpointing, dropout=0.1
        )
        torch.manual_seed(0)
        encoder(CLIPS).states.square().sum().backward()
        gradients.append({key: p.grad for key, p in encoder.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][key], gradients[1][key]) for key in gradients[0])


def test_half_precision_gives_states_near_those_of_float32():
    for name in ("wav2vec2_base", "xlsr_300m", "wavlm_large"):
        encoder = small(name, layers="all").eval()
        with torch.no_grad():
            expected = encoder(CLIPS).states
            with torch.autocast("cpu", torch.bfloat16):
                length = torch.tensor([5003, 3000])
                assert encoder(CLIPS, length).states.isfinite().all()
                states = encoder(CLIPS).states
        assert (states.float() - expected).abs().mean() < 0.02 * expected.abs().mean()


@pytest.mark.parametrize(
    ("shape", "length", "said"),
    [
        ((1, 1, 399), None, "a clip of 399 samples: an encoder of speech needs at least 400, 25 ms"),
        ((2, 1, 800), [800, 300], "a clip of 300 samples"),
        ((1, 2, 800), None, r"waveforms \(1, 2, 800\): .* one channel"),
    ],
)
def test_what_it_cannot_hear_is_refused(shape, length, said):
    with pytest.raises(ValueError, match=said):
        small()(torch.zeros(shape), None if length is None else torch.tensor(length))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"sizes\.width=72: must be a multiple of 16 and of 16 heads"):
        SpeechEncoder("xlsr_300m", sizes=Sizes(width=72))


def test_the_library_is_needed_and_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ValueError, match=r"encoders of speech: .*pip install 'audio-research-platform\[encoders\]'"
    ):
        small()


def test_depth_of_its_parameters():
    encoder = small()
    depths = {name: encoder.depth_of(name) for name, _ in encoder.named_parameters()}
    assert depths["model.feature_extractor.conv_layers.0.conv.weight"] == 0
    assert depths["model.encoder.pos_conv_embed.conv.bias"] == 0
    assert depths["model.encoder.layers.1.attention.q_proj.weight"] == 2
    assert depths["model.encoder.layer_norm.weight"] == 3
    assert small("wav2vec2_base").depth_of("model.encoder.layer_norm.weight") == 0  # which comes first there
