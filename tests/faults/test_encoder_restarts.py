"""A run on a pretrained encoder goes on, is packaged and is gone on from, however much of the encoder trains."""

import json
import shutil
import sys

import pytest
from equality import assert_equal
from restarts import SETTINGS, last, run_of, settings
from stopping import UNDISTURBED

from lightning_modules import export, load_model
from lightning_modules.config import cli
from lightning_modules.trained.checkpoint import trained_parts

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


def test_another_share_that_trains_is_refused_and_leaves_the_run_as_it_was(example, start, tmp_path):
    network = speech_network(tmp_path / "public", 1)
    first = settings("cosine", "top_k", f"--model.network={json.dumps(network)}", epochs=1)
    ((code, output),) = start(first, (tmp_path, UNDISTURBED))
    assert code == 0, output
    before = (run_of(tmp_path) / "config.yaml").read_text()
    network["init_args"]["encoder"]["init_args"]["trainable"] = 2
    again = settings("cosine", "top_k", f"--model.network={json.dumps(network)}", epochs=2)
    ((code, output),) = start(again, (tmp_path, UNDISTURBED))
    assert code == 1
    assert "model.network.encoder.trainable=2 (formerly 1): set the former values" in output
    assert (run_of(tmp_path) / "config.yaml").read_text() == before
