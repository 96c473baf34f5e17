"""A data module works with and without a Trainer, and every clip is scored once whatever the ranks."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import pytest
import soundfile
import torch
from lightning.pytorch import LightningModule, Trainer

from datamodules.asd.dcase import DCASE
from datamodules.base import ClipDataModule
from datamodules.clips import Batch, ClipDataset
from datamodules.production.pairs.noisy_pairs import NoisyPairs
from datamodules.ssd.asvspoof import ASVspoof


def _data(root, **settings) -> ASVspoof:
    settings = {"train_crop_s": 0.5, "eval_crop_s": 0.5, "batch_size": 8, "num_workers": 0, **settings}
    return ASVspoof(root=str(root), **settings)


def test_all_loaders_work_without_a_trainer(demo_corpus) -> None:
    flac = demo_corpus / "ASVspoof2019_LA_eval" / "flac"
    data = _data(demo_corpus, predict=[str(flac)])
    for loader, clips in (
        (data.train_dataloader(), 56),
        (data.val_dataloader(), 40),
        (data.test_dataloader(), 80),
        (data.predict_dataloader(), 80),
    ):
        batches = list(loader)
        assert isinstance(batches[0], Batch)
        assert batches[0].waveform.shape[1:] == (1, 8000)
        assert sum(len(batch.key) for batch in batches) == clips
        assert len(loader) == len(batches)


def test_test_batches_keep_rows_and_attributes(demo_corpus) -> None:
    data = _data(demo_corpus, eval_batch_size=7)
    for batch in data.test_dataloader():
        for i, index in enumerate(batch.index.tolist()):
            clip = data.rows["test"][index]
            assert (batch.key[i], batch.target[i].item()) == (clip.key, clip.target)
            assert batch.attributes["attack"][i] == clip.attributes["attack"]


def test_batches_larger_than_the_demo_corpus_are_cut_to_it(demo_corpus, monkeypatch, caplog) -> None:
    with caplog.at_level("INFO"):
        data = _data(demo_corpus, batch_size=64)
        with pytest.raises(ValueError, match=r"set data\.batch_size to at most 60"):
            data.train_dataloader()
        monkeypatch.setattr(ASVspoof, "demo_root", demo_corpus)
        assert [len(batch.key) for batch in data.train_dataloader()] == [60]
    assert "batches of 60 clips, not 64: the demo corpus has 60" in caplog.text


def test_targets_follow_the_order_of_a_method_before_and_after_they_are_read(demo_corpus) -> None:
    data = _data(demo_corpus)
    data.setup("fit")
    spoofs = int((data.rows["train"].targets == 0).sum())
    data.count_classes_as({"label": ["bonafide", "spoof"]}, method="Method", complete=True)
    data.count_classes_as({"label": ["bonafide", "spoof"]}, method="Method", complete=False)
    data.setup("test")
    assert (spoofs, int((data.rows["train"].targets == 1).sum())) == (32, 32)
    for clips in (data.rows["train"], data.rows["test"]):
        assert all((clip.attributes["attack"] == "-") == (clip.target == 0) for clip in clips)
    batch = next(iter(data.test_dataloader()))
    assert batch.target.tolist() == [int(attack != "-") for attack in batch.attributes["attack"]]
    with pytest.raises(
        ValueError, match="ASVspoof has classes spoof, bonafide where fake, real were expected"
    ):
        data.count_classes_as({"class": ["fake", "real"]}, method="Method", complete=False)


def test_a_dry_run_reads_few_clips_of_each_class(demo_corpus, demo_machines) -> None:
    data = _data(demo_corpus)
    data.keep_few()
    data.setup("fit")
    data.setup("test")
    assert [len(data.rows[name]) for name in ("train", "validation", "test")] == [24, 4, 4]
    assert sorted(data.rows["test"].targets.tolist()) == [0, 0, 1, 1]
    machines = DCASE(root=str(demo_machines), train_crop_s=1, eval_crop_s=1)
    machines.keep_few()
    machines.setup("fit")
    assert {clip.attributes["instance"] for clip in machines.rows["train"]} == set(machines.instances)


def test_whole_clips_are_sorted_by_length(demo_corpus) -> None:
    batches = list(_data(demo_corpus, eval_crop_s=None, padding="zero").test_dataloader())
    lengths = torch.cat([batch.length for batch in batches])
    assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
    assert len(lengths.unique()) > 20
    for batch in batches:
        assert batch.waveform.shape[-1] == batch.length.max()
        for waveform, length in zip(batch.waveform, batch.length.tolist(), strict=True):
            assert waveform[:, length:].abs().sum() == 0


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_score_every_clip_and_see_the_same_batches(world_size, demo_corpus) -> None:
    test, train = {}, []
    for rank in range(world_size):
        data = _data(demo_corpus, batch_size=12 // world_size, eval_batch_size=9)
        data.trainer = SimpleNamespace(  # pyright: ignore[reportAttributeAccessIssue]
            global_rank=rank,
            world_size=world_size,
            num_devices=world_size,
            limit_train_batches=1.0,
            overfit_batches=0.0,
            current_epoch=0,
        )
        test |= {tuple(batch.index.tolist()): batch.waveform for batch in data.test_dataloader()}
        train.append(next(iter(data.train_dataloader())))
    alone = _data(demo_corpus, batch_size=12, eval_batch_size=9)
    expected = {tuple(batch.index.tolist()): batch.waveform for batch in alone.test_dataloader()}
    assert test.keys() == expected.keys()
    assert all(torch.equal(test[rows], expected[rows]) for rows in test)
    batch = next(iter(alone.train_dataloader()))
    assert torch.equal(torch.cat([part.waveform for part in train]), batch.waveform)


def test_reference_batches_are_the_training_clips_in_order_on_every_rank(demo_corpus) -> None:
    data = _data(demo_corpus)
    data.trainer = SimpleNamespace(global_rank=1, world_size=2, num_devices=2)  # pyright: ignore[reportAttributeAccessIssue]
    batches = list(data.reference_dataloader())
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(len(data.rows["train"])))
    item = ClipDataset(data.rows["train"], crop_s=0.5)[3, 0]
    assert torch.equal(batches[0].waveform[3], item.waveform)


def test_what_most_data_sets_lack_has_a_default(demo_corpus, tmp_path) -> None:
    data = ASVspoof(root=str(demo_corpus))
    data.setup()
    assert list(data.rows) == ["train", "validation", "test", "predict"]
    assert (data.coverage, data.reference(0), data.heads) == ({}, None, {"class": ("spoof", "bonafide")})
    assert ClipDataModule.asv_scores(data, "test") is None
    with pytest.raises(ValueError, match="NoisyPairs has no demo corpus: set root"):
        NoisyPairs(root="-").make_demo(tmp_path)


def test_data_do_not_depend_on_workers(demo_corpus) -> None:
    plain = list(_data(demo_corpus, num_workers=0).train_dataloader())
    for batch, twin in zip(_data(demo_corpus, num_workers=2).train_dataloader(), plain, strict=True):
        assert batch.key == twin.key
        assert torch.equal(batch.waveform, twin.waveform)


class _Scorer(LightningModule):
    def predict_step(self, batch: Batch, batch_idx: int) -> list[tuple[str, int]]:
        return list(zip(batch.key, batch.target.tolist(), strict=True))


@pytest.mark.filterwarnings("ignore:You are using a custom batch sampler")
def test_trainer_predicts_on_files_folders_and_lists(tmp_path) -> None:
    for name in ("a/one.wav", "a/deep/two.flac", "b/one.wav", "three.ogg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, torch.randn(2000).clamp(-1, 1).numpy(), 16000)
    (tmp_path / "list.txt").write_text("b/one.wav\nthree.ogg\n")
    sources = [str(tmp_path / "a"), str(tmp_path / "list.txt"), str(tmp_path / "three.ogg")]
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    batches = trainer.predict(_Scorer(), _data("nowhere", predict=sources, eval_batch_size=3))
    assert batches is not None
    keys = dict(itertools.chain.from_iterable(batches))
    assert keys == {"one": -1, "deep/two": -1, "b/one": -1, "three": -1}


@pytest.mark.parametrize(("source", "message"), [("", "nothing to score"), ("nope", "nope does not exist")])
def test_nothing_to_predict_on_is_said(source, message, tmp_path) -> None:
    with pytest.raises(ValueError, match=message):
        _data("nowhere", predict=[source] if source else []).predict_dataloader()


def test_folder_without_audio_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match=f"no audio file in folder {tmp_path}"):
        _data("nowhere", predict=[str(tmp_path)]).predict_dataloader()


def test_batches_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, found 0"):
        ASVspoof(batch_size=0)
    with pytest.raises(ValueError, match=r"^eval_batch_size must be at least 1, found -1"):
        ASVspoof(eval_batch_size=-1)


def test_demo_command_refuses_to_overwrite(demo_corpus) -> None:
    command = [sys.executable, "-m", "datamodules.demo", "asvspoof", str(demo_corpus)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "exists: name a new folder" in done.stderr
