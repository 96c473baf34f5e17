import json
import logging
import pickle
from argparse import Namespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from speech_sources import (
    FAMILIES,
    PRETRAINING,
    SMALL,
    fairseq_settings,
    fairseq_tensors,
    small,
    write_fairseq,
    write_huggingface,
)

from lightning_modules.networks.encoders import LoRA, Sizes, SpeechEncoder
from lightning_modules.networks.weights import fingerprint

CLIPS = torch.randn(1, 1, 3000, generator=torch.Generator().manual_seed(1)) * 0.1


def loaded(path, name: Any = "xlsr_300m", sizes=SMALL, **settings):
    return SpeechEncoder(name, sizes=sizes, weights=str(path), **settings)


def refused(path, said, **settings):
    with pytest.raises(ValueError, match=said) as error:
        loaded(path, **settings)
    assert "\n" not in str(error.value)


def assert_is_small(encoder, name="xlsr_300m"):
    expected = small(name).model.state_dict()
    state = encoder.model.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert all(parameter.device.type == "cpu" for parameter in encoder.parameters())


@pytest.mark.parametrize("kind", ["cfg", "args", "none"])
def test_files_of_fairseq(tmp_path, kind, caplog):
    caplog.set_level(logging.INFO)
    path = write_fairseq(tmp_path / "xlsr.pt", kind=kind)
    encoder = loaded(path)
    assert_is_small(encoder)
    assert encoder.weights_sha256 == fingerprint(path)
    (line,) = [line for line in caplog.messages if "pre-training" in line]
    assert line.startswith(f"{path}: left out, of pre-training: quantizer.codevectors, ")
    assert line.count(",") == len(PRETRAINING)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("parts", "binary"), [(1, False), (3, False), (1, True), (2, True)])
def test_folders_of_huggingface(tmp_path, name, parts, binary):
    folder = write_huggingface(tmp_path / "encoder", name, parts=parts, binary=binary)
    assert_is_small(loaded(folder, name), name)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_of_a_folder_agrees_with_its_configuration(tmp_path, file):
    folder = write_huggingface(tmp_path / "encoder", binary=file.endswith("bin"))
    assert_is_small(loaded(folder / file))
    lone = tmp_path / file
    lone.write_bytes((folder / file).read_bytes())
    assert_is_small(loaded(lone))
    settings = json.loads((folder / "config.json").read_text()) | {"num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(settings))
    refused(
        folder / file,
        "its configuration says heads=2 instead of 4: set name and sizes to the file's",
    )


def test_names_of_before_2024_and_of_models_for_pretraining(tmp_path):
    folder = write_huggingface(tmp_path / "encoder")
    state = load_file(folder / "model.safetensors")
    conv = "encoder.pos_conv_embed.conv."
    former = {
        f"wav2vec2.{name}".replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in state.items()
    }
    assert {f"wav2vec2.{conv}weight_g", f"wav2vec2.{conv}weight_v"} <= former.keys()
    more = {"quantizer.codevectors": torch.zeros(1, 640, 128), "project_hid.bias": torch.zeros(256)}
    save_file(former | more, folder / "model.safetensors")
    assert_is_small(loaded(folder))
    save_file(former | more | {"lm_head.weight": torch.zeros(32, 64)}, folder / "model.safetensors")
    refused(folder, r"not the tensors of this Wav2Vec2Model: 1 unexpected \(lm_head\.weight\)")


@pytest.mark.parametrize("prefix", ["ssl_model.model.", "module.ssl_model.model.", "m_ssl.model."])
def test_encoders_of_fine_tuned_detectors(tmp_path, prefix, caplog):
    caplog.set_level(logging.INFO)
    module = "module." if prefix.startswith("module.") else ""
    state = {f"{prefix}{name}": tensor for name, tensor in fairseq_tensors().items()}
    torch.save(state | {f"{module}proj_fc.weight": torch.zeros(2, 64)}, tmp_path / "detector.pth")
    assert_is_small(loaded(tmp_path / "detector.pth"))
    assert any("other parts of the detector: proj_fc.weight" in line for line in caplog.messages)


def test_another_prefix_is_refused(tmp_path):
    state = {f"w2v_encoder.w2v_model.{name}": tensor for name, tensor in fairseq_tensors().items()}
    torch.save(state, tmp_path / "ctc.pt")
    refused(
        tmp_path / "ctc.pt",
        r"names begin with 'w2v_encoder\.w2v_model\.', and known .* 'ssl_model\.model\.', 'm_ssl",
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_loaded_to_float32(tmp_path, dtype, caplog):
    caplog.set_level(logging.INFO)
    state = {name: tensor.to(dtype) for name, tensor in fairseq_tensors().items()}
    torch.save({"model": state, "cfg": {"model": fairseq_settings()}}, tmp_path / "half.pt")
    encoder = loaded(tmp_path / "half.pt")
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    expected = small().model.encoder.layers[0].final_layer_norm.weight.to(dtype).float()
    assert torch.equal(encoder.model.encoder.layers[0].final_layer_norm.weight, expected)
    assert f"{tmp_path / 'half.pt'}: converted to float32, from {dtype}" in caplog.messages


def test_an_eighth_tensor_or_one_too_few_is_refused_by_name(tmp_path):
    path = write_fairseq(tmp_path / "more.pt", more={"quantizer.more": torch.zeros(2)})
    refused(path, r"1 unexpected \(quantizer\.more\)$")
    state = fairseq_tensors()
    del state["encoder.layers.1.fc2.bias"]
    torch.save({"model": state}, tmp_path / "fewer.pt")
    refused(tmp_path / "fewer.pt", r"1 missing \(encoder\.layers\.1\.feed_forward\.output_dense\.bias\)$")


def test_another_width_is_refused_with_the_name_that_fits(tmp_path):
    path = write_fairseq(tmp_path / "small.pt", kind="none")
    refused(
        path, "an encoder of width 64 and 2 blocks, not of 1024 and 24: set name to that of this", sizes=None
    )
    configured = write_fairseq(tmp_path / "told.pt")
    refused(configured, "its configuration says width=64 instead of 1024, depth=2 instead of 24", sizes=None)
    large = fairseq_settings(
        encoder_layers=24, encoder_embed_dim=1024, encoder_ffn_embed_dim=4096, encoder_attention_heads=16
    ) | {"conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"}
    torch.save({"model": fairseq_tensors(), "cfg": {"model": large}}, tmp_path / "large.pt")
    refused(
        tmp_path / "large.pt",
        "set name to wav2vec2_large or xlsr_300m or mms_300m",
        name="xlsr_1b",
        sizes=None,
    )


@pytest.mark.parametrize("name", ["wavlm_large", "hubert_base", "wav2vec2_base"])
def test_another_family_is_refused(tmp_path, name):
    folder = write_huggingface(tmp_path / "encoder", name)
    refused(folder, "its configuration says ")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"activation_fn": "relu"}, "cfg.model: activation_fn=relu: only encoders with gelu are known"),
        ({"conv_pos": 64}, "cfg.model: conv_pos=64: only"),
        ({"layer_norm_first": False}, "extractor_mode=layer_norm: only encoders with default"),
    ],
)
def test_encoders_of_other_details_are_refused(tmp_path, changed, said):
    content = {"model": fairseq_tensors(), "cfg": {"model": fairseq_settings(**changed)}}
    torch.save(content, tmp_path / "other.pt")
    refused(tmp_path / "other.pt", said)


