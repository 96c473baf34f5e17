#!/usr/bin/env bash
# lightning 2.6.6: a run that is resumed from its checkpoint of an epoch's end has one reduction of ReduceLROnPlateau less
# than the undisturbed one.
#
# ModelCheckpoint writes at the end of a training epoch, the trainer steps plateau schedules after that, and an epoch
# that a checkpoint counts as done is not ended again after a restart: its step is made by nobody.
#
# Seen, patience 0 and a figure that never gets better: rates 1, 1, 0.1, 0.01; resumed after two epochs 1, 0.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lightning==2.6.6 torch==2.14.1
cat > "$folder/plateau.py" <<'PYTHON'
import logging
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Line(LightningModule):
    """Whose figure never gets better, so that every epoch but the first ends with a tenth of the rate."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rates = []

    def on_train_epoch_start(self):
        self.rates.append(round(self.optimizers().param_groups[0]["lr"], 6))

    def training_step(self, batch, batch_idx):
        self.log("figure", 1.0, on_step=False, on_epoch=True)
        return self.weight.sum()

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "figure"}}


def rates(folder, checkpoint=None):
    every_epoch = ModelCheckpoint(dirpath=folder, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    line = Line()
    Trainer(max_epochs=4, callbacks=[every_epoch], **settings).fit(line, torch.zeros(2, 1), ckpt_path=checkpoint)
    return line.rates


print("lightning", lightning.__version__)
whole = rates("whole")
resumed = rates("resumed", Path("whole/epoch=1.ckpt"))
print("undisturbed:", whole, "resumed after two epochs:", resumed)
assert whole == [1.0, 1.0, 0.1, 0.01]
assert resumed == [1.0, 0.1]
PYTHON
cd "$folder"
venv/bin/python plateau.py
