"""A run that is asked to stop leaves with a checkpoint and exit code 75, and ends as if nobody had asked."""

import random
import signal
import sys
import time

import pytest
from equality import assert_equal

from lightning_modules.run.checkpoints import read_checkpoint

PLACES = [
    "training:7",
    "training:20",  # before the epoch's validation
    "validation:3",
    "validation:20",  # before the epoch's end
    "training:60",  # before the last validation
    "validation:60",
]


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, marks=[] if index in (0, 2) else [pytest.mark.slow])
        for index, place in enumerate(PLACES)
    ],
)
def test_resumed_run_ends_with_the_same_checkpoint(tiny, undisturbed, place):
    code, output = tiny.run(stop_at=place)
    assert code == 75, output
    assert output.count("SIGTERM: stopped at step") == 1
    code, output = tiny.run()
    assert code == 0, output
    resumed = read_checkpoint(tiny.last)
    for part in ("state_dict", "optimizer_states", "epoch", "global_step", "loops"):
        assert_equal(undisturbed[part], resumed[part], part)


def test_a_validation_of_averaged_weights_is_left_with_those_of_training(tiny, tmp_path):
    whole = type(tiny)(tmp_path / "whole")
    assert whole.run(average=0.9)[0] == 0
    assert tiny.run(average=0.9, stop_at="validation:3")[0] == 75
    code, output = tiny.run(average=0.9)
    assert code == 0, output
    undisturbed, resumed = read_checkpoint(whole.last), read_checkpoint(tiny.last)
    for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "loops"):
        assert_equal(undisturbed[part], resumed[part], part)


def leave(tiny, signals, delay_s):
    """Sends a signal to one rank of two; returns exit codes, outputs and the seconds it took."""
    ranks = tiny.start_ranks(epochs=1000)
    while not tiny.last.is_file():
        assert all(rank.poll() is None for rank in ranks)
        time.sleep(0.02)
    time.sleep(delay_s)
    begin = time.monotonic()
    ranks[signals[1]].send_signal(signals[0])
    ends = [tiny.finish(rank) for rank in ranks]
    return ends, time.monotonic() - begin


def test_signal_to_one_rank_stops_both(tiny):
    ends, _ = leave(tiny, (signal.SIGUSR1, 1), 0.3)
    assert [code for code, _ in ends] == [75, 75], ends
    assert read_checkpoint(tiny.last)["global_step"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_random_signals(tiny):
    draw = random.Random(0)
    took = []
    for _ in range(20):
        chosen = (draw.choice([signal.SIGTERM, signal.SIGUSR1]), draw.randrange(2))
        tiny.last.unlink(missing_ok=True)
        ends, seconds = leave(tiny, chosen, draw.uniform(0, 3))
        assert [code for code, _ in ends] == [75, 75], ends
        assert read_checkpoint(tiny.last)["global_step"] > 0
        took.append(seconds)
    print(f"seconds from signal to exit: {sorted(round(value, 1) for value in took)}")
    assert max(took) < 20


@pytest.mark.slow
def test_torchrun_passes_the_signal_on(tiny):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    process = tiny.start(command=command, devices=2, epochs=1000)
    while not tiny.last.is_file():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    code, output = tiny.finish(process)
    assert code == 1, output  # torchrun's own: it hides what its processes ended with
    assert "SIGTERM: stopped at step" in output
    assert read_checkpoint(tiny.last)["global_step"] > 0


def test_signal_before_training_exits_75(tiny):
    process = tiny.start()
    time.sleep(0.5)  # torch is being imported
    process.send_signal(signal.SIGTERM)
    code, output = tiny.finish(process)
    assert code == 75, output
    assert "stopped outside of training" in output
    assert not tiny.last.exists()


def test_second_interrupt_is_immediate(tiny):
    process = tiny.start(step_s=30)
    while not (tiny.root / "training").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    code, output = tiny.finish(process)
    assert code == 130, output
    assert "interrupted twice" in output
