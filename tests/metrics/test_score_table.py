"""Metric classes: duplicates, padding, uneven and empty ranks, undefined splits."""

import contextlib
import socket
import time

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

from lightning_modules.metrics import ActDCF, Cllr, EqualErrorRate, MinDCF, MinTDCF, ScoreTable
from lightning_modules.metrics.functional import AsvErrorRates, equal_error_rate, min_tdcf

ASV = AsvErrorRates(miss=0.025, false_alarm=0.025, spoof_false_alarm=0.76)


def split(num_trials: int = 101) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = (torch.rand(num_trials, generator=generator) < 0.3).long()
    scores = (torch.randn(num_trials, generator=generator) + target).round(decimals=1)
    return scores, target, torch.arange(num_trials)


def metrics() -> list[ScoreTable]:
    return [EqualErrorRate(), MinTDCF(ASV, revision=2021), MinDCF(), ActDCF(), Cllr()]


def test_table_is_sorted_and_each_trial_counts_once():
    scores, target, index = split()
    table = ScoreTable()
    shuffled = torch.randperm(len(index), generator=torch.Generator().manual_seed(1))
    for rows in shuffled.split(10):
        table.update(scores[rows], target[rows], index[rows])
    table.update(scores[:7] + 1, target[:7], index[:7])  # a repeat with other scores: the first stays
    got_index, got_scores, got_target = table.compute()
    assert torch.equal(got_index, index)
    assert torch.equal(got_scores, scores.double())
    assert torch.equal(got_target, target)


def test_rows_without_index_are_all_kept():
    scores, target, _ = split(10)
    table = ScoreTable()
    table.update(scores, target)
    table.update(scores, target)
    assert len(table.compute()[1]) == 20


def test_classes_return_the_functions_values():
    scores, target, index = split()
    values = {}
    for metric in metrics():
        metric.update(scores, target, index)
        values[type(metric)] = metric.compute()
        assert metric.higher_is_better is False
    assert values[EqualErrorRate] == equal_error_rate(scores, target == 1)[0]
    assert values[MinTDCF] == min_tdcf(scores, target == 1, asv=ASV, revision=2021)
    assert values[EqualErrorRate].dtype == torch.float64


def test_tdcf_reads_asv_scores(tmp_path):
    file = tmp_path / "asv.txt"
    lines = [f"bonafide target {x}" for x in (1, 2, 3, 4)] + [
        f"bonafide nontarget {x}" for x in (0, 0.5, 2.5)
    ]
    file.write_text("\n".join([*lines, "A01 spoof 3", "A01 spoof 0"]))
    metric = MinTDCF(file)
    assert metric.asv.spoof_false_alarm == 0.5
    with pytest.raises(ValueError, match="revision is 2020"):
        MinTDCF(file, revision=2020)


def test_undefined_is_nan_with_a_warning():
    metric = EqualErrorRate()
    metric.update(torch.randn(4), torch.ones(4, dtype=torch.long))
    with pytest.warns(UserWarning, match="none of the 4 trials is spoofed"):
        assert metric.compute().isnan()


def test_unknown_targets_are_refused():
    metric = EqualErrorRate()
    metric.update(torch.randn(3), torch.tensor([1, 0, -1]))
    with pytest.raises(ValueError, match="1 of 3 targets are neither"):
        metric.compute()


SHARDS = {
    "padded with a repeat, as samplers do": [[*range(0, 101, 2)], [*range(1, 101, 2), 0]],
    "uneven": [[*range(90)], [*range(90, 101)]],
    "empty": [[*range(101)], []],
}


def score_on_rank(rank: int, port: int, expected: list[float]) -> None:
    """Runs on each of two ranks; every way of sharing the trials must give the numbers of one process."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        scores, target, index = split()
        for name, shards in SHARDS.items():
            for metric, value in zip(metrics(), expected, strict=True):
                for rows in torch.tensor(shards[rank], dtype=torch.long).split(16):
                    if len(rows):
                        metric.update(scores[rows], target[rows], index[rows])
                assert float(metric.compute()) == value, f"{type(metric).__name__}, {name}"
    finally:
        dist.destroy_process_group()


def test_two_ranks_equal_one():
    scores, target, index = split()
    expected = []
    for metric in metrics():
        metric.update(scores, target, index)
        expected.append(float(metric.compute()))
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = start_processes(score_on_rank, args=(port, expected), nprocs=2, join=False, start_method="spawn")
    assert ranks is not None
    try:
        deadline = time.monotonic() + 120
        while not ranks.join(timeout=1):
            assert time.monotonic() < deadline, "the ranks hang"
    finally:
        for process in ranks.processes:
            if process is not None:
                process.terminate()
