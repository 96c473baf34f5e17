"""The simulated room: acoustics, what a corpus is made of, clips, loaders, official score files."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import hilbert, resample

from datamodules import SimulatedRoom
from datamodules.asd.room.joined_clips import cross_fade
from datamodules.asd.room.room_acoustics import (
    RATE,
    ROOM_M,
    Room,
    place,
    reverberate,
    reverberation_time,
    sweep,
)

SETTINGS = {
    "machines": ["fan", "pump"],
    "reverberation_time_s": 0.15,
    "num_microphones": 2,
    "num_train": 3,
    "num_normal": 2,
    "num_abnormal": 2,
    "segment_s": 1.5,
    "references": True,
    "batch_size": 4,
    "num_workers": 0,
}


@pytest.fixture(scope="module")
def room(demo_machines, tmp_path_factory) -> Path:
    """A small corpus of two machines, not to be changed."""
    return _simulate(demo_machines, tmp_path_factory.mktemp("room") / "corpus").root


def _data(machine_root: Path, root: Path, **settings) -> SimulatedRoom:
    return SimulatedRoom(root=str(root), machine_root=str(machine_root), **(SETTINGS | settings))


def _simulate(machine_root: Path, root: Path, **settings) -> SimulatedRoom:
    data = _data(machine_root, root, **settings)
    data.prepare_data()
    return data


def _rows(root: Path) -> list[dict[str, str]]:
    with (root / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _power(signal: np.ndarray) -> float:
    return float(np.mean(signal**2))


def test_sweep_goes_from_300_to_7000_hz_in_3_s() -> None:
    sound = sweep(7 * RATE, start_s=1.0)
    frequency = np.diff(np.unwrap(np.angle(np.asarray(hilbert(sound))))) * RATE / (2 * np.pi)
    time_s = (1.0 + np.arange(len(frequency)) / RATE) % 3
    inside = (time_s > 0.05) & (time_s < 2.95)
    inside[: RATE // 10] = inside[-RATE // 10 :] = False
    np.testing.assert_allclose(frequency[inside], (300 + 6700 * time_s / 3)[inside], atol=40)
    np.testing.assert_allclose(sound[: 3 * RATE], sound[3 * RATE : 6 * RATE], atol=1e-8)
    assert np.abs(sound).max() <= 1


def test_sweep_has_no_jump_between_cycles() -> None:
    around = sweep(200, start_s=3.0 - 100 / RATE)
    # the phase at the turn is that of whole turns: the sine comes from and goes on through zero
    assert abs(around[100]) < 1e-6
    assert around[101] == pytest.approx(np.sin(2 * np.pi * 300 / RATE), rel=1e-3)
    assert around[99] == pytest.approx(-np.sin(2 * np.pi * 7000 / RATE), rel=1e-2)


def test_reverberation_time_is_near_the_one_asked_for() -> None:
    responses = Room(0.4, 1).responses((4.6, 1.5, 1.4))
    assert reverberation_time(responses) == pytest.approx(0.4, rel=0.15)


def test_sound_reaches_the_array_at_its_speed() -> None:
    room = Room(0.15, 4)
    source = place(np.random.default_rng(0), distance_m=(1.0, 1.0))
    distances = np.linalg.norm(room.microphones_m - np.array(source)[:, None], axis=0)
    assert distances.mean() == pytest.approx(1.0, abs=1e-3)
    assert np.ptp(distances) > 0.04
    peaks = resample(room.responses(source)[:, :400], 16 * 400, axis=1).argmax(axis=1) / 16
    # the filter of the fractional delays takes 40 samples itself
    np.testing.assert_allclose((peaks - 40) / RATE, distances / 343, atol=1 / RATE / 8)


def test_places_are_in_the_room_at_their_distance() -> None:
    random = np.random.default_rng(1)
    places = np.array([place(random, distance_m=(1.5, 2.1), elevation=np.pi / 12) for _ in range(500)])
    assert (places > 0.2).all()
    assert (places < np.array(ROOM_M) - 0.2).all()
    distances = np.linalg.norm(places - Room(0.4, 8).microphones_m.mean(axis=1), axis=1)
    assert 1.5 <= distances.min() < 1.51
    assert 2.09 < distances.max() <= 2.1


def test_reverberate_is_a_convolution() -> None:
    random = np.random.default_rng(2)
    source, responses = random.standard_normal(500), random.standard_normal((3, 120))
    expected = [np.convolve(source, response)[119:500] for response in responses]
    np.testing.assert_allclose(reverberate(source, responses), expected, atol=1e-10)


def test_cross_fade_keeps_the_power_of_unlike_sounds() -> None:
    random = np.random.default_rng(3)
    first, second = random.standard_normal((2, 400, 1600))
    joined = np.stack([cross_fade(*pair) for pair in zip(first, second, strict=True)])
    assert joined.shape == (400, 2400)
    np.testing.assert_allclose(joined[:, :800], first[:, :800])
    np.testing.assert_allclose(joined[:, 1600:], second[:, 800:])
    assert _power(joined[:, 800:1600]) == pytest.approx(1, abs=0.02)
    assert len(cross_fade(np.ones(10), np.ones(5))) == 11


def test_clips_and_their_attributes(demo_machines, room) -> None:
    data = _data(demo_machines, room)
    instances = ["fan/id_00", "fan/id_02", "fan/id_04", "pump/id_00", "pump/id_02"]
    assert data.instances == instances
    assert Counter(clip.attributes["instance"] for clip in data.split("train")) == dict.fromkeys(instances, 3)
    assert data.split("validation") == []
    test = data.split("test")
    counts = Counter((clip.target, clip.attributes["snr"]) for clip in test)
    assert counts == {(0, ""): 10, (1, "-5"): 10, (1, "-10"): 10, (1, "-15"): 10}
    (clip,) = [clip for clip in test if clip.key == "pump/anomaly_id_02_00000001_snr-05"]
    assert Path(clip.path) == room / "pump" / "test" / "anomaly_id_02_00000001_snr-05.wav"
    assert clip.attributes == {
        "machine": "pump",
        "section": "id_02",
        "domain": "",
        "instance": "pump/id_02",
        "snr": "-5",
    }
    assert {c.attributes["machine"] for c in _data(demo_machines, room, machines=["pump"]).split("test")} == {
        "pump"
    }


def test_training_and_test_segments_come_from_other_clips(demo_machines, room) -> None:
    rows = _rows(room)
    assert len(rows) == 5 * (3 + 2 + 2 * 3)
    for row in rows:
        part, name = row["file"].split("/")[1:]
        stems = {path.stem for path in (demo_machines / "dev_data" / row["machine"] / part).iterdir()}
        used = row["clips"].split()
        assert set(used) <= {stem for stem in stems if stem.startswith(f"normal_{row['id']}")}
        assert len(used) == 2, name  # clips of 1 s in segments of 1.5 s
    train = [row["clips"].split() for row in rows if row["file"].startswith("fan/train/normal_id_00")]
    assert len({clip for clips in train for clip in clips}) == 6, "each clip once before any is used again"


def test_input_snr_is_that_of_the_name(demo_machines, room) -> None:
    sounds: dict[str, list[np.ndarray]] = {}
    anomalies = [clip for clip in _data(demo_machines, room).split("test") if clip.target]
    for clip in anomalies:
        path = Path(clip.path)
        mixture, rate = soundfile.read(path)
        reference, _ = soundfile.read(path.parent.parent / "references" / path.name)
        assert rate == RATE
        assert mixture.shape == (24000, 2)
        machine = mixture - reference
        found_db = 10 * np.log10(_power(reference) / _power(machine))
        assert found_db == pytest.approx(float(clip.attributes["snr"]), abs=0.1)
        sounds.setdefault(clip.key.split("_snr")[0], []).append(machine)
    for quiet, *others in sounds.values():
        for other in others:
            np.testing.assert_allclose(other, quiet, atol=2e-4)  # the same machine at every level


def test_instances_have_places_and_one_scale_of_their_own(room) -> None:
    settings = json.loads((room / "settings.json").read_text())
    measured = [settings["loudspeaker"], *settings["instances"].values()]
    assert len({tuple(values["position_m"]) for values in measured}) == 6
    assert all(0.05 < values["reverberation_time_s"] < 0.2 for values in measured)
    peaks: dict[str, float] = {}
    for row in _rows(room):
        sound, _ = soundfile.read(room / row["file"])
        assert 10 * np.log10(_power(sound)) == pytest.approx(float(row["level_db"]), abs=0.02)
        instance = f"{row['machine']}/{row['id']}"
        peaks[instance] = max(peaks.get(instance, 0), np.abs(sound).max())
    np.testing.assert_allclose(list(peaks.values()), 0.9, atol=1e-4)


def test_the_seed_decides_everything(demo_machines, room, tmp_path) -> None:
    few = {"machines": ["pump"], "references": False}
    again = _simulate(demo_machines, tmp_path / "again", **few)
    for clip in again.split("train") + again.split("test"):
        twin = room / Path(clip.path).relative_to(again.root)
        assert Path(clip.path).read_bytes() == twin.read_bytes(), "whatever other machines there are"
    assert not (again.root / "pump" / "references").exists()
    other = _simulate(demo_machines, tmp_path / "other", simulation_seed=1, **few)
    name = "pump/test/anomaly_id_00_00000000_snr-05.wav"
    assert (other.root / name).read_bytes() != (room / name).read_bytes()


def test_batches_have_all_microphones(demo_machines, room) -> None:
    data = _data(demo_machines, room)
    assert next(iter(data.train_dataloader())).waveform.shape == (4, 2, 24000)
    assert data.val_dataloader() == []
    batches = list(data.test_dataloader())
    assert sum(len(batch.key) for batch in batches) == 40
    assert {batch.waveform.shape[1:] for batch in batches} == {(2, 24000)}
    reference = [key for batch in data.reference_dataloader() for key in batch.key]
    assert sorted(reference) == [clip.key for clip in data.split("train")]


def test_scores_go_to_a_file_an_instance(demo_machines, room, tmp_path) -> None:
    data = _data(demo_machines, room)
    keys = [clip.key for clip in data.split("test")]
    scores, decisions = np.arange(41.0).tolist(), [1, *[0] * 39, 1]
    assert data.write_scores(tmp_path / "test.txt", [*keys, "other"], scores, decisions) == tmp_path / "test"
    stems = ["fan_id_00", "fan_id_02", "fan_id_04", "pump_id_00", "pump_id_02"]
    assert sorted(path.stem for path in (tmp_path / "test").glob("*_id_*")) == [
        *(f"anomaly_score_{stem}" for stem in stems),
        *(f"decision_result_{stem}" for stem in stems),
    ]
    lines = (tmp_path / "test" / "anomaly_score_pump_id_02.csv").read_text().splitlines()
    scores = dict(line.split(",") for line in lines)
    assert len(scores) == 8
    assert all(keys[int(float(score))] == f"pump/{name[:-4]}" for name, score in scores.items())
    assert (tmp_path / "test" / "scores.csv").read_text() == "other,40\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"reverberation_time_s": 0.05},
            r"reverberation_time_s 0\.05: .* 6 x 5 x 3 m 0\.115 s: choose a longer",
        ),
        ({"reverberation_time_s": -1.0}, r"reverberation_time_s -1\.0: .* choose a longer"),
        ({"num_microphones": 0}, "num_microphones 0: choose at least 1"),
        (
            {"machines": ["toaster"]},
            "no training clips of toaster in machine_root .*: choose of ToyCar, fan, pump, valve",
        ),
        (
            {"machine_root": "nowhere"},
            "machine_root nowhere: no machines in it: name a folder in the layout of",
        ),
        ({"snr_db": [-5, -5]}, r"snr_db \[-5, -5\]: choose one or more levels in dB, each once"),
        ({"simulation_seed": -1}, "simulation_seed -1: choose 0 or more"),
        ({"num_normal": 0}, "num_normal 0: choose at least 1 segment"),
        ({"segment_s": 0.0}, r"segment_s 0\.0: choose a length of one sample or more"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(settings, message, demo_machines, tmp_path) -> None:
    settings = {"root": str(tmp_path / "new"), "machine_root": str(demo_machines)} | SETTINGS | settings
    with pytest.raises(ValueError, match=message) as caught:
        SimulatedRoom(**settings).prepare_data()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_machines_need_normal_clips_of_both_parts_and_sound(tmp_path) -> None:
    train, test = (
        tmp_path / f"machines/fan/{part}_id_00_00000000.wav" for part in ("train/normal", "test/anomaly")
    )
    for path in (train, test):
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.zeros(1600), RATE)
    settings = {"machines": None}
    with pytest.raises(ValueError, match=r"machines/fan: no normal test clips of id_00: restore them"):
        _simulate(tmp_path / "machines", tmp_path / "room", **settings)
    test.rename(test.with_name("normal_id_00_00000000.wav"))
    with pytest.raises(ValueError, match=r"train/normal_id_00_00000000\.wav: is silent, no sound"):
        _simulate(tmp_path / "machines", tmp_path / "room", **settings)
    assert not (tmp_path / "room").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_train": 4}, "was simulated with num_train 3, not 4: set it so, set root to a new folder"),
        ({"snr_db": (-5.0,)}, r"was simulated with snr_db \[-5, -10, -15\], not \[-5.0\]"),
        (
            {"machines": ["fan", "valve"]},
            "was simulated without machines valve: choose of fan, pump, set root",
        ),
    ],
)
def test_a_corpus_of_other_settings_is_refused(settings, message, demo_machines, room) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _data(demo_machines, room, **settings).setup("fit")
    assert "\n" not in str(caught.value)


def test_another_folder_is_not_taken_for_a_corpus(demo_machines) -> None:
    data = _data(demo_machines, demo_machines)
    data.prepare_data()
    with pytest.raises(
        ValueError, match=r"DCASE2020: no settings\.json in it, so not a corpus of a simulated room"
    ):
        data.setup("fit")


def test_the_sweep_alone_is_at_hand_for_anomalous_clips(room, demo_machines) -> None:
    data = _data(demo_machines, room)
    data.setup("test")
    for index, clip in enumerate(data.rows["test"]):
        reference = data.reference(index)
        assert (reference is None) == (clip.target == 0)
        if reference is not None:
            assert reference.shape == (2, 1.5 * RATE)
    without = _data(demo_machines, room, references=False)
    without.setup("test")
    assert all(without.reference(index) is None for index in range(len(without.rows["test"])))


def test_a_dry_run_simulates_elsewhere(demo_machines, tmp_path) -> None:
    data = _data(demo_machines, tmp_path / "absent", machines=None, num_microphones=8)
    data.make_small(tmp_path / "scratch")
    data.setup("fit")
    assert not (tmp_path / "absent").exists()
    assert len(data.rows["train"]) >= 2
    assert data.rows["train"][0].path.startswith(str(tmp_path / "scratch"))
