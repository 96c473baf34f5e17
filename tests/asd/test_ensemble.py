"""The front-end ensemble: features, eq. 8, autoencoders trained together as if alone, Table 1."""

import copy

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from datamodules.clips import Batch, Clip
from lightning_modules.asd import FrontEndEnsemble, FrontEnds
from lightning_modules.asd.ensemble_report import ENSEMBLES, ensemble_report
from lightning_modules.asd.front_ends import PIPELINES
from lightning_modules.frontends import NMF, NMU, NNE, WPE

NUM_SAMPLES, NUM_CLIPS = 4000, 4  # 4000 samples: 33 frames of hop 128, 6 blocks of 5


def batch_of(waveforms, indices):
    return Batch(
        waveform=waveforms,
        length=torch.full((len(waveforms),), waveforms.shape[-1]),
        target=torch.zeros(len(waveforms), dtype=torch.int64),
        index=torch.tensor(indices),
        key=[f"fan/clip{index}" for index in indices],
        attributes={"instance": ["fan/id_00"] * len(waveforms)},
    )


class Machines(LightningDataModule):
    """Four clips of two microphones, in batches of two."""

    year = 2020

    def __init__(self):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.waveform = 0.1 * torch.randn(NUM_CLIPS, 2, NUM_SAMPLES, generator=random)
        clips = [Clip(f"fan/clip{i}", "", 0, {"instance": "fan/id_00"}) for i in range(NUM_CLIPS)]
        self.rows = {"train": clips, "test": clips}

    def count_classes_as(self, names, **_):
        assert list(names.values()) == [("normal", "anomaly")]

    def reference(self, index):
        return self.waveform[index] if index == 2 else None

    def reference_dataloader(self):
        parts = [[0, 1], [2, 3]]
        batches = [batch_of(self.waveform[part], part) for part in parts]
        return DataLoader(batches, batch_size=None)  # pyright: ignore[reportArgumentType]

    train_dataloader = test_dataloader = reference_dataloader


def ensemble(pipelines="ABCDEFGH"):
    torch.manual_seed(1)
    front_ends = FrontEnds(
        dereverberation=WPE(taps=2, delay=1, iterations=1, n_fft=256, hop_length=128),
        nmf=NMF(129, num_iterations=5, num_atoms=3),
        nmu=NMU(129, num_iterations=2, num_atoms=3),
        nne=NNE(129, num_iterations=3, num_atoms=3),
        n_fft=256,
        hop_length=128,
        n_mels=8,
        pipelines=pipelines,
    )
    return FrontEndEnsemble(front_ends, hidden_dims=(6, 3, 6), windows_per_step=8)


def trainer(**settings):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


def test_the_papers_pipelines_and_ensembles():
    assert PIPELINES["A"] == (False, "none")
    assert PIPELINES["D"] == (False, "NNE")
    assert PIPELINES["F"] == (True, "NMF")
    assert {label for label, pipeline in PIPELINES.items() if pipeline.extraction != "none"} == set(
        ENSEMBLES["proposed"]
    )


def test_a_run_scores_by_equation_8():
    data, model = Machines(), ensemble()
    trainer(max_epochs=2).fit(model, data)
    atoms = {label: extractor.get_buffer("W") for label, extractor in model.front_ends.extractors.items()}
    assert torch.equal(atoms["B"], atoms["D"])
    assert not torch.equal(atoms["B"], atoms["F"])
    trainer().test(model, data, verbose=False)
    assert model.gathered is not None
    assert model.gathered_branches is not None

    model.eval()
    batch = batch_of(data.waveform, range(NUM_CLIPS))
    with torch.no_grad():
        features = model.front_ends(batch.waveform)
        assert features.shape == (4, 8, 2 * 6, 8 * 5)
        expected = torch.zeros(NUM_CLIPS, dtype=torch.float64)
        for number, label in enumerate("ABCDEFGH"):
            scaled = (features[:, number] - model.mean[number]) / model.std[number]
            errors = (model.autoencoders[label](scaled.flatten(0, 1)) - scaled.flatten(0, 1)).square().mean(1)
            errors = errors.double().view(NUM_CLIPS, -1)  # of the training clips themselves
            z = (errors - errors.mean()) / errors.std(correction=0)
            torch.testing.assert_close(model.gathered_branches[:, number], z.mean(1), atol=1e-4, rtol=1e-4)
            if label in ENSEMBLES["proposed"]:
                expected += z.mean(1) / 6
    torch.testing.assert_close(model.gathered[1], expected, atol=1e-4, rtol=1e-4)
    assert model.thresholds.keys() == {"fan/id_00"}


