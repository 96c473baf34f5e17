"""Small encoders of speech with random weights, and the public kinds of files that hold them."""

import json
from argparse import Namespace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import save_file

from lightning_modules.networks.encoders import Sizes, SpeechEncoder
from lightning_modules.networks.encoders.architectures import ARCHITECTURES
from lightning_modules.networks.encoders.speech_names import renamed

SMALL = Sizes(width=64, depth=2, heads=4, feed_forward=128, conv_width=32)
FAMILIES = ("wav2vec2_base", "xlsr_300m", "wavlm_base", "wavlm_large", "hubert_base", "hubert_large")
PRETRAINING = {
    "quantizer.vars": (1, 640, 128),
    "quantizer.weight_proj.weight": (640, 32),
    "quantizer.weight_proj.bias": (640,),
    "project_q.weight": (256, 256),
    "project_q.bias": (256,),
    "final_proj.weight": (256, 64),
    "final_proj.bias": (256,),
}


def small(name: Any = "xlsr_300m", **settings: Any) -> SpeechEncoder:
    """The same encoder each time, its parameters far from those of a new one, so that each matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = SpeechEncoder(name, sizes=SMALL, **settings)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(std=0.1, generator=generator))
    return encoder


def fairseq_tensors(name: Any = "xlsr_300m", *, pretraining: bool = True) -> dict[str, torch.Tensor]:
    """Of `small`, by fairseq's names."""
    state = small(name).model.state_dict()
    named = {
        renamed(key, to="fairseq", layer_norm=ARCHITECTURES[name].layer_norm): tensor
        for key, tensor in state.items()
    }
    assert None not in named
    extra = {key: torch.randn(shape) for key, shape in PRETRAINING.items()} if pretraining else {}
    return {str(key): tensor for key, tensor in named.items()} | extra


def fairseq_settings(name: str = "xlsr_300m", **changed: Any) -> dict[str, Any]:
    """Some of what fairseq notes of `small`."""
    is_large = ARCHITECTURES[name].layer_norm
    return {
        "_name": "wav2vec2",
        "extractor_mode": "layer_norm" if is_large else "default",
        "encoder_layers": 2,
        "encoder_embed_dim": 64,
        "encoder_ffn_embed_dim": 128,
        "encoder_attention_heads": 4,
        "layer_norm_first": is_large,
        "conv_bias": is_large,
        "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32,2,2)] + [(32,2,2)]",
        "quantize_targets": True,
    } | changed


def write_fairseq(
    path: Path, *, kind: str = "cfg", name: str = "xlsr_300m", more: Any = MappingProxyType({})
) -> Path:
    """A file as fairseq writes it, with ``cfg`` or, as until 2020, with ``args``."""
    settings = fairseq_settings(name)
    beside = {
        "cfg": {"args": None, "cfg": {"model": settings, "task": {"_name": "audio_pretraining"}}},
        "args": {"args": Namespace(arch="wav2vec2", **settings), "cfg": None},
        "none": {},
    }[kind]
    torch.save(beside | {"model": fairseq_tensors(name) | dict(more)}, path)
    return path


def write_huggingface(folder: Path, name: str = "xlsr_300m", *, parts: int = 1, binary: bool = False) -> Path:
    """A folder as ``save_pretrained`` writes it."""
    encoder = small(name)
    folder.mkdir()
    encoder.model.config.save_pretrained(folder)
    state = {key: tensor.clone() for key, tensor in encoder.model.state_dict().items()}
    stem, suffix = ("pytorch_model", "bin") if binary else ("model", "safetensors")
    names = [f"{stem}-{part + 1:05}-of-{parts:05}.{suffix}" for part in range(parts)]
    if parts == 1:
        names = [f"{stem}.{suffix}"]
    places = {key: names[index % parts] for index, key in enumerate(state)}
    for file in names:
        held = {key: state[key] for key, place in places.items() if place == file}
        if binary:
            torch.save(held, folder / file)
        else:
            save_file(held, folder / file, metadata={"format": "pt"})
    if parts > 1:
        index = {"metadata": {}, "weight_map": places}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return folder
