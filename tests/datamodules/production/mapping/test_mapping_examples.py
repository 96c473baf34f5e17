"""Tables of examples: columns, classes, audio, and messages that name the line."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from datamodules import MappingExamples
from datamodules.demo.mapping import write_mapping


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)


def test_columns_are_named_and_the_rest_are_inputs(tmp_path):
    write(
        tmp_path,
        train="key,x,mode,y,gain\na,1,solo,2,0.5\nb,3,duo,4,0.25\n",
        test="x,mode,y,gain\n5,solo,6,1\n",
    )
    data = MappingExamples(root=str(tmp_path), outputs=["gain"], class_outputs=["mode"])
    data.setup()
    (batch,) = data.train_dataloader()
    assert batch.inputs.tolist() == [[1, 2], [3, 4]]
    assert batch.outputs.tolist() == [[0.5, 1], [0.25, 0]]
    assert batch.index.tolist() == [0, 1]
    assert data.outputs == {"gain": [], "mode": ["duo", "solo"]}
    assert data.input_names == ["x", "y"]
    assert [row.key for row in data.rows["train"]] == ["a", "b"]
    assert [row.key for row in data.rows["test"]] == ["1"]
    assert data.unseen("test")
    assert data.val_dataloader() == []

    assert data.write_scores(tmp_path / "test.txt", ["1"], [[0.1, 0.0]]) == tmp_path / "test.csv"
    assert (tmp_path / "test.csv").read_text() == "key,gain,mode\n1,0.1,duo\n"
    data.write_examples(tmp_path / "new/train.csv", ["x", "y"], batch.inputs, batch.outputs)
    again = MappingExamples(root=str(tmp_path / "new"), outputs=["gain"], class_outputs=["mode"])
    (same,) = again.train_dataloader()
    assert torch.equal(same.inputs, batch.inputs)
    assert torch.equal(same.outputs, batch.outputs)
    assert len(list(again.test_dataloader())) == 1  # the training examples, for there are no others
    assert not again.unseen("test")
    assert again.rows["test"] == again.rows["train"]


def test_batches_of_the_test_are_in_order_and_dealt_to_the_ranks_those_of_training_are_not(tmp_path):
    write(tmp_path, train="x,gain\n1,2\n3,4\n5,6\n")
    inputs = {}
    for rank in range(2):
        data = MappingExamples(root=str(tmp_path), outputs=["gain"], eval_batch_size=2)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2, num_devices=2)  # pyright: ignore[reportAttributeAccessIssue]
        (batch,) = data.train_dataloader()
        assert batch.outputs.tolist() == [[2], [4], [6]]
        inputs[rank] = [batch.inputs.tolist() for batch in data.test_dataloader()]
    assert inputs == {0: [[[1], [3]]], 1: [[[5]]]}


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("x,gain\n1,a\n", None, r"train.csv:2: gain is 'a' where a number"),
        ("x,gain\n1,nan\n", None, r"train.csv:2: gain is 'nan'"),
        ("x,level\n1,2\n", None, r"train.csv:1: no column 'gain'"),
        ("gain\n1\n", None, "must hold inputs"),
        ("x,gain\n", None, "no example below the header"),
        ("x,gain\n1\n", None, "train.csv:2"),
        ("x,y,gain\n1,1,1\n", "y,x,gain\n1,1,1\n", r"test.csv: inputs \['y', 'x'\]"),
    ],
)
def test_wrong_files_are_named_with_the_line(train, test, message, tmp_path):
    write(tmp_path, train=train, **({"test": test} if test else {}))
    with pytest.raises(ValueError, match=message):
        MappingExamples(root=str(tmp_path), outputs=["gain"]).setup()


def test_classes_are_those_of_training(tmp_path):
    write(tmp_path, train="x,mode\n1,a\n2,b\n", test="x,mode\n1,c\n")
    with pytest.raises(ValueError, match=r"test.csv:2: mode is 'c', and train.csv knows \['a', 'b'\]"):
        MappingExamples(root=str(tmp_path), outputs=[], class_outputs=["mode"]).setup()
    with pytest.raises(ValueError, match="at least one output"):
        MappingExamples(root=str(tmp_path), outputs=[])


def test_audio_files_become_clips_of_one_length(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.full((4000, 2), [0.5, 0.25]), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", np.full(800, 0.5), 8000, subtype="FLOAT")
    write(tmp_path, train="path,gain\nlong.wav,1\nshort.wav,2\n")
    data = MappingExamples(root=str(tmp_path), outputs=["gain"], clip_s=0.2)
    (batch,) = data.train_dataloader()
    assert batch.inputs.shape == (2, 3200)
    assert torch.allclose(batch.inputs[0], torch.tensor(0.375))
    assert not batch.inputs[1, 1600:].any()
    assert [row.key for row in data.rows["train"]] == ["long.wav", "short.wav"]
    assert data.input_names == []

    windows = list(data.windows(str(tmp_path / "long.wav"), 0.1))
    assert len(windows) == 2  # 4000 samples hold two whole hops
    assert not windows[0][:1600].any()
    assert torch.allclose(windows[1], torch.tensor(0.375))
    with pytest.raises(ValueError, match=r"hop of 0\.3 s"):
        list(data.windows(str(tmp_path / "long.wav"), 0.3))


def test_the_demo_is_a_grid_and_other_points(tmp_path):
    write_mapping(tmp_path / "demo", per_side=2, num_test=7)
    data = MappingExamples(root=str(tmp_path / "demo"), class_outputs=["scene"])
    data.setup()
    assert [row.inputs.tolist() for row in data.rows["train"]] == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert [row.outputs.shape for row in data.rows["test"]] == [(4,)] * 7