def test_autoencoders_trained_together_are_those_trained_alone():
    data, together, alone = Machines(), ensemble(pipelines="BF"), ensemble(pipelines="F")
    alone.autoencoders["F"].load_state_dict(copy.deepcopy(together.autoencoders["F"].state_dict()))
    for model in (together, alone):
        torch.manual_seed(5)
        trainer(max_epochs=3).fit(model, data)
    for name, value in alone.autoencoders["F"].state_dict().items():
        torch.testing.assert_close(together.autoencoders["F"].state_dict()[name], value)


def test_sdr_improvement_is_that_of_the_extracted_sound(monkeypatch):
    """A reference that is the whole input loses by extraction; without extraction nothing changes."""
    data, model = Machines(), ensemble(pipelines="AB")
    trainer(max_epochs=1).fit(model, data)
    trainer().test(model, data, verbose=False)
    assert model.gathered_improvements is not None
    assert model.gathered_improvements.isnan().all(1).tolist() == [True, True, False, True]
    whole, extracted = model.gathered_improvements[2].tolist()
    assert extracted < whole

    monkeypatch.setattr(Machines, "reference", lambda *_: None)  # recordings have none
    trainer().test(model, data, verbose=False)
    assert model.gathered_improvements.isnan().all()


def test_fitted_state_of_an_older_checkpoint_returns(tmp_path):
    data, model, other = Machines(), ensemble(pipelines="AB"), ensemble(pipelines="AB")
    first = trainer(max_epochs=1)
    first.fit(model, data)
    trainer().test(model, data, verbose=False)
    first.save_checkpoint(tmp_path / "x.ckpt")
    checkpoint = torch.load(tmp_path / "x.ckpt", weights_only=True) | {
        "fitted": {"thresholds": model.thresholds, "error_moments": model.error_moments}
    }
    other.load_state_dict(checkpoint["state_dict"])
    other.on_load_checkpoint(checkpoint)
    assert other.thresholds == model.thresholds
    trainer().test(other, data, verbose=False)
    assert model.gathered is not None
    assert other.gathered is not None
    torch.testing.assert_close(other.gathered[1], model.gathered[1])


def test_clips_of_several_lengths_are_refused():
    batch = batch_of(torch.randn(2, 2, NUM_SAMPLES), [0, 1])._replace(
        length=torch.tensor([NUM_SAMPLES, 3000])
    )
    with pytest.raises(ValueError, match=r"clip fan/clip1 has 3000 samples beside clips of 4000"):
        ensemble().on_before_batch_transfer(batch, 0)


def test_unknown_pipelines_are_refused():
    with pytest.raises(ValueError, match="pipelines 'AX': expected letters from ABCDEFGH"):
        ensemble(pipelines="AX")


def test_table_1_sets_every_snr_against_all_normal_clips():
    clips = [Clip(f"fan/n{i}", "", 0, {"instance": "fan/id_00", "snr": ""}) for i in range(3)]
    clips += [
        Clip(f"fan/a{i}", "", 1, {"instance": "fan/id_00", "snr": snr}) for i, snr in enumerate(["-5", "-15"])
    ]
    branches = {
        "B": torch.tensor([0.0, 1.0, 2.0, 3.0, 0.5], dtype=torch.float64),
        "C": torch.tensor([2.0, 1.0, 0.0, 1.5, 1.5], dtype=torch.float64),
        "D": torch.tensor([0.0, 0.0, 0.0, 1.0, -1.0], dtype=torch.float64),
    }
    improvements = {label: torch.tensor([np.nan, np.nan, np.nan, 6.0, 2.0]) for label in branches}
    report = ensemble_report(clips, branches["B"], branches, improvements, thresholds={"fan/id_00": 0.75})
    rows = {row["system"]: row for row in report.table}
    assert list(rows) == ["B", "C", "D", "only ASE"]
    assert rows["B"]["auc_-5_db"] == pytest.approx(1.0)
    assert rows["B"]["auc_-15_db"] == pytest.approx(1 / 3)
    assert rows["B"]["sdr_improvement_-15_db"] == pytest.approx(2.0)
    assert rows["C"]["auc_-15_db"] == pytest.approx(2 / 3)
    mean = np.mean([branch.numpy() for branch in branches.values()], axis=0)
    assert rows["only ASE"]["auc_-15_db"] == pytest.approx((mean[4] > mean[:3]).mean())
    assert report.decisions == [0, 1, 1, 1, 0]
    assert set(report.metrics) == {"auc", "pauc", "auc_-5_db", "auc_-15_db"}
