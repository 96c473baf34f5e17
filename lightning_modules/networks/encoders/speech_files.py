"""Files of encoders of speech: what they hold and say of themselves, read without running anything."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from torch import Tensor

from lightning_modules.networks.encoders.architectures import Architecture
from lightning_modules.networks.encoders.hugging_face import config_class
from lightning_modules.networks.encoders.speech_names import layout_of
from lightning_modules.networks.weights import named_tensors, read_file

CONFIG = "config.json"
ORDER = "order"  # in a safetensors file's own notes: names as JSON, for such files sort what they hold
_FILES = ("model.safetensors", "pytorch_model.bin")
_SUFFIXES = (".safetensors", ".bin")


class SpeechFile(NamedTuple):
    """What a source of weights holds.

    Attributes:
        tensors: By the names of the source, in its order.
        architecture: As the source says, None where it does not.
        files: That the tensors are in.
    """

    tensors: dict[str, Tensor]
    architecture: Architecture | None
    files: list[Path]


def read_speech(path: Path) -> SpeechFile:
    """Read a folder of Hugging Face, a file of it, or a file of fairseq or of a fine-tuned detector.

    Raises:
        ValueError: It is none of these, or its configuration is missing or of another kind of encoder.
        FileNotFoundError: There is no such file.
    """
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise ValueError(
                f"{path}: a folder without {CONFIG}, which says how to compute: download it as well"
            )
        files = _parts(path)
    else:
        files = [path]
    tensors, settings = {}, None
    for file in files:
        content = read_file(file)
        tensors |= named_tensors(content, file)
        settings = content
    beside = (path if path.is_dir() else path.parent) / CONFIG
    if path.is_dir() or (path.suffix in _SUFFIXES and beside.is_file()):
        return SpeechFile(_in_stored_order(tensors, files), _of_huggingface(beside), files)
    return SpeechFile(tensors, _of_fairseq(settings, tensors, path), files)


def _parts(folder: Path) -> list[Path]:
    for name in _FILES:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / part for part in dict.fromkeys(parts)]
    raise ValueError(
        f"{folder}: holds neither {' nor '.join(_FILES)}, whole or in parts with an index: download it"
    )


def _in_stored_order(tensors: dict[str, Tensor], files: list[Path]) -> dict[str, Tensor]:
    if len(files) > 1 or files[0].suffix != ".safetensors":
        return tensors
    with safe_open(files[0], "pt") as opened:
        order = json.loads((opened.metadata() or {}).get(ORDER, "[]"))
    return {name: tensors[name] for name in order if name in tensors} | tensors


def _of_huggingface(path: Path) -> Architecture:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        family = given.get("model_type")
        known = family in ("wav2vec2", "wavlm", "hubert")
        return Architecture.of_settings(config_class(family)(**given).to_dict() if known else given)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from None


def _of_fairseq(content: Any, tensors: Mapping[str, Tensor], path: Path) -> Architecture | None:
    """The architecture that stands beside the tensors, in ``cfg``, or in ``args`` of older files."""
    if not isinstance(content, dict):
        return None
    settings = content.get("cfg") or content.get("args")
    if isinstance(settings, dict):
        settings = settings.get("model", settings)
    if isinstance(settings, Namespace):
        settings = vars(settings)
    if not isinstance(settings, dict) or "encoder_layers" not in settings:
        return None
    _, prefix = layout_of(tensors, path)
    is_wavlm = f"{prefix}encoder.layers.0.self_attn.grep_a" in tensors
    is_hubert = "label_embs_concat" in tensors or "hubert" in (settings.get("_name"), settings.get("arch"))
    try:
        return Architecture.of_fairseq(
            settings, "wavlm" if is_wavlm else "hubert" if is_hubert else "wav2vec2"
        )
    except ValueError as error:
        raise ValueError(f"{path}: cfg.model: {error}") from None
