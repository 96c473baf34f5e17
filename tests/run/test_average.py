"""The mean of checkpoints, by value."""

import pytest
import torch
from torch import nn

from lightning_modules.run.average import average


def write(folder, number, values, **entries):
    """A checkpoint of a batch norm, whose weight has some values, and of a count."""
    norm = nn.BatchNorm1d(2)
    norm.weight.data = torch.tensor(values)
    norm.running_mean = torch.tensor([1.0, -1.0]) * number
    norm.num_batches_tracked = torch.tensor(10 * number)
    path = folder / f"best=0.{number}00000-epoch=000{number}.ckpt"
    torch.save({"state_dict": {**norm.state_dict()}, "epoch": number, **entries}, path)
    return path


def test_weights_and_statistics_are_averaged_in_float64(tmp_path):
    of_training = {"optimizer_states": [], "lr_schedulers": [], "loops": {}, "callbacks": {}}
    values = ([1e8, 0.1], [3.0, 0.2], [3.0, 0.4])
    paths = [write(tmp_path, i, given, config="a: b", **of_training) for i, given in enumerate(values, 1)]
    found = average(paths)
    expected = torch.tensor([(1e8 + 6) / 3, 0.7 / 3], dtype=torch.float64).float()
    assert torch.equal(found["state_dict"]["weight"], expected)
    in_float32 = torch.stack([torch.tensor(given) for given in values]).sum(0) / 3
    assert not torch.equal(in_float32, expected), "which single precision misses"
    assert found["state_dict"]["weight"].dtype == torch.float32
    assert torch.equal(found["state_dict"]["running_mean"], torch.tensor([2.0, -2.0]))
    assert found["state_dict"]["num_batches_tracked"] == 10, "that of the best"
    assert {key: found[key] for key in found if key != "state_dict"} == {
        "epoch": 1,
        "config": "a: b",
        "average_of": [path.name for path in paths],
    }


def test_half_precision_stays_and_is_averaged_in_float64(tmp_path):
    paths = [tmp_path / f"{number}.ckpt" for number in range(2)]
    for path, value in zip(paths, (256.0, 2.0), strict=True):
        torch.save({"state_dict": {"weight": torch.tensor(value, dtype=torch.bfloat16)}}, path)
    weight = average(paths)["state_dict"]["weight"]
    assert torch.equal(weight, torch.tensor(129.0, dtype=torch.bfloat16))
    assert weight.dtype == torch.bfloat16


def test_a_checkpoint_of_another_model_is_named(tmp_path):
    first, second = write(tmp_path, 1, [1.0, 2.0]), tmp_path / "best=0.9-epoch=0009.ckpt"
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, second)
    with pytest.raises(
        ValueError, match=r"epoch=0009\.ckpt: of another model than best=0\.100000-epoch=0001\.ckpt"
    ):
        average([first, second])
