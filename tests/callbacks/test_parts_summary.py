"""The summary at the beginning of a training has what is true."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_summary.model_summary import summarize

from lightning_modules.callbacks.parts_summary import PartsSummary


def test_parts_have_sizes_and_no_operations(capsys):
    model = LightningModule()
    model.network, model.frozen = torch.nn.Linear(1000, 2), torch.nn.Linear(3, 1).requires_grad_(False)
    found = summarize(model)
    PartsSummary.summarize(
        found._get_summary_data(),
        found.total_parameters,
        found.trainable_parameters,
        found.model_size,
        found.total_training_modes,
        total_flops=found.total_flops,
    )
    out = capsys.readouterr().out
    assert "FLOPs" not in out
    (row,) = (line.split("┃" if "┃" in line else "│") for line in out.splitlines() if " network " in line)
    assert [cell.strip() for cell in row[1:-1]] == ["network", "Linear", "2.0 K", "train"]
    assert "2,002 of 2,006 parameters are trained; 0.0 MB" in " ".join(out.split())
