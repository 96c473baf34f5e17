"""Small runs that several tests of this folder look at."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightning_modules import fit

_CONFIGS = Path(__file__).parents[2] / "configs"
_RATE = 8000


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Callable[..., Path]:
    """Runs ``fit`` with a configuration and overrides, ``__`` for the dots of a name; returns the run's folder."""

    def fit_run(config: str, **overrides: object) -> Path:
        settings = {
            "run__id": "a",
            "tracking__wandb": "disabled",
            "trainer__accelerator": "cpu",
            "trainer__enable_progress_bar": "false",
            "data__num_workers": 0,
            **overrides,
        }
        arguments = [f"--{name.replace('__', '.')}={value}" for name, value in settings.items()]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp(config))
            patch.setattr("sys.argv", ["fit", "--config", str(_CONFIGS / f"{config}.yaml"), *arguments])
            fit.main()
            return Path.cwd() / "runs" / config / "a"

    return fit_run


@pytest.fixture(scope="session")
def turned_down(tmp_path_factory) -> Path:
    """Pairs of noise and softer noise; one knob is the level in dB."""
    root = tmp_path_factory.mktemp("turned_down")
    (root / "effect_info.ini").write_text(
        "[effect]\nname = Level\nknob_names = ['level']\nknob_ranges = [[-20, 0]]\n"
    )
    random = np.random.default_rng(0)
    for folder, levels in (("Train", range(-20, 1, 2)), ("Val", (-15, -5)), ("Test", (-13, -3, -9))):
        (root / folder).mkdir()
        for number, level in enumerate(levels):
            noise = random.uniform(-0.5, 0.5, 2000 + 100 * number)
            soundfile.write(root / folder / f"input_{number}_.wav", noise, _RATE, subtype="FLOAT")
            target = root / folder / f"target_{number}_Level__{level}.wav"
            soundfile.write(target, noise * 10 ** (level / 20), _RATE, subtype="FLOAT")
    return root


@pytest.fixture(scope="session")
def small_effect(turned_down) -> dict[str, object]:
    """Overrides of ``production_effect`` for those pairs."""
    return {
        "data__root": turned_down,
        "data__sample_rate": _RATE,
        "data__chunk": 256,
        "data__epoch_items": 640,
        "model__network__num_knobs": 1,
        "model__network__blocks": 2,
        "model__network__growth": 2,
        "model__network__channels": 8,
        "trainer__max_epochs": 3,
    }


@pytest.fixture(scope="session")
def learned(run, small_effect) -> Path:
    """Folder of a run that learned the level."""
    return run("production_effect", model__lr_scheduler="null", **small_effect)


@pytest.fixture(scope="session")
def untrained(run, small_effect) -> Path:
    """Folder of a run without a step: its network begins as the identity, and looks ahead."""
    settings = small_effect | {"trainer__max_epochs": 0, "model__network__causal": "false"}
    return run("production_effect", **settings)
