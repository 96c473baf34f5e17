"""A run that was stopped and started again equals the undisturbed one: weights, optimizer, rates, metrics.csv.

One process, one thread, on the CPU. Of all 90 cases `make test` runs a third, in which each pair of two factors occurs.
"""

import itertools

import pytest
from equality import assert_equal
from restarts import CALLBACKS, SCHEDULES, last, run_of, settings
from stopping import UNDISTURBED

SIGNALS = ("SIGKILL", "SIGTERM")
PLACES = {
    "mid-epoch": "batch 7",
    "end of epoch": "epoch 8",
    "validation": "validation 8",
}  # step, of 4 an epoch
CASES = list(itertools.product(SCHEDULES, CALLBACKS, SIGNALS, PLACES))
FACTORS = (tuple(SCHEDULES), tuple(CALLBACKS), SIGNALS, tuple(PLACES))


def in_third(case):
    schedule, callback, number, place = (
        values.index(value) for values, value in zip(FACTORS, case, strict=True)
    )
    return (schedule + callback + number) % 3 == place


FAMILIES = list(itertools.product(SCHEDULES, CALLBACKS))


def places(cases, family):
    return [f"{number} {PLACES[place]}" for *of, number, place in cases if tuple(of) == family]


@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_a_stopped_run_equals_the_undisturbed_one(family, stop_and_compare):
    stop_and_compare(settings(*family), places(filter(in_third, CASES), family))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_all_other_cases(family, stop_and_compare):
    stop_and_compare(settings(*family), places(itertools.filterfalse(in_third, CASES), family))


def test_the_third_has_every_pair_of_factors():
    third = [case for case in CASES if in_third(case)]
    assert len(third) == len(CASES) / 3
    for first, second in itertools.combinations(range(4), 2):
        pairs = {(case[first], case[second]) for case in third}
        assert pairs == set(itertools.product(FACTORS[first], FACTORS[second]))


def rates(root, metrics_rows):
    rows = metrics_rows(run_of(root) / "metrics.csv")
    return [float(row["train/lr"]) for row in rows if row["train/lr"]]


ONCE_AN_EPOCH = [3e-3] * 8 + [3e-4] * 4 + [3e-5] * 4 + [3e-6] * 4  # the EER is 0 from the first


def test_values_of_a_validation_before_the_restart_count(stop_and_compare):
    """Validation after three of four steps: an epoch's end chooses by a value that the restart has not computed."""
    stop_and_compare(
        settings("plateau", "early_stopping", "--trainer.val_check_interval=3"),
        ["SIGKILL batch 8", "SIGTERM validation 7"],
    )


@pytest.mark.parametrize(
    ("callback", "places"),
    [
        ("swa", ["SIGTERM batch 9", "SIGKILL batch 11", "SIGKILL epoch 12"]),
        ("accumulation", ["SIGTERM batch 9", "SIGKILL batch 11", "SIGKILL epoch 10"]),
    ],
)
def test_what_an_epoch_began_with_holds_in_its_rest(callback, places, stop_and_compare):
    stop_and_compare(settings("cosine", callback), places)


def test_the_epoch_that_makes_the_average_is_finished(start, metrics_rows, tmp_path):
    """It trains nothing, so that the schedule of the epochs before is not missed."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    ended = start(
        settings("cosine", "swa"), (whole, UNDISTURBED), (stopped, "SIGTERM epoch 20"), (stopped, UNDISTURBED)
    )
    assert [code for code, _ in ended] == [0, 75, 0], ended
    assert_equal(last(whole)["state_dict"], last(stopped)["state_dict"])
    rows = [metrics_rows(run_of(root) / "metrics.csv") for root in (whole, stopped)]
    assert rows[0] == rows[1]


def test_a_run_of_so_many_steps_counts_its_epochs_once(stop_and_compare):
    stop_and_compare(
        settings("plateau", "top_k", "--trainer.max_steps=18", epochs=None),
        ["SIGKILL epoch 8", "SIGTERM validation 12"],
    )


def test_the_best_checkpoint_continues_with_the_schedule_of_its_epoch(start, metrics_rows, tmp_path):
    arguments = settings("plateau", "top_k")
    ((code, output),) = start(arguments, (tmp_path, "SIGKILL epoch 8"))
    assert code == -9, output
    for damaged in run_of(tmp_path).glob("checkpoints/last*.ckpt"):
        damaged.unlink()
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    assert f"continues at step 8 from {run_of(tmp_path)}/checkpoints/best=" in output
    assert rates(tmp_path, metrics_rows) == pytest.approx(ONCE_AN_EPOCH)


@pytest.mark.parametrize(
    ("callback", "more"),
    [
        ("early_stopping", ["--trainer.max_epochs=100"]),
        ("top_k", ["--trainer.max_epochs=2"]),
        ("top_k", ["--trainer.max_steps=6"]),
        ("ema", ["--trainer.max_epochs=10000", "--trainer.max_time=00:00:00:01"]),
    ],
    ids=["early stopping", "epochs", "steps", "time"],
)
def test_a_finished_run_trains_no_further(callback, more, start, tmp_path):
    arguments = settings("step", callback, *more, epochs=None)
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    kept = [run_of(tmp_path) / name for name in ("checkpoints/last.ckpt", "metrics.csv")]
    before = [path.read_bytes() for path in kept]
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    assert "was trained to its end before; no step was made" in output
    assert [path.read_bytes() for path in kept] == before


def test_more_patience_trains_on(start, tmp_path):
    arguments = settings("step", "early_stopping", epochs=12)
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    assert "stopped after epoch 4: Monitored metric val/eer did not improve in the last 3 records." in output
    assert last(tmp_path)["global_step"] == 16
    patient = [word.replace("patience: 3", "patience: 5") for word in arguments]
    ((code, output),) = start(patient, (tmp_path, UNDISTURBED))
    assert code == 0, output
    assert last(tmp_path)["global_step"] == 24, "two epochs more"
    (state,) = (
        state for key, state in last(tmp_path)["callbacks"].items() if key.startswith("EarlyStopping")
    )
    assert state["patience"] == 5


def test_another_optimizer_or_schedule_is_refused_by_name(start, tmp_path):
    arguments = settings("step", "top_k", epochs=1)
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    config = (run_of(tmp_path) / "config.yaml").read_text()
    others = ["--model.optimizer.lr=0.01", "--model.lr_scheduler.gamma=0.1"]
    ((code, output),) = start([*arguments, *others], (tmp_path, UNDISTURBED))
    assert code == 1
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert "model.optimizer.lr=0.01 (formerly 0.003), model.lr_scheduler.gamma=0.1 (formerly 0.5)" in line
    assert "--run.id" in line
    assert "--model.weights=" in line
    assert (run_of(tmp_path) / "config.yaml").read_text() == config, "nothing is recorded that was not done"


def test_all_changed_lines_are_shown(start, tmp_path):
    arguments = settings("step", "top_k", epochs=1)
    changes = {"trainer.gradient_clip_val": 2.0, "trainer.max_epochs": 2, "data.batch_size": 4}
    changes |= {"data.eval_batch_size": 5, "checkpoints.every_n_train_steps": 7}
    more = [f"--{key}={value}" for key, value in changes.items()]
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    ((code, output),) = start([*arguments, *more], (tmp_path, UNDISTURBED))
    assert code == 0, output
    (line,) = (line for line in output.splitlines() if "continues with another configuration" in line)
    words = {word.lstrip("+ ") for word in line.split(";") if word.strip().startswith("+")}
    assert {f"{key.split('.')[-1]}: {value}" for key, value in changes.items()} == words
