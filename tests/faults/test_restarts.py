"""A run that was stopped and started again equals the undisturbed one: weights, optimizer, rates, metrics.csv.

One process, one thread, on the CPU. Of all 90 cases `make test` runs a third, in which each pair of two factors occurs.
"""

import itertools
import json
import shutil
import sys
from functools import partial
from runpy import run_path

import pytest
from contributing_page import NETWORK, files
from equality import assert_equal
from stopping import UNDISTURBED

from lightning_modules import export, load_model
from lightning_modules.config import cli
from lightning_modules.run.checkpoints import read_checkpoint
from lightning_modules.trained.checkpoint import trained_parts

TORCH = "--model.lr_scheduler=torch.optim.lr_scheduler"
SCHEDULES = {
    "cosine": [f"{TORCH}.CosineAnnealingLR", "--model.lr_scheduler.T_max=5"],
    "one_cycle": [
        f"{TORCH}.OneCycleLR",
        "--model.lr_scheduler.max_lr=0.01",
        "--model.lr_scheduler.total_steps=20",
    ],
    "step": [f"{TORCH}.StepLR", "--model.lr_scheduler.step_size=1", "--model.lr_scheduler.gamma=0.5"],
    "plateau": [
        "--model.lr_scheduler=lightning.pytorch.cli.ReduceLROnPlateau",
        "--model.lr_scheduler.monitor=val/eer",
        "--model.lr_scheduler.patience=0",
    ],
    "warm_up": ["--model.lr_scheduler=stopping.WarmUpAndDecay"],
}
CALLBACKS = {
    "early_stopping": (
        "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val/eer, patience: 3}}"
    ),
    "ema": "{class_path: lightning.pytorch.callbacks.EMAWeightAveraging, init_args: {decay: 0.8}}",
    "top_k": "",
}
AT_THE_START_OF_AN_EPOCH = {
    "swa": (
        "{class_path: lightning_modules.callbacks.averaging.StochasticWeightAveraging, init_args: "
        "{swa_lrs: 0.001, swa_epoch_start: 2, annealing_epochs: 2}}"
    ),
    "accumulation": (
        "{class_path: lightning.pytorch.callbacks.GradientAccumulationScheduler, "
        "init_args: {scheduling: {0: 1, 2: 2}}}"
    ),
}
"""What acts there: Lightning passes over it where a restart begins within the epoch."""
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


SETTINGS = [
    "--config=level_net.yaml",
    "--model.optimizer.lr=0.003",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.limit_test_batches=0",
    "--trainer.enable_model_summary=false",
    "--checkpoints.every_n_train_steps=3",
    "--tracking.wandb=disabled",
    "--run.id=x",
]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The page's files and their corpus."""
    folder = tmp_path_factory.mktemp("example")
    for name, text in files(NETWORK).items():
        (folder / name).write_text(text)
    run_path(str(folder / "folders.py"))["write_demo"](folder / "demo")
    return folder


@pytest.fixture(scope="module")
def start(example, runs):
    """Runs the command with arguments once for each root and place to stop at."""
    return partial(runs, example)


def settings(schedule, callback, *more, epochs: int | None = 5):
    callbacks = ", ".join(
        filter(None, [(CALLBACKS | AT_THE_START_OF_AN_EPOCH)[callback], "{class_path: stopping.StopAt}"])
    )
    top_k = ["--checkpoints.save_top_k=2"] if callback == "top_k" else []
    length = [f"--trainer.max_epochs={epochs}"] if epochs else []
    return [*SETTINGS, *SCHEDULES[schedule], f"--trainer.callbacks=[{callbacks}]", *top_k, *length, *more]


def run_of(root):
    return root / "level_net" / "x"


def last(root):
    return read_checkpoint(run_of(root) / "checkpoints/last.ckpt")


def assert_same_run(whole, stopped, metrics_rows, where):
    ours, theirs = last(whole), last(stopped)
    assert ours.keys() == theirs.keys(), where
    for part in ours.keys() - {"callbacks", "callback_metrics"}:  # which hold paths and speeds
        assert_equal(ours[part], theirs[part], f"{where}: {part}")
    rows = [metrics_rows(run_of(root) / "metrics.csv") for root in (whole, stopped)]
    assert rows[0] == rows[1], where
    best = [sorted(run_of(root).glob("checkpoints/best*")) for root in (whole, stopped)]
    assert [path.name for path in best[0]] == [path.name for path in best[1]], where
    for our, their in zip(*best, strict=True):
        for part in ("state_dict", "optimizer_states", "lr_schedulers"):
            assert_equal(read_checkpoint(our)[part], read_checkpoint(their)[part], f"{where}: {our.name}")


@pytest.fixture
def stop_and_compare(start, metrics_rows, tmp_path):
    """Stops runs at places and starts them again; returns the root of the undisturbed one that they equal."""

    def compare(arguments, places):
        whole = tmp_path / "whole"
        stopped = {place: tmp_path / place for place in places}
        restarts = [[(root, place), (root, UNDISTURBED)] for place, root in stopped.items()]
        (code, output), *ended = start(arguments, (whole, UNDISTURBED), *itertools.chain(*restarts))
        assert code == 0, output
        for (place, root), (first, second) in zip(
            stopped.items(), zip(ended[::2], ended[1::2], strict=True), strict=True
        ):
            assert first.code == (-9 if place.startswith("SIGKILL") else 75), first.output
            assert second.code == 0, second.output
            assert "continues at step" in second.output
            assert_same_run(whole, root, metrics_rows, place)
        return whole

    return compare


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


