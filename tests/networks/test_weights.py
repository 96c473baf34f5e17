"""Weights from any source: published files, checkpoints, packages, safetensors."""

import hashlib
import json
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightning_modules import load_model
from lightning_modules.networks import AASIST, AST, DATAR, LCNN, InputAdaptor
from lightning_modules.networks.weights import fingerprint, load_network, read_weights
from lightning_modules.run.pretrained import read_pretrained

TINY: Any = {"channels": (8, 8, 8, 8, 8, 8)}
DATAR_SETTINGS: Any = {"dim": 32, "group_dim": 32, "depths": (1, 1, 2, 2), "input_size": (64, 64)}


def beside(network: nn.Module) -> dict:
    """The state of a method with this network, and with parts beside it."""
    return contiguous(nn.ModuleDict({"network": network, "frontend": nn.Linear(2, 2)}))


def contiguous(module: nn.Module) -> dict:
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def as_checkpoint(network, folder):
    torch.save({"state_dict": beside(network), "config": "model: {}"}, folder / "last.ckpt")
    return folder / "last.ckpt"


def as_package(network, folder):
    save_file(beside(network), folder / "model.safetensors")
    (folder / "package.json").write_text(json.dumps({}))
    return folder


def as_safetensors(network, folder):
    save_file(contiguous(network), folder / "network.safetensors")
    return folder / "network.safetensors"


def as_state_dict(network, folder):
    torch.save(network.state_dict(), folder / "network.pt")
    return folder / "network.pt"


SOURCES = [as_checkpoint, as_package, as_safetensors, as_state_dict]


@pytest.mark.parametrize("write", SOURCES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: AASIST(**TINY),
        lambda: LCNN.lstm_sum(20),
        lambda: AST(3, embed_dim=24, num_heads=2, depth=1, input_size=(128, 300)),
        lambda: DATAR(3, adaptor=InputAdaptor(), **DATAR_SETTINGS),
        lambda: nn.Linear(3, 2),  # publishes nothing
    ],
    ids=["AASIST", "LCNN", "AST", "DATAR", "own"],
)
def test_what_this_project_wrote_loads_to_the_last_tensor(write, make, tmp_path):
    trained, network = make(), make()
    load_network(network, write(trained, tmp_path))
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in trained.state_dict().items())


@pytest.mark.parametrize("write", SOURCES)
def test_another_network_is_refused_in_one_line(write, tmp_path):
    path = write(AASIST(**TINY), tmp_path)
    for network in (AASIST.light(), nn.Linear(3, 2)):
        with pytest.raises(
            ValueError, match=f"{path}: weights of another model than this {type(network).__name__}: "
        ) as error:
            load_network(network, path)
        assert "\n" not in str(error.value)


def test_damaged_and_missing_files_are_named(tmp_path):
    path = as_safetensors(nn.Linear(3, 2), tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"network\.safetensors: not a checkpoint of plain tensors"):
        read_weights(path)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        read_weights(tmp_path)


def test_fingerprint_is_of_the_bytes_of_all_files(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    expected = hashlib.sha256(b"onetwo").hexdigest()
    assert fingerprint(tmp_path / "a", tmp_path / "b") == expected


@pytest.mark.parametrize("name", ["model.safetensors", "network.pth"])
@pytest.mark.parametrize("load", [read_weights, read_pretrained, load_model])
def test_a_pointer_of_git_lfs_is_told_from_weights(name, load, tmp_path):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 346404948\n"
    (tmp_path / name).write_text(pointer)
    with pytest.raises(ValueError, match=rf"{name}: a pointer of git-lfs .* run `git lfs pull`") as error:
        load(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_safetensors_are_known_by_their_bytes(tmp_path):
    save_file(contiguous(nn.Linear(3, 2)), tmp_path / "blob")
    assert read_weights(tmp_path / "blob").keys() == {"weight", "bias"}
