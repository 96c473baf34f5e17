"""Converts a pretrained encoder of speech between fairseq's files and Hugging Face's folders.

Every tensor keeps its bytes and its place, those of pre-training too. A file of a fine-tuned detector gives its encoder
alone. Files are read without running anything that they hold.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from datamodules.config.arguments import CommandParser
from datamodules.files import new_folder, replacing
from lightning_modules.networks.encoders.architectures import ARCHITECTURES
from lightning_modules.networks.encoders.hugging_face import config_class
from lightning_modules.networks.encoders.speech_conversion import Converted, converted
from lightning_modules.networks.encoders.speech_files import ORDER

EXAMPLE = """examples:
  python -m lightning_modules.convert xlsr2_300m.pt xlsr_300m/ --to huggingface
  python -m lightning_modules.convert xlsr_300m/ xlsr2_300m.pt --to fairseq
  python -m lightning_modules.convert detector.pth encoder/ --to huggingface --name xlsr_300m

Exit codes: 0 converted, 1 the source is no such encoder (the message says why), 2 wrong use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        result = convert(options.source, options.target, to=options.to, name=options.name)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if result.left_out:
        print(f"left out, other parts of the detector: {', '.join(result.left_out)}")
    print(f"{options.target}: {len(result.tensors)} tensors written")
    return 0


def build_parser() -> CommandParser:
    """Options of the command."""
    parser = CommandParser("lightning_modules.convert", description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add(
        "source",
        type=Path,
        metavar="SOURCE",
        help="a file of fairseq or of a detector, or a folder of Hugging Face",
    )
    add("target", type=Path, metavar="TARGET", help="a file to write for fairseq, a folder for huggingface")
    add("--to", required=True, choices=("fairseq", "huggingface"), help="whose names")
    add("--name", choices=ARCHITECTURES, help="of the encoder, where the source does not tell")
    return parser


def convert(source: Path, target: Path, *, to: str, name: str | None = None) -> Converted:
    """Writes ``target``, whole or not at all.

    Raises:
        ValueError: It exists, or as in `converted`.
    """
    if target.exists():
        raise ValueError(f"{target}: exists: name another place, or delete it")
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder")
    result = converted(source, to="fairseq" if to == "fairseq" else "huggingface", name=name)
    if to == "fairseq":
        _write_fairseq(target, result)
    else:
        _write_huggingface(target, result)
    return result


def _write_fairseq(target: Path, result: Converted) -> None:
    settings = result.architecture.fairseq_settings()
    is_wavlm = result.architecture.family == "wavlm"  # whose own code reads them without a level
    with replacing(target) as file:
        torch.save({"cfg": settings if is_wavlm else {"model": settings}, "model": result.tensors}, file)


def _write_huggingface(target: Path, result: Converted) -> None:
    family = result.architecture.family
    kind = {"wav2vec2": "Wav2Vec2", "wavlm": "WavLM", "hubert": "Hubert"}[family]
    of_pretraining = any(name.startswith(f"{family}.") for name in result.tensors)
    settings = result.architecture.settings() | {
        "architectures": [f"{kind}{'ForPreTraining' if of_pretraining else 'Model'}"]
    }
    with new_folder(target) as folder:
        config_class(family)(**settings).save_pretrained(folder)
        save_file(
            {name: tensor.contiguous() for name, tensor in result.tensors.items()},
            folder / "model.safetensors",
            metadata={"format": "pt", ORDER: json.dumps(list(result.tensors))},
        )


if __name__ == "__main__":
    sys.exit(main())
