"""What event data sets share: coverage, exclusions, views, balanced classes, files of scores and classes."""

import hashlib
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from datamodules.audio import AudioError
from datamodules.check import check, exclusions
from datamodules.clips import Clip, ClipDataset, collate
from datamodules.clips.coverage import read_exclusions, write_exclusions
from datamodules.event.events import EventDataModule, read_classes
from datamodules.loading.samplers import EvaluationBatchSampler, TrainBatchSampler, class_balancing_weights
from datamodules.protocol import ProtocolError

RATE = 1000


class Kitchen(EventDataModule):
    """Two heads; clips k0, k1, ... of every split, of which file i lasts i + 1 s and rises from 0 in steps."""

    heads: Mapping[str, Sequence[str]] = {"verb": ["take", "wash"], "noun": ["cup", "pan", "tap"]}  # pyright: ignore

    def split(self, name) -> list[Clip]:
        return [
            Clip(f"{name}{i}", f"{self.root}/{name}{i}.wav", (i % 2, i % 3))
            for i in range(6)
            if name != "validation"
        ]


@pytest.fixture
def data(tmp_path) -> Kitchen:
    for i in range(6):
        for name in ("train", "test"):
            ramp = np.arange((i + 1) * RATE) / 2**15
            soundfile.write(tmp_path / f"{name}{i}.wav", ramp, RATE, subtype="PCM_16")
    return _kitchen(tmp_path)


def _kitchen(root, **settings) -> Kitchen:
    defaults: dict[str, Any] = {"sample_rate": RATE, "train_crop_s": 1, "eval_crop_s": 1, "batch_size": 2}
    return Kitchen(root=str(root), num_workers=0, **(defaults | settings))


def test_heads_become_columns_of_targets(data) -> None:
    assert data.classes == ["take", "wash", "cup", "pan", "tap"]
    batch = next(iter(data.test_dataloader()))
    assert batch.target.dtype == torch.int64
    assert batch.target.tolist() == [[i % 2, i % 3] for i in range(6)]
    assert ClipDataset(data.rows["test"]).clip(5) == data.rows["test"][5]
    assert next(iter(data.train_dataloader())).target.shape == (2, 2)


def test_absent_and_excluded_clips_are_left_out_and_named(data, tmp_path) -> None:
    (tmp_path / "test3.wav").unlink()
    write_exclusions(tmp_path / "excluded.csv", {"test1": "no audio, only pictures", "train0": "cut"})
    data.setup("test")
    assert [clip.key for clip in data.rows["test"]] == ["test0", "test2", "test4", "test5"]
    coverage = data.coverage["test"]
    assert (coverage.listed, coverage.found, coverage.share) == (6, 4, 4 / 6)
    assert coverage.left_out == {"test3": "no such file", "test1": "no audio, only pictures"}
    assert coverage.digest == hashlib.sha256(b"test0\ntest2\ntest4\ntest5\n").hexdigest()[:16]
    assert str(coverage).startswith("4 of 6 listed clips (66.7%; 1 absent, 1 excluded), sha256")
    assert [batch.index.tolist() for batch in data.test_dataloader()] == [[0, 1, 2, 3]]


