"""The demo machines: reproducible, of the right lengths, told apart by their faults and not by their level."""

import hashlib

import numpy as np
import pytest
import soundfile

from datamodules.audio import info
from datamodules.demo.machines import KINDS, make_demo
from datamodules.demo.rotors import RATE, Rotor, record


def _digests(root) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*.wav")
    }


def test_the_same_seed_gives_the_same_corpus(demo_machines, tmp_path) -> None:
    make_demo(tmp_path / "again", seconds=1.0, num_train=6, num_test=4)
    make_demo(tmp_path / "other", seconds=1.0, num_train=6, num_test=4, seed=1)
    corpus, other = _digests(demo_machines), _digests(tmp_path / "other")
    assert corpus == _digests(tmp_path / "again")
    assert corpus.keys() == other.keys()
    assert not set(corpus.values()) & set(other.values())
    assert len(set(corpus.values())) == len(corpus) == 10 * 6 + 9 * 8


def test_form_of_the_files(demo_machines) -> None:
    for machine, seconds in (("fan", 1.0), ("ToyCar", 1.1)):
        path = next((demo_machines / "dev_data" / machine / "test").iterdir())
        assert info(path) == (16000, round(seconds * 16000), 1)
        assert soundfile.info(path).subtype == "PCM_16"


def test_level_does_not_tell_the_class(demo_machines) -> None:
    def level_db(path) -> float:
        return 20 * np.log10(soundfile.read(path)[0].std())

    for normal in demo_machines.glob("dev_data/*/test/normal_*.wav"):
        anomaly = normal.with_name(normal.name.replace("normal", "anomaly"))
        assert level_db(normal) == pytest.approx(level_db(anomaly), abs=0.02)
        assert -33.1 < level_db(normal) < -26.9


@pytest.mark.parametrize(
    ("machine", "fault"), [(name, fault) for name in KINDS for fault in KINDS[name].faults]
)
def test_every_fault_is_heard(machine, fault) -> None:
    rotor = Rotor.draw(KINDS[machine], np.random.default_rng(3))
    edges = np.geomspace(40, RATE, 60).astype(int)

    def bands(seed: int, fault: str | None) -> np.ndarray:
        sound = record(rotor, 2.0, np.random.default_rng(seed), fault=fault)
        assert sound.std() == pytest.approx(1)
        return 10 * np.log10(np.add.reduceat(np.abs(np.fft.rfft(sound)) ** 2, edges))

    normal = np.array([bands(seed, None) for seed in range(20)])
    mean, spread = normal[:12].mean(axis=0), normal[:12].std(axis=0)

    def distance(clips: np.ndarray) -> np.ndarray:
        return (((clips - mean) / spread) ** 2).mean(axis=1)

    broken = distance(np.array([bands(seed, fault) for seed in range(100, 108)]))
    assert (broken[:, None] > distance(normal[12:])).mean() > 0.7  # area under the curve
