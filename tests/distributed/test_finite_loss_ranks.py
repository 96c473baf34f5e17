"""A loss that is not finite on one rank stops all of them."""

from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lightning_modules.callbacks.finite_loss import FiniteLoss, NonFiniteLossError


def step_on_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    guard, trainer = FiniteLoss(), SimpleNamespace(world_size=2, global_step=3, current_epoch=0)
    outcomes = []
    for loss in (torch.tensor(1.0), torch.tensor(float("nan") if rank == 1 else 1.0)):
        guard.on_before_backward(trainer, None, loss)  # pyright: ignore[reportArgumentType]
        try:
            guard.on_before_optimizer_step(trainer, None, None)  # pyright: ignore[reportArgumentType]
            outcomes.append("stepped")
        except NonFiniteLossError:
            outcomes.append("stopped")
    (Path(folder) / f"{rank}.txt").write_text(" ".join(outcomes))
    dist.destroy_process_group()


def test_one_bad_rank_stops_both_before_the_step(tmp_path):
    context = mp.get_context("spawn")
    workers = [context.Process(target=step_on_rank, args=(rank, str(tmp_path))) for rank in range(2)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == ["stepped stopped"] * 2