def test_coverage_is_told_once(data, monkeypatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("datamodules.event.events.rank_zero_info", lines.append)
    data.setup("fit")
    data.setup("fit")
    data.train_dataloader()
    assert len(lines) == 1  # the validation split is empty
    assert lines[0].startswith("Kitchen train: 6 of 6 listed clips")
    assert data.val_dataloader() == []


def test_a_split_without_any_file_is_an_error(tmp_path) -> None:
    with pytest.raises(
        AudioError, match=r"none of the 6 clips of the test split is there, e\.g\. .*test0\.wav"
    ) as error:
        _kitchen(tmp_path).setup("test")
    assert "\n" not in str(error.value)


def test_an_own_list_of_exclusions_must_exist(data, tmp_path) -> None:
    with pytest.raises(ProtocolError, match=r"mine\.csv: cannot be read"):
        _kitchen(tmp_path, excluded=str(tmp_path / "mine.csv")).setup("test")
    (tmp_path / "mine.csv").write_text("test1,cut\n")
    with pytest.raises(ProtocolError, match=r"mine\.csv:1: begins with .* key,reason was expected"):
        _kitchen(tmp_path, excluded=str(tmp_path / "mine.csv")).setup("test")


def test_the_check_names_faulty_clips_and_they_stay_named(data, tmp_path) -> None:
    (tmp_path / "test3.wav").unlink()
    (tmp_path / "test2.wav").write_bytes(b"")
    (tmp_path / "train4.wav").write_bytes(b"RIFF")
    report = check(data)
    assert not report["ok"]
    assert list(report["splits"]["test"]["faulty"]) == ["test2"]
    assert report["splits"]["test"]["left_out"] == {"test3": "no such file"}
    assert report["splits"]["train"]["classes"] == {
        "noun cup": 2,
        "noun pan": 2,
        "noun tap": 2,
        "verb take": 3,
        "verb wash": 3,
    }
    found = exclusions(report)
    assert list(found) == ["train4", "test2"]
    write_exclusions(tmp_path / "excluded.csv", found)
    again = check(data)
    assert [split["problems"] for split in again["splits"].values()] == [[], [], []]
    assert exclusions(again) == found == read_exclusions(tmp_path / "excluded.csv")


def test_views_lie_evenly_from_the_first_crop_to_the_last(data, tmp_path) -> None:
    data = _kitchen(tmp_path, num_views=3, eval_batch_size=7)
    batches = list(data.test_dataloader())
    assert [batch.index.tolist() for batch in batches] == [
        [0, 0, 0, 1, 1, 1],
        [2, 2, 2, 3, 3, 3],
        [4, 4, 4, 5, 5, 5],
    ]
    starts = torch.cat([batch.waveform[:, 0, 0] * 2**15 for batch in batches]).round().long()
    expected = [view * i * RATE // 2 for i in range(6) for view in range(3)]
    assert (starts - torch.tensor(expected)).abs().max() <= 1
    assert starts[2::3].tolist() == expected[2::3]  # the last crop ends with the clip


@pytest.mark.parametrize("num_views", [1, 2, 10])
def test_views_of_a_clip_are_on_one_rank(num_views) -> None:
    settings = {"batch_size": 8, "num_views": num_views}
    alone = [tuple(batch) for batch in EvaluationBatchSampler(11, **settings)]
    dealt = [
        tuple(batch)
        for rank in range(3)
        for batch in EvaluationBatchSampler(11, rank=rank, world_size=3, **settings)
    ]
    assert set(dealt) == set(alone)
    for batch in alone:
        assert len(batch) <= max(8, num_views)
        rows = [row for row, _ in batch]
        assert rows == sorted(rows)
        assert all(rows.count(row) == num_views for row in rows)
    draws = [draw for _, draw in alone[0][:num_views]]
    assert draws == (
        [0] if num_views == 1 else [round(i * (2**64 - 1) // (num_views - 1)) for i in range(num_views)]
    )


def test_validation_and_training_take_one_view(data, tmp_path) -> None:
    data = _kitchen(tmp_path, num_views=3)
    data.split = lambda name: Kitchen.split(data, "test")  # pyright: ignore[reportAttributeAccessIssue]
    (batch,) = data.val_dataloader()
    assert batch.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert sum(len(batch.key) for batch in data.train_dataloader()) == 6


@pytest.mark.parametrize("settings", [{"num_views": 0}, {"num_views": 2, "eval_crop_s": None}])
def test_views_need_a_crop(settings, tmp_path) -> None:
    with pytest.raises(ValueError, match=f"num_views is {settings['num_views']}"):
        _kitchen(tmp_path, **settings)


def test_balancing_weights_are_those_of_ast() -> None:
    targets = [0, 0, 0, 2]
    expected = [1000 / 3.01] * 3 + [1000 / 1.01]
    np.testing.assert_allclose(class_balancing_weights(targets), expected, rtol=1e-15)
    two_heads = class_balancing_weights([(0, 5), (0, 4), (0, 5), (2, 4)])
    np.testing.assert_allclose(two_heads, np.array(expected) + 1000 / 2.01, rtol=1e-15)


def _balanced(targets, batch_size, world_size, epoch=0, position=0) -> list:
    ranks = []
    for rank in range(world_size):
        sampler = TrainBatchSampler(
            len(targets),
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            weights=class_balancing_weights(targets),
        )
        sampler.seek(epoch, position)
        ranks.append(list(sampler))
        assert len(ranks[-1]) == len(sampler) - position
    return [[request for part in step for request in part] for step in zip(*ranks, strict=True)]


def test_balanced_classes_come_alike_whatever_the_ranks() -> None:
    targets = np.repeat([0, 1, 2], [3000, 300, 30])
    one = _balanced(targets, 8, 1)
    assert one == _balanced(targets, 4, 2) == _balanced(targets, 2, 4)
    assert one[7:] == _balanced(targets, 4, 2, position=7)
    assert one != _balanced(targets, 8, 1, epoch=1)
    rows = [row for batch in one for row, _ in batch]
    drawn = np.bincount(targets[rows]) / len(rows)
    np.testing.assert_allclose(drawn, 1 / 3, atol=4 * np.sqrt(2 / 9 / len(rows)))
    assert len({draw for batch in one for _, draw in batch}) == len(rows)  # a clip's repetitions differ


def test_balanced_training_resumes(data, tmp_path) -> None:
    whole = [batch.key for batch in _kitchen(tmp_path, balanced=True).train_dataloader()]
    data = _kitchen(tmp_path, balanced=True)
    batches = iter(data.train_dataloader())
    begun = [next(batches).key]
    state = data.state_dict()
    data = _kitchen(tmp_path, balanced=True)
    data.load_state_dict(state)
    assert begun + [batch.key for batch in data.train_dataloader()] == whole


def test_ranks_of_balanced_training_share_a_global_batch(data, tmp_path) -> None:
    def keys(rank: int, world_size: int) -> list[list[str]]:
        data = _kitchen(tmp_path, balanced=True, batch_size=4 // world_size)
        data.trainer = SimpleNamespace(  # pyright: ignore[reportAttributeAccessIssue]
            global_rank=rank,
            world_size=world_size,
            num_devices=1,
            overfit_batches=0,
            current_epoch=0,
            limit_train_batches=1.0,
        )
        return [batch.key for batch in data.train_dataloader()]

    assert [a + b for a, b in zip(keys(0, 2), keys(1, 2), strict=True)] == keys(0, 1)


def test_scores_are_read_back_without_pickle(data, tmp_path) -> None:
    scores = torch.rand(2, 5)
    path = data.write_scores(tmp_path / "scores" / "test.txt", ["-a,b", "é"], scores)
    assert path == tmp_path / "scores" / "test.npz"
    with np.load(path, allow_pickle=False) as file:
        assert file["key"].tolist() == ["-a,b", "é"]
        assert file["head"].tolist() == ["verb"] * 2 + ["noun"] * 3
        assert file["classes"].tolist() == data.classes
        assert file["probability"].dtype == np.float32
        np.testing.assert_array_equal(file["probability"], scores)
    assert [path.name for path in (tmp_path / "scores").iterdir()] == ["test.npz"]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros((2, 4)), r"scores of shape \(2, 4\) where 2 clips x 5 classes were expected"),
        (np.zeros(3), r"scores of shape \(3,\)"),
        (np.array([[0.0] * 5, [np.nan] * 5]), "a score of b is not finite"),
    ],
)
def test_wrong_scores_are_not_written(scores, message, data, tmp_path) -> None:
    with pytest.raises(ValueError, match=message):
        data.write_scores(tmp_path / "test.npz", ["a", "b"], scores)
    assert not (tmp_path / "test.npz").exists()


def test_classes_are_read(tmp_path) -> None:
    rows = ["head,index,name", "verb,0,take", 'verb,1,"put-down, slowly"', 'noun,0,"5"" pan"']
    (tmp_path / "classes.csv").write_text("\n".join(rows) + "\n")
    assert read_classes(tmp_path / "classes.csv") == {
        "verb": ["take", "put-down, slowly"],
        "noun": ['5" pan'],
    }


@pytest.mark.parametrize("row", ["event,2,rain", "event,1,dog", "event,x,rain"])
def test_classes_out_of_order_are_refused(row, tmp_path) -> None:
    (tmp_path / "classes.csv").write_text(f"head,index,name\nevent,0,dog\n{row}\n")
    with pytest.raises(ProtocolError, match=r"classes\.csv:3: class .* where 1 and a new name were expected"):
        read_classes(tmp_path / "classes.csv")


def test_one_head_keeps_a_column_of_targets(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    dataset = ClipDataset([Clip("a", str(tmp_path / "a.wav"), 1)], sample_rate=RATE)
    assert dataset.clip(0).target == 1
    assert collate([dataset[0, 0]]).target.tolist() == [1]
