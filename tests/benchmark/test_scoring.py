"""Whole clips: batches of one length against padded ones, of the same clips."""

from lightning_modules.benchmark.scoring import whole_clip_figures
from lightning_modules.benchmark.steps import ROUNDS
from lightning_modules.config import cli


def build(demo_corpus, tmp_path, *settings):
    quiet = ["--data.num_workers=0", "--trainer.accelerator=cpu", f"--run.root={tmp_path}"]
    config = "--config=configs/ssd_lcnn_lstm_sum.yaml"
    return cli.build("benchmark", "", [config, f"--data.root={demo_corpus}", *quiet, *settings])


def test_both_score_the_same_clips(demo_corpus, tmp_path):
    platform = build(demo_corpus, tmp_path, "--data.eval_batch_size=4")
    model, scored = platform.model, []
    model.score = lambda batch: scored.append(batch)
    figures = whole_clip_figures(model, platform.datamodule)
    assert set(figures) == {"whole_clips_per_s", "whole_clips_of_one_length_over_padded"}
    assert all(value > 0 for value in figures.values())
    num_padded = -(-len(platform.datamodule.rows["validation"]) // 4)
    num_equal = len(scored) // (ROUNDS + 1) - num_padded  # the first round goes uncounted
    equal, padded = scored[:num_equal], scored[num_equal : num_equal + num_padded]
    assert all((batch.length == batch.waveform.shape[-1]).all() for batch in equal)
    assert any((batch.length < batch.waveform.shape[-1]).any() for batch in padded)
    for batches in (equal, padded):
        keys = {key for batch in batches for key in batch.key}
        assert keys == {clip.key for clip in platform.datamodule.rows["validation"]}
    assert model.training


def test_crops_are_not_measured(demo_corpus, tmp_path):
    platform = build(demo_corpus, tmp_path, "--data.eval_crop_s=1.0")
    assert whole_clip_figures(platform.model, platform.datamodule) == {}
