"""Norms, speeds and alerts against values known beforehand, without a data set."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from datamodules.clips import Clip
from datamodules.loading.resumable import ResumableDataModule
from datamodules.production.pairs.pairs import PairBatch
from lightning_modules.callbacks.alerts import Alerts
from lightning_modules.callbacks.embedding_map import MAX_CLIPS, EmbeddingMap, label_of
from lightning_modules.callbacks.finite_loss import NonFiniteLossError
from lightning_modules.callbacks.optimizer_monitor import OptimizerMonitor
from lightning_modules.callbacks.preemption import Preempted
from lightning_modules.callbacks.throughput import Throughput, gpu_figures
from lightning_modules.figures.embeddings import embedding_figure
from lightning_modules.figures.history import history_figure
from lightning_modules.figures.spectrograms import color_image, contact_sheet, spectrogram
from lightning_modules.run.folder import Run
from lightning_modules.run.tracking import MetricsCSV, PatientWandbLogger

# names of a run's own evaluations
PLAIN: Any = SimpleNamespace(of=lambda split, rows: SimpleNamespace(name=split))


class Data(LightningDataModule):
    sample_rate = 100
    seconds_of = ResumableDataModule.seconds_of

    def train_dataloader(self):
        batch = PairBatch(
            torch.zeros(2, 1, 50), torch.zeros(2, 1, 50), torch.zeros(2, 0), torch.arange(2), [], {}
        )
        return DataLoader([batch] * 6, batch_size=None)  # pyright: ignore[reportArgumentType]


class Toy(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))

    def training_step(self, batch, batch_idx):
        return (self.weight * torch.tensor([3.0, 4.0])).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, **settings):
    trainer = Trainer(
        accelerator="cpu",
        log_every_n_steps=3,
        logger=MetricsCSV(folder),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(Toy(), datamodule=Data())


def test_norm_rate_and_speed_are_logged_at_logging_steps_alone(tmp_path):
    fit(tmp_path, max_epochs=1, gradient_clip_val=0.5, callbacks=[OptimizerMonitor(), Throughput()])
    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(header.split(","), map(float, row.split(",")), strict=True)) for row in rows if row]
    assert [row["step"] for row in rows] == [2, 5]
    for row in rows:
        assert row["train/gradient_norm"] == pytest.approx(5), "before clipping"
        assert row["train/lr"] == pytest.approx(0.1)
        assert 0 < row["throughput/data_wait"] < 1
        # half a second a clip, over 3600 seconds an hour on both sides
        ratio = row["throughput/audio_hours_per_hour"] / row["throughput/clips_per_s"]
        assert ratio == pytest.approx(0.5, rel=1e-4)


def test_rows_count_all_batches_of_accumulated_steps(tmp_path, monkeypatch):
    counted = []
    figures = Throughput._figures
    monkeypatch.setattr(
        Throughput, "_figures", lambda self, ranks: counted.append(self._clips) or figures(self, ranks)
    )
    fit(tmp_path, max_epochs=2, accumulate_grad_batches=2, callbacks=[Throughput()])
    assert counted == [12, 12]  # three steps of two batches of two clips


def test_share_of_the_peak_is_of_all_steps_since_the_last_row():
    monitor = Throughput()
    monitor._peak_flops, monitor._steps, monitor._busy_s = 1000, 4, 2.0
    monitor._counter = SimpleNamespace(get_total_flops=lambda: 50)  # pyright: ignore[reportAttributeAccessIssue]
    assert monitor._figures(world_size=1)["throughput/mfu"] == pytest.approx(0.1)


def test_gpu_tells_memory_and_where_it_can_utilization(monkeypatch):
    import pynvml

    def refuse(device):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 42)
    found = gpu_figures(torch.device("cuda"))
    assert found == {"system/gpu_memory_gib": 3, "system/gpu_utilization": 0.42}
    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    assert gpu_figures(torch.device("cuda")) == {"system/gpu_memory_gib": 3}
    assert gpu_figures(torch.device("cpu")) == {}


@pytest.mark.parametrize(
    ("exception", "title"),
    [
        (NonFiniteLossError("NaN"), "loss is not finite"),
        (Preempted(), "preempted"),
        (RuntimeError("out of memory"), "training failed"),
        (KeyboardInterrupt(), None),
    ],
)
def test_alert_names_what_ended_the_run(exception, title):
    sent = []
    logger = object.__new__(PatientWandbLogger)
    logger.is_lost = False
    logger._experiment = SimpleNamespace(alert=lambda **alert: sent.append(alert))  # pyright: ignore[reportAttributeAccessIssue]
    trainer = SimpleNamespace(is_global_zero=True, loggers=[logger], global_step=7)
    Alerts().on_exception(trainer, None, exception)  # pyright: ignore[reportArgumentType]
    assert [alert["title"] for alert in sent] == ([title] if title else [])
    assert all(alert["text"].startswith("step 7: ") for alert in sent)


def test_a_tone_is_a_line_in_its_spectrogram(tmp_path):
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 8000)[None]
    image = spectrogram(tone, sample_rate=8000)
    assert image.argmax(0).unique().tolist() == [25]  # bins of 40 Hz
    assert image.max() == 0
    assert image.min() >= -80
    assert color_image(tone, sample_rate=8000).shape == (101, image.shape[1], 3)
    assert spectrogram(torch.zeros(1, 10), sample_rate=8000).shape == (101, 1), "shorter than a window"
    contact_sheet([tone] * 5, ["a"] * 5, sample_rate=8000).savefig(tmp_path / "sheet.png")


def test_history_has_a_panel_a_value(tmp_path):
    path = tmp_path / "metrics.csv"
    assert history_figure(path) is None
    path.write_text("step,train/loss,throughput/clips_per_s,val/eer\n0,1,5,\n10,0.5,5,\n19,,,0.25\n")
    figure = history_figure(path)
    assert figure is not None
    panels = {axes.get_title(): axes.lines[0].get_xydata().tolist() for axes in figure.axes}  # pyright: ignore
    assert panels == {"train/loss": [[0, 1], [10, 0.5]], "val/eer": [[19, 0.25]]}


def test_map_keeps_clusters_apart():
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(3).repeat_interleave(40, 0) * 50
    figure = embedding_figure(
        centres + torch.randn(120, 3, generator=generator),
        ["A07"] * 40 + ["A08"] * 40 + ["bonafide"] * 40,
        split="test",
    )
    points = [
        torch.as_tensor(each.get_offsets())
        for each in figure.axes[0].collections
        if each.get_label()[0] != "_"  # pyright: ignore[reportIndexIssue]
    ]
    points = [each for each in points if len(each)]
    assert len(points) == 3
    for cloud in points:
        others = torch.cat([each for each in points if each is not cloud])
        assert torch.cdist(cloud, cloud).max() < torch.cdist(cloud, others).min() * 3
        assert (torch.cdist(cloud, cloud.mean(0, keepdim=True)).mean()) < torch.cdist(
            others, cloud.mean(0, keepdim=True)
        ).min()


@pytest.mark.parametrize(
    ("embeddings", "mapped"),
    [
        (torch.randn(24, 3), True),
        (torch.randn(24, 3) * 1e-30, True),
        (torch.randn(24, 3) * 1e30, True),
        (torch.ones(24, 3), False),
        (torch.full((24, 3), torch.nan), False),
        (torch.randn(24, 1), False),
    ],
    ids=["usual", "tiny", "huge", "collapsed", "nan", "one dimension"],
)
def test_what_has_no_map_ends_no_run(embeddings, mapped, tmp_path, monkeypatch):
    callback = EmbeddingMap(Run(id="x", root=str(tmp_path)), PLAIN)
    rows = {"test": [Clip(key="a", path="", target=0)] * 24}
    data = SimpleNamespace(rows=rows, target_names={"class": ("a",)}, corpus="C")
    trainer: Any = SimpleNamespace(is_global_zero=True, num_test_batches=[1], datamodule=data, loggers=[])
    callback._run.folder.mkdir(parents=True)
    callback._heard = list(embeddings.split(10))
    callback.on_test_batch_end(trainer, Toy(), None, SimpleNamespace(index=torch.arange(24)), 0)
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: (drawn.append(figure), path.touch()))
    callback.on_test_end(trainer, Toy())
    assert [figure.get_suptitle() for figure in drawn] == ["experiment/x: C, test"] * mapped
    assert (callback._run.folder / "figures/test_embeddings.png").is_file() == mapped


@pytest.mark.parametrize("sizes", [[24] * 200, [1, 2, 3] * 800, [1] * 30])
def test_map_takes_clips_at_equal_distances_whatever_the_batches(sizes, tmp_path):
    callback = EmbeddingMap(Run(id="x", root=str(tmp_path)), PLAIN)
    trainer: Any = SimpleNamespace(is_global_zero=True)
    index = torch.arange(sum(sizes))
    for rows in index.split(sizes):
        callback._heard = [rows[:, None].double()]
        callback.on_test_batch_end(trainer, Toy(), None, SimpleNamespace(index=rows), 0)
    kept = torch.cat(callback._rows)
    stride = -(-len(index) // MAX_CLIPS)
    assert torch.equal(torch.cat(callback._embeddings)[:, 0].long(), kept)
    assert torch.equal(kept, index[:: 2 ** (stride - 1).bit_length()])
    assert len(kept) <= MAX_CLIPS


def test_attacks_have_labels_of_their_own():
    heads = {"class": ("spoof", "bonafide")}
    assert label_of(Clip("a", "a", 0, {"attack": "A07"}), heads) == "A07"
    assert label_of(Clip("a", "a", 1, {"attack": "-"}), heads) == "bonafide"
    assert label_of(Clip("a", "a", -1), heads) == "unknown"
