"""8-bit spectrograms: the error of a round trip, damaged images, and packs that do not fit."""

import json

import pytest
import torch

from datamodules.folders.spectrogram_folder import SpectrogramFolder
from datamodules.folders.spectrogram_image import INDEX, decode, encode


@pytest.fixture
def round_trip(tmp_path):
    def run(features):
        image, low, high = encode(features)
        (tmp_path / "image.png").write_bytes(image)
        return decode(str(tmp_path / "image.png"), low, high, num_channels=len(features))

    return run


@pytest.mark.parametrize("shape", [(1, 96, 44), (2, 96, 44), (3, 5, 1)])
def test_the_error_is_at_most_half_a_step(shape, round_trip):
    features = 80 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 100
    found = round_trip(features)
    assert found.dtype == torch.float32
    step = (features.max() - features.min()) / 255
    error = (found - features).abs().max()
    assert step / 4 < error <= step / 2 * 1.0001
    torch.testing.assert_close(found.max(), features.max())
    torch.testing.assert_close(found.min(), features.min())


def test_channels_do_not_mix(round_trip):
    features = torch.stack([torch.zeros(4, 3), torch.full((4, 3), 51.0), torch.full((4, 3), 255.0)])
    torch.testing.assert_close(round_trip(features), features)


def test_a_constant_spectrogram_stays(round_trip):
    torch.testing.assert_close(round_trip(torch.full((1, 4, 3), -100.0)), torch.full((1, 4, 3), -100.0))


def test_a_spectrogram_twice_is_the_same_image():
    features = torch.rand(1, 96, 44, generator=torch.Generator().manual_seed(0))
    assert encode(features) == encode(features.clone())


@pytest.mark.parametrize("damage", [b"", b"no image", None])
def test_a_damaged_image_is_named(damage, tmp_path):
    image, low, high = encode(torch.rand(1, 96, 44))
    path = tmp_path / "a.png"
    path.write_bytes(image[:100] if damage is None else damage)
    with pytest.raises(ValueError, match=r"a\.png: no PNG image .* pack the library again"):
        decode(str(path), low, high, num_channels=1)


def test_an_image_of_another_size_is_named(tmp_path):
    image, low, high = encode(torch.rand(1, 95, 44))
    (tmp_path / "a.png").write_bytes(image)
    with pytest.raises(ValueError, match=r"a\.png: 95 rows .* 2 channels"):
        decode(str(tmp_path / "a.png"), low, high, num_channels=2)


def _pack(root, names, **index):
    """A pack of random spectrograms, and its data module."""
    features = {name: torch.rand(1, 4, 3) for name in names}
    files = {}
    for name, spectrogram in features.items():
        image, *files[name] = encode(spectrogram)
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    content = {"sample_rate": 8000, "crop_s": 0.1, "channels": 1, "twins": [], "files": files, "features": {}}
    (root / INDEX).write_text(json.dumps(content | index))
    return features


def _folder(root, **settings):
    settings = {"sample_rate": 8000, "train_crop_s": 0.1, "eval_crop_s": 0.1, "drop_last": False} | settings
    return SpectrogramFolder(root=str(root), num_workers=0, **settings)


NAMES = [f"{drum}/kit{k}__{hit}.wav" for k in range(5) for drum in ("kick", "snare") for hit in (1, 2)]


def test_batches_are_spectrograms(tmp_path):
    features = _pack(tmp_path, NAMES)
    data = _folder(tmp_path)
    data.setup("fit")
    data.setup("test")
    seen = {}
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            assert batch.features.shape[1:] == (1, 4, 3)
            assert batch.waveform.shape == (len(batch.key), 1, 0)
            assert batch.length.tolist() == [3] * len(batch.key)
            assert batch.target.tolist() == [int(key.startswith("snare")) for key in batch.key]
            seen |= dict(zip(batch.key, batch.features, strict=True))
    assert sorted(seen) == sorted(NAMES)
    for name, spectrogram in seen.items():
        assert (spectrogram - features[name]).abs().max() <= 0.5 / 255


def test_twins_of_the_sounds_are_on_one_side(tmp_path):
    pair = ["kick/kit1__1.wav", "kick/kit4__2.wav"]
    _pack(tmp_path, NAMES, twins=[pair[::-1], ["kick/kit1__1.wav", "gone.wav"]])
    for fold in range(5):
        data = _folder(tmp_path, fold=fold)
        sides = [
            {
                name
                for name in ("train", "validation", "test")
                if key in {clip.key for clip in data.split(name)}
            }
            for key in pair
        ]
        assert sides[0] == sides[1]


def test_tags_of_a_pack(tmp_path):
    _pack(tmp_path, ["a__1.wav", "b__1.wav"])
    (tmp_path / "labels.csv").write_text("file,tags\na__1.wav,x;y\nb__1.wav,y\nnot-packed.wav,x\n")
    data = _folder(tmp_path, labels="labels.csv", validation=0, test=0)
    assert [(clip.key, clip.target) for clip in data.split("train")] == [
        ("a__1.wav", (1, 1)),
        ("b__1.wav", (0, 1)),
    ]


def test_no_pack(tmp_path):
    with pytest.raises(ValueError, match=r"pack\.json: no such file: set root"):
        _folder(tmp_path).split("train")


@pytest.mark.parametrize("damage", ["", "[]", '{"files": {}}'])
def test_a_damaged_index_is_named(damage, tmp_path):
    _pack(tmp_path, NAMES)
    (tmp_path / INDEX).write_text(damage)
    with pytest.raises(ValueError, match=r"pack\.json: damaged .*: pack the library again"):
        _folder(tmp_path).split("train")


@pytest.mark.parametrize("other", [{"sample_rate": 16000}, {"eval_crop_s": 0.2}])
def test_a_pack_of_other_settings(other, tmp_path):
    _pack(tmp_path, NAMES)
    with pytest.raises(
        ValueError, match=r"pack\.json: made with .*, and data\.(sample_rate|eval_crop_s) is .*: set"
    ):
        _folder(tmp_path, **other).split("train")


def test_an_absent_spectrogram_is_left_out(tmp_path):
    _pack(tmp_path, NAMES)
    (tmp_path / f"{NAMES[0]}.png").unlink()
    data = _folder(tmp_path, validation=0, test=0)
    data.setup("fit")
    assert data.coverage["train"].left_out == {NAMES[0]: "no such file"}
    assert len(data.rows["train"]) == len(NAMES) - 1
