"""What is never best, and that the best is found among it."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules.callbacks.best_checkpoint import BestCheckpoint
from lightning_modules.run.folder import Run

NAN, INF = float("nan"), float("inf")


class Scored(LightningModule):
    """Validates to given values, one an epoch."""

    def __init__(self, values):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.values = values

    def training_step(self, batch, batch_idx):
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.log("val/eer", torch.tensor(self.values[self.current_epoch]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("mode", "values", "kept", "best"),
    [
        ("min", [NAN], [], None),
        ("min", [INF, NAN], [], None),
        ("max", [-INF, NAN], [], None),
        ("min", [NAN, 0.5, NAN, 0.25, 0.75], ["0.250000", "0.500000"], "0.250000"),
        ("max", [0.5, INF, NAN, 0.25], ["0.500000", "inf"], "inf"),
        ("min", [-0.5, -INF], ["-0.500000", "-inf"], "-inf"),
    ],
)
def test_nan_and_the_worst_infinity_are_never_best(mode, values, kept, best, tmp_path):
    run = Run(id="x", root=str(tmp_path))
    callback = BestCheckpoint(run, monitor="val/eer", mode=mode, save_top_k=2)
    data = DataLoader(TensorDataset(torch.zeros(1, 1)))
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=len(values),
        callbacks=[callback],
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Scored(values), data, data)
    names = sorted(path.name.removeprefix("best=").split("-epoch")[0] for path in run.checkpoints.glob("*"))
    assert names == sorted(kept)
    found = run.best_checkpoint(mode)
    assert (found and found.name.startswith(f"best={best}-")) == (best and True)


def test_state_of_earlier_versions_is_taken_back(tmp_path):
    callback = BestCheckpoint(Run(id="x", root=str(tmp_path)), monitor="val/eer", mode="min", save_top_k=1)
    assert callback.state_key.startswith("ModelCheckpoint{'monitor': 'val/eer', 'mode': 'min'")