def test_a_folder_without_its_configuration_or_weights_is_refused(tmp_path):
    folder = write_huggingface(tmp_path / "encoder")
    (folder / "model.safetensors").unlink()
    refused(folder, r"holds neither model\.safetensors nor pytorch_model\.bin")
    (folder / "config.json").unlink()
    refused(folder, r"a folder without config\.json, which says how to compute")
    refused(tmp_path / "none.pt", r"weights: .*none\.pt: no such file or folder")


def test_a_pointer_instead_of_weights_is_refused(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1269737156\n"
    folder = write_huggingface(tmp_path / "encoder")
    for path in (tmp_path / "xlsr.pt", folder / "model.safetensors"):
        path.write_text(text)
        refused(path, "a pointer of git-lfs in the place of the weights: run `git lfs pull`")
    refused(folder, "a pointer of git-lfs")


class Settings:
    """Stands for objects of a configuration library."""


def test_a_file_that_needs_more_than_plain_values_is_refused(tmp_path):
    torch.save({"cfg": Settings(), "model": fairseq_tensors()}, tmp_path / "objects.pt")
    needed = rf"it needs {Settings.__module__}\.Settings: save its tensors alone"
    refused(tmp_path / "objects.pt", rf"not a checkpoint of plain tensors \(UnpicklingError, {needed}\)")
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Namespace(run=print)))
    refused(tmp_path / "code.pt", "not a checkpoint of plain tensors")


def test_other_files_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    refused(
        tmp_path / "other.pt", "no encoder of speech: neither post_extract_proj.weight nor feature_projection"
    )
    folder = write_huggingface(tmp_path / "encoder")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    refused(folder, r"config\.json: model_type=bert: not wav2vec2, wavlm or hubert")


def test_an_encoder_from_a_file_trains_as_a_new_one(tmp_path):
    """The library's own way of loading gives evaluation mode, and a new model that of training."""
    path = write_fairseq(tmp_path / "xlsr.pt")
    encoder = loaded(path, dropout=0.5)
    assert encoder.training
    assert not torch.equal(encoder(CLIPS).states, encoder(CLIPS).states)
    trainable = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert trainable == {name for name, _ in encoder.named_parameters()} - {"model.masked_spec_embed"}
    assert encoder.from_weights() == set()
    adapted = loaded(path, trainable="lora", lora=LoRA(targets=["q_proj"], rank=2))
    assert_is_small_but_for_lora(adapted)
    assert adapted.from_weights() == {name for name in adapted.state_dict() if ".lora_" not in name}


def assert_is_small_but_for_lora(encoder):
    state = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in encoder.model.state_dict().items()
        if ".lora_" not in name
    }
    expected = small().model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_sizes_may_be_those_of_the_file(tmp_path):
    path = write_fairseq(tmp_path / "small.pt")
    refused(path, "heads=4 instead of 16", sizes=Sizes(width=64, depth=2, feed_forward=128, conv_width=32))
