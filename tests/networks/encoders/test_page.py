"""What the page of encoders says is so."""

import re
import shlex
from pathlib import Path

import torch
import yaml
from speech_sources import SMALL, write_fairseq

from lightning_modules import convert
from lightning_modules.networks import encoders
from lightning_modules.networks.encoders.architectures import ARCHITECTURES

PAGE = (Path(encoders.__file__).parent / "README.md").read_text()


def test_the_table_has_every_name_with_its_numbers():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (\d+), (\d+), (\d+) \| ([\d,]+) \|", PAGE, re.MULTILINE)
    seen = set()
    for names, *sizes, parameters in rows:
        for name in re.findall(r"\w+", names):
            each = ARCHITECTURES[name]
            assert (each.width, each.depth, each.heads) == tuple(map(int, sizes))
            with torch.device("meta"):
                encoder = encoders.SpeechEncoder(name)
            assert sum(parameter.numel() for parameter in encoder.parameters()) == int(
                parameters.replace(",", "")
            )
            seen.add(name)
    assert seen == ARCHITECTURES.keys()


def test_the_example_builds_an_encoder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_fairseq(tmp_path / "xlsr2_300m.pt")
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    part = yaml.safe_load(block)["model"]["init_args"]["network"]["init_args"]["encoder"]
    assert part["class_path"] == "lightning_modules.networks.encoders.SpeechEncoder"
    lora = encoders.LoRA(**part["init_args"].pop("lora"))
    encoder = encoders.SpeechEncoder(**part["init_args"], lora=lora, sizes=SMALL)
    assert (encoder.num_layers, encoder.dim) == (2, 64)
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == 2 * 2 * 16 * 128


def test_the_commands_convert(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_fairseq(tmp_path / "xlsr2_300m.pt")
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    there, back = (shlex.split(line)[3:] for line in block.splitlines())
    before = torch.load("xlsr2_300m.pt", weights_only=False)["model"]
    assert convert.main(there) == 0
    Path("xlsr2_300m.pt").unlink()
    assert convert.main(back) == 0
    after = torch.load("xlsr2_300m.pt", weights_only=True)["model"]
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
