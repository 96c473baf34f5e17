import json
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
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

from lightning_modules import convert
from lightning_modules.networks.encoders import SpeechEncoder

CLIP = torch.randn(1, 3000, generator=torch.Generator().manual_seed(0)) * 0.1


def run(*words):
    return convert.main([str(word) for word in words])


def read(path):
    return torch.load(path, weights_only=True)["model"]


def same_bytes(a, b):
    return list(a) == list(b) and all(
        a[name].dtype == b[name].dtype and a[name].numpy().tobytes() == b[name].numpy().tobytes()
        for name in a
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("pretraining", [True, False])
def test_fairseq_and_back_keeps_bytes_names_and_order(tmp_path, dtype, pretraining, capsys):
    state = {name: tensor.to(dtype) for name, tensor in fairseq_tensors(pretraining=pretraining).items()}
    state = dict(
        sorted(state.items(), key=lambda item: item[0][::-1])
    )  # no order that files have by themselves
    source = tmp_path / "xlsr.pt"
    torch.save({"model": state, "cfg": {"model": fairseq_settings()}}, source)
    assert run(source, tmp_path / "hf", "--to", "huggingface") == 0
    assert run(tmp_path / "hf", tmp_path / "back.pt", "--to", "fairseq") == 0
    assert same_bytes(read(tmp_path / "back.pt"), state)
    assert f"{tmp_path / 'back.pt'}: {len(state)} tensors written" in capsys.readouterr().out
    assert len(state) == len(small().model.state_dict()) + len(PRETRAINING) * pretraining


@pytest.mark.parametrize("name", FAMILIES)
def test_huggingface_and_back_keeps_bytes_and_names(tmp_path, name):
    folder = write_huggingface(tmp_path / "hf", name)
    assert run(folder, tmp_path / "fairseq.pt", "--to", "fairseq") == 0
    assert run(tmp_path / "fairseq.pt", tmp_path / "back", "--to", "huggingface") == 0
    file = "model.safetensors"
    assert same_bytes(load_file(tmp_path / "back" / file), load_file(folder / file))
    settings, back = (json.loads((each / "config.json").read_text()) for each in (folder, tmp_path / "back"))
    differing = {key for key in settings.keys() | back.keys() if settings.get(key) != back.get(key)}
    assert differing <= {"architectures", "dtype", "hidden_dropout", "attention_dropout", "activation_dropout",
                         "feat_proj_dropout"}  # fmt: skip
    loaded = SpeechEncoder(name, sizes=SMALL, weights=str(tmp_path / "fairseq.pt")).model.state_dict()
    assert same_bytes(loaded, small(name).model.state_dict())


@pytest.mark.parametrize("pretraining", [True, False])
def test_the_library_loads_what_is_converted(tmp_path, pretraining):
    torch.save(
        {"model": fairseq_tensors(pretraining=pretraining), "cfg": {"model": fairseq_settings()}},
        tmp_path / "xlsr.pt",
    )
    assert run(tmp_path / "xlsr.pt", tmp_path / "hf", "--to", "huggingface") == 0
    found: Any = transformers.Wav2Vec2Model.from_pretrained(tmp_path / "hf", output_loading_info=True)
    model, report = found
    assert not report["missing_keys"]
    unexpected = {name for name in report["unexpected_keys"] if "quantizer" in name or "project" in name}
    assert set(report["unexpected_keys"]) == unexpected
    with torch.no_grad():
        expected = model.eval()(CLIP).last_hidden_state
        states = small().eval()(CLIP).states[:, 0]
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)


def test_a_detector_gives_its_encoder_once_its_architecture_is_named(tmp_path, capsys, monkeypatch):
    state = {f"ssl_model.model.{name}": tensor for name, tensor in fairseq_tensors().items()}
    torch.save(state | {"LL.weight": torch.zeros(128, 64)}, tmp_path / "detector.pth")
    words = (tmp_path / "detector.pth", tmp_path / "hf", "--to", "huggingface")
    assert run(*words) == 1
    assert "says nothing of its architecture" in capsys.readouterr().err
    from lightning_modules.networks.encoders import speech_conversion
    from lightning_modules.networks.encoders.architectures import Architecture

    architecture = Architecture(width=64, depth=2, heads=4, feed_forward=128, conv_width=32)
    monkeypatch.setitem(speech_conversion.ARCHITECTURES, "xlsr_300m", architecture)
    assert run(*words, "--name", "xlsr_300m") == 0
    assert "left out, other parts of the detector: LL.weight\n" in capsys.readouterr().out
    encoder = SpeechEncoder("xlsr_300m", sizes=SMALL, weights=str(tmp_path / "hf"))
    assert same_bytes(encoder.model.state_dict(), small().model.state_dict())


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        ({"quantizer.more": torch.zeros(1)}, ("--to", "huggingface"), "1 unexpected (quantizer.more)"),
        ({}, ("--to", "fairseq"), "has fairseq's names already"),
        ({}, ("--to", "huggingface", "--name", "xlsr_300m"), "says width=64 instead of 1024, depth=2"),
    ],
)
def test_what_cannot_be_converted_is_refused(tmp_path, capsys, more, words, said):
    source = write_fairseq(tmp_path / "xlsr.pt", more=more)
    assert run(source, tmp_path / "target", *words) == 1
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["xlsr.pt"]


def test_nothing_is_written_over_and_wrong_use_is_told(tmp_path, capsys):
    source = write_fairseq(tmp_path / "xlsr.pt")
    assert run(source, source, "--to", "huggingface") == 1
    assert "exists: name another place" in capsys.readouterr().err
    assert run(tmp_path / "none.pt", tmp_path / "hf", "--to", "huggingface") == 1
    assert "none.pt: no such file or folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as error:
        run(source, tmp_path / "hf")
    assert error.value.code == 2