SMALL = {"width": 64, "depth": 2, "heads": 4, "feed_forward": 128, "conv_width": 32}
CHANGES = {
    "none": lambda name: False,
    "1": lambda name: ".encoder.layers.1." in name,
    "lora": lambda name: ".lora_" in name,
    "all": lambda name: True,
}
"""What a checkpoint holds of an encoder whose weights a file has."""


def speech_network(folder, trainable):
    """A small encoder of speech, whose file is made, and a back end, as a command takes them."""
    from lightning_modules.networks.encoders import SpeechEncoder
    from lightning_modules.networks.encoders.speech import Sizes

    SpeechEncoder("xlsr_300m", sizes=Sizes(**SMALL)).model.save_pretrained(folder)
    encoder = {
        "class_path": "lightning_modules.networks.encoders.SpeechEncoder",
        "init_args": {
            "name": "xlsr_300m",
            "weights": str(folder),
            "sizes": SMALL,
            "trainable": trainable,
            "lora": {"targets": ["q_proj", "v_proj"], "rank": 4, "dropout": 0.1}
            if trainable == "lora"
            else None,
        },
    }
    back_end = {"class_path": "lightning_modules.networks.back_ends.PooledLinear", "init_args": {"dim": 64}}
    classifier = "lightning_modules.networks.EncoderClassifier"
    return {"class_path": classifier, "init_args": {"encoder": encoder, "back_end": back_end}}


@pytest.mark.parametrize(
    "trainable", ["lora", *(pytest.param(other, marks=pytest.mark.slow) for other in ("none", "1", "all"))]
)
def test_a_pretrained_encoder_continues_however_much_of_it_trains(
    trainable, example, stop_and_compare, tmp_path, monkeypatch
):
    network = speech_network(tmp_path / "public", trainable)
    monkeypatch.chdir(example)
    monkeypatch.syspath_prepend(str(example))
    whole = stop_and_compare(
        settings("cosine", "ema", f"--model.network={json.dumps(network)}", epochs=3),
        ["SIGKILL batch 7", "SIGTERM validation 8"],
    )
    checkpoint = run_of(whole) / "checkpoints/last.ckpt"
    model = trained_parts(checkpoint).model
    of_encoder = {name for name in model.state_dict() if name.startswith("network.encoder.")}
    expected = {name for name in of_encoder if CHANGES[trainable](name)}
    for entry in ("state_dict", "current_model_state"):  # the average, and what was stepped
        assert {name for name in last(whole)[entry] if name in of_encoder} == expected


@pytest.mark.parametrize(
    "trainable", ["lora", "all", *(pytest.param(other, marks=pytest.mark.slow) for other in ("none", "1"))]
)
def test_a_package_holds_all_of_an_encoder(trainable, example, start, tmp_path, monkeypatch):
    network = speech_network(tmp_path / "public", trainable)
    arguments = settings("cosine", "top_k", f"--model.network={json.dumps(network)}", epochs=1)
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    checkpoint, package = run_of(tmp_path) / "checkpoints/last.ckpt", tmp_path / "package"
    monkeypatch.chdir(example)
    monkeypatch.syspath_prepend(str(example))
    monkeypatch.setattr(sys, "argv", ["export", f"--ckpt_path={checkpoint}", f"--into={package}"])
    export.main()
    clip = next(example.glob("demo/test/spoof/*.wav"))
    scores = [load_model(source).score(clip) for source in (checkpoint, package)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    shutil.rmtree(tmp_path / "public")
    assert load_model(package).score(clip) == scores[1]
    if trainable == "all":
        assert load_model(checkpoint).score(clip) == scores[0]
        network = cli.build("test", "", [f"--ckpt_path={checkpoint}"]).model.network
        assert network.encoder.weights_sha256 is None
    else:
        with pytest.raises(ValueError, match=f"{tmp_path}/public: no such"):
            load_model(checkpoint)


def test_another_file_of_weights_is_refused(example, start, tmp_path, monkeypatch):
    arguments = settings(
        "cosine", "top_k", f"--model.network={json.dumps(speech_network(tmp_path / 'public', 1))}", epochs=1
    )
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    speech_network(tmp_path / "public", 1)  # with other random weights
    monkeypatch.chdir(example)
    monkeypatch.syspath_prepend(str(example))
    with pytest.raises(ValueError, match=r"only what trained.*network\.encoder has another file's"):
        load_model(run_of(tmp_path) / "checkpoints/last.ckpt")


def test_all_of_an_encoder_trains_on_from_a_run_that_trained_its_top(example, start, tmp_path, monkeypatch):
    monkeypatch.chdir(example)
    monkeypatch.syspath_prepend(str(example))
    network = speech_network(tmp_path / "public", 1)
    arguments = settings("cosine", "top_k", f"--model.network={json.dumps(network)}", epochs=1)
    ((code, output),) = start(arguments, (tmp_path, UNDISTURBED))
    assert code == 0, output
    checkpoint = run_of(tmp_path) / "checkpoints/last.ckpt"
    network["init_args"]["encoder"]["init_args"]["trainable"] = "all"
    arguments = [*SETTINGS, f"--model.network={json.dumps(network)}", f"--model.weights={checkpoint}"]
    begun = cli.build("fit", "", arguments).model.network.state_dict()
    assert_equal(begun, trained_parts(checkpoint).model.network.state_dict(), "weights")
