"""Every kind of file that a corpus really contains, whole and damaged."""

import builtins
import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from datamodules import audio
from datamodules.audio import resampling

RATE = 16000


def _noise(seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * RATE), channels))


def _wav(path: Path, **kwargs) -> Path:
    soundfile.write(path, _noise(**kwargs), RATE)
    return path


def _empty(folder: Path) -> Path:
    path = folder / "empty.wav"
    path.write_bytes(b"")
    return path


def _garbage(folder: Path) -> Path:
    path = folder / "garbage.flac"
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    return path


def _text(folder: Path) -> Path:
    path = folder / "page.mp3"
    path.write_text("<html>404 not found</html>\n" * 50)
    return path


def _header_only(folder: Path) -> Path:
    path = folder / "header.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
    return path


def _truncated_wav(folder: Path) -> Path:
    path = _wav(folder / "cut.wav")
    path.write_bytes(path.read_bytes()[:8000])
    return path


def _truncated_flac(folder: Path) -> Path:
    path = folder / "cut.flac"
    soundfile.write(path, _noise(), RATE)
    path.write_bytes(path.read_bytes()[:6000])
    return path


def _nan(folder: Path) -> Path:
    path = folder / "nan.wav"
    samples = _noise()
    samples[100] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


def _infinite(folder: Path) -> Path:
    path = folder / "inf.wav"
    samples = _noise()
    samples[7] = np.inf
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


def _vanished(folder: Path) -> Path:
    path = _wav(folder / "vanished.wav")
    path.unlink()
    return path


def _a_folder(folder: Path) -> Path:
    path = folder / "folder.wav"
    path.mkdir()
    return path


def _lfs_pointer(folder: Path) -> Path:
    path = folder / "pointer.flac"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n")
    return path


def _silent_video(folder: Path) -> Path:
    path = folder / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            for packet in stream.encode(av.VideoFrame(32, 32, "yuv420p")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


FAULTS: dict[Callable[[Path], Path], str] = {
    _empty: "is empty",
    _garbage: "not decodable",
    _text: "not decodable",
    _header_only: "holds no samples",
    _truncated_wav: "truncated: has 3978 samples and lacks 4022",
    _truncated_flac: r"truncated: has \d+ samples and lacks \d+;",
    _nan: "NaN or infinite",
    _infinite: "NaN or infinite",
    _vanished: "no such file",
    _a_folder: "is a folder",
    _silent_video: "no audio track",
    _lfs_pointer: "a Git LFS pointer instead of the sound",
}


@pytest.mark.parametrize("make", FAULTS, ids=lambda make: make.__name__)
def test_faulty_file_gives_one_line_with_its_name_and_a_way_out(make, tmp_path) -> None:
    path = make(tmp_path)
    with pytest.raises(audio.AudioError, match=FAULTS[make]) as caught:
        audio.read(path)
    message = str(caught.value)
    assert str(path) in message
    assert ";" in message  # fault; way out
    assert "\n" not in message


def test_video_without_sound_has_its_own_error(tmp_path) -> None:
    with pytest.raises(audio.NoAudioTrackError):
        audio.info(_silent_video(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path) -> None:
    path = _wav(tmp_path / "locked.wav")
    path.chmod(0)
    with pytest.raises(audio.AudioError, match=r"locked\.wav: not readable"):
        audio.read(path)


def test_permission_error_is_named(tmp_path, monkeypatch) -> None:
    path = _wav(tmp_path / "locked.wav")

    def refuse(*arguments, **settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(
        audio.AudioError, match=r"locked\.wav: not readable by this user; give read permission"
    ):
        audio.read(path)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_wav_from_a_pipe_without_its_length_is_accepted(size, tmp_path) -> None:
    path = _wav(tmp_path / "pipe.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", size)
    path.write_bytes(content)
    assert audio.read(path)[0].shape == (1, 8000)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
def test_sample_formats_decode_to_unit_range(subtype, tmp_path) -> None:
    path, samples = tmp_path / "a.wav", _noise(channels=2)
    soundfile.write(path, samples, RATE, subtype=subtype)
    waveform, rate = audio.read(path)
    assert (waveform.dtype, rate) == (torch.float32, RATE)
    np.testing.assert_allclose(waveform.numpy().T, samples, atol=2**-7 if subtype == "PCM_U8" else 2**-14)


def test_content_decides_and_not_the_name(tmp_path) -> None:
    path = tmp_path / "really_flac.wav"
    soundfile.write(path, _noise(), RATE, format="FLAC")
    assert audio.read(path)[0].shape == (1, 8000)


def test_start_and_frames_select_a_part(tmp_path) -> None:
    path = _wav(tmp_path / "a.wav")
    whole, _ = audio.read(path)
    torch.testing.assert_close(audio.read(path, 1000, 500)[0], whole[:, 1000:1500])
    torch.testing.assert_close(audio.read(path, 7000, 5000)[0], whole[:, 7000:])


def test_two_hours_are_read_in_bounded_memory(tmp_path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        file.seek(2 * 3600 * RATE - 100)
        file.write(np.full(100, 0.25))
    assert audio.info(path).num_frames == 2 * 3600 * RATE
    waveform, _ = audio.read(path, 2 * 3600 * RATE - 50, 16000)
    assert waveform.shape == (1, 50)
    assert waveform.untyped_storage().nbytes() < 1000
    assert waveform.allclose(torch.tensor(0.25))


def _m4a(path: Path, samples: np.ndarray, rate: int = 44100) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        for begin in range(0, samples.size, 1024):
            block = np.ascontiguousarray(samples[None, begin : begin + 1024], np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, begin
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def test_container_gives_the_encoded_sound_at_its_place(tmp_path) -> None:
    time = np.arange(2 * 44100) / 44100
    samples = 0.5 * np.sin(2 * np.pi * (200 * time + 100 * time**2))  # a chirp: its place can be told
    path = tmp_path / "a.m4a"
    _m4a(path, samples)
    header = audio.info(path)
    assert (header.sample_rate, header.num_channels) == (44100, 1)
    assert abs(header.num_frames - samples.size) < 3000
    whole, rate = audio.read(path)
    assert rate == 44100
    decoded, lags = whole[0].numpy(), range(-50, 51)
    likeness = [np.corrcoef(decoded[2000 + lag : 80000 + lag], samples[2000:80000])[0, 1] for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0
    assert max(likeness) > 0.97
    part, _ = audio.read(path, 60000, 5000)
    torch.testing.assert_close(part, whole[:, 60000:65000], atol=1e-3, rtol=0)


def test_resampling_keeps_a_tone_and_caches_its_kernel() -> None:
    time = torch.arange(44100, dtype=torch.float64) / 44100
    tone = torch.sin(2 * torch.pi * 440 * time).float()[None]
    low = audio.resample(tone, 44100, RATE)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(RATE, dtype=torch.float64) / RATE).float()
    assert low.shape == (1, RATE)
    torch.testing.assert_close(low[0, 100:-100], expected[100:-100], atol=2e-3, rtol=0)
    assert resampling._resampler(44100, RATE) is resampling._resampler(44100, RATE)
    assert audio.resample(tone, RATE, RATE) is tone


@pytest.mark.parametrize(("source", "target"), [(3001, 4000), (4000, 3001), (997, 16000)])
def test_rates_without_a_common_factor_need_no_great_table(monkeypatch, source: int, target: int) -> None:
    waveform = torch.randn(2, 70_001, dtype=torch.float64)
    expected = torchaudio.functional.resample(waveform, source, target)
    monkeypatch.setattr(torchaudio.transforms, "Resample", lambda *_: pytest.fail("makes a table"))
    found = audio.resample(waveform, source, target)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("source", "target"), [(44100, 16000), (16000, 44100), (48000, 16000), (44099, 16000)]
)
@pytest.mark.parametrize("resampler", ["soxr_hq", "torchaudio"])
def test_resamplers_keep_length_place_and_shape(resampler, source: int, target: int) -> None:
    for size in (1, 2, 100, 12345, 64001):
        waveform = torch.randn(2, 3, size)
        found = audio.resample(waveform, source, target, resampler)
        assert found.shape == (2, 3, -(-size * target // source))
        torch.testing.assert_close(
            audio.resample(waveform[1, 2], source, target, resampler), found[1, 2], atol=1e-6, rtol=0
        )
    impulse = torch.zeros(source)
    impulse[source // 2] = 1
    assert audio.resample(impulse, source, target, resampler).argmax() == round(source // 2 * target / source)


def test_soxr_leaves_nothing_of_what_the_target_cannot_hold_and_keeps_the_rest() -> None:
    time = torch.arange(2 * 44100, dtype=torch.float64) / 44100

    def level_db(frequency: float, resampler) -> float:
        tone = (2 * torch.pi * frequency * time).sin().float()
        found = audio.resample(tone, 44100, 16000, resampler)[2000:-2000].double()
        return 10 * (2 * found.square().mean()).log10().item()

    assert level_db(8500, "soxr_hq") < -130
    assert level_db(8500, "torchaudio") == pytest.approx(-10.8, abs=0.1)
    assert level_db(7000, "soxr_hq") == pytest.approx(0, abs=0.02)


def test_real_containers(corpora) -> None:
    for path in sorted((corpora / "events" / "containers").iterdir()):
        header = audio.info(path)
        waveform, rate = audio.read(path)
        assert rate == header.sample_rate
        assert waveform.shape[0] == header.num_channels
        assert abs(waveform.shape[1] - header.num_frames) < 0.2 * rate
        assert waveform.abs().max() > 0.01
        part, _ = audio.read(path, rate, rate // 2)
        torch.testing.assert_close(part, waveform[:, rate : rate + rate // 2])


def test_real_video_sounds_like_its_audio_file(corpora) -> None:
    video = sorted((corpora / "events" / "video").iterdir())[0]
    twin, twin_rate = audio.read(corpora / "events" / "audio" / f"{video.stem}.flac")
    waveform, rate = audio.read(video)
    waveform = audio.resample(waveform.mean(dim=0, keepdim=True), rate, twin_rate)
    size = min(waveform.shape[1], twin.shape[1])
    correlation = torch.corrcoef(torch.cat([waveform[:, :size], twin[:, :size]]))[0, 1]
    assert correlation > 0.9
