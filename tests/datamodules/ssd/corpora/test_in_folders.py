"""Corpora whose labels are folders or names of files: real paths, and what is contradictory or missing."""

import pytest

from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora import CORPORA

VOICE_PAIR = "CycleGAN/Venezuela-Argentina/vem_02484-arm_01523"
PATHS: dict[str, tuple[Part, dict[str, tuple[int, dict[str, str]]]]] = {
    "dfadd": (
        "train",
        {
            "DATASET_PflowTTS/train/p345_251_pflow.wav": (0, {"attack": "PflowTTS", "speaker": "p345"}),
            "DATASET_VCTK_BONAFIDE/train/p227_240.wav": (1, {"attack": "-", "speaker": "p227"}),
        },
    ),
    "codecfake": (
        "test",
        {"processed/encodec_24khz+p272_103.wav": (0, {"attack": "encodec_24khz", "speaker": "p272"})},
    ),
    "fake_or_real": (
        "test",
        {
            "for-norm/testing/real/file1044.wav_16k.wav_norm.wav_mono.wav_silence.wav": (
                1,
                {"language": "en"},
            ),
            "for-norm/testing/fake/file16643.mp3": (0, {"language": "en"}),
        },
    ),
    "wavefake": (
        "train",
        {
            "generated_audio/jsut_parallel_wavegan/BASIC5000_0001_gen.wav": (
                0,
                {"attack": "jsut_parallel_wavegan", "language": "ja", "speaker": "jsut"},
            ),
            "generated_audio/ljspeech_hifiGAN/LJ008-0217_generated.wav": (
                0,
                {"attack": "ljspeech_hifiGAN", "language": "en", "speaker": "ljspeech"},
            ),
        },
    ),
    "cfad": (
        "test",
        {
            "codec_version/test_seen_codec/fake_codec/lpcnet/SSB09660003_lpcnet_m4a.wav": (
                0,
                {"attack": "lpcnet", "codec": "m4a", "condition": "codec", "subset": "test_seen"},
            ),
            "codec_version/test_seen_codec/real_codec/aishell1/BAC009S0764W0123_mp3.wav": (
                1,
                {"attack": "-", "codec": "mp3", "language": "zh"},
            ),
            "codec_version/test_unseen_codec/fake_codec/world/SSB1_world_aac.wav": (0, {"attack": "world"}),
            "codec_version/test_unseen_codec/real_codec/thchs30/D4_aac.wav": (1, {"subset": "test_unseen"}),
        },
    ),
    "habla": (
        "train",
        {
            "Real/Chile/clf_07508/clf_07508_00799857148.wav": (
                1,
                {"attack": "-", "country": "Chile", "speaker": "clf_07508", "language": "es"},
            ),
            f"{VOICE_PAIR}/CycleGAN-vem_02484_00993837010-arm_01523_020267.wav": (
                0,
                {"attack": "CycleGAN", "country": "Venezuela-Argentina", "speaker": "arm_01523"},
            ),
            "TTS/Peru/TTS-pem_1_2.wav": (0, {"attack": "TTS", "country": "Peru"}),
            "TTS-VC/TTS-Diff/Peru-Chile/a.wav": (0, {"attack": "TTS-Diff", "country": "Peru-Chile"}),
        },
    ),
    "diffssd": (
        "test",
        {
            "generated_speech/your_tts/speaker_1487/sentence_449.wav": (
                0,
                {"attack": "your_tts", "speaker": "speaker_1487"},
            ),
            "generated_speech/grad_tts/sentence_4999.wav": (0, {"attack": "grad_tts", "speaker": "ljspeech"}),
        },
    ),
    "cvoicefake": (
        "test",
        {
            "CN/Bonafide/common_voice_zh-CN_1.mp3": (1, {"attack": "-", "language": "zh"}),
            "EN/Bonafide/common_voice_en_36752138.mp3": (1, {"attack": "-", "language": "en"}),
            "EN/vctk_parallel_wavegan.v1_generated/common_voice_en_36752138_Gen.mp3": (
                0,
                {"attack": "vctk_parallel_wavegan.v1", "language": "en"},
            ),
        },
    ),
    "m_ailabs": (
        "test",
        {
            "de_DE/by_book/mix/auf_zwei_planeten/wavs/a_f01.wav": (1, {"language": "de"}),
            "en_US/by_book/female/judy_bieber/dorothy_and_wizard_oz/wavs/dorothy_and_wizard_oz_01_f000001.wav": (
                1,
                {"language": "en", "speaker": "judy_bieber"},
            ),
        },
    ),
    "mlaad": (
        "test",
        {
            "fake/ga/tts_models_multilingual_multi-dataset_bark/silent_bullet_09_f000284.wav": (
                0,
                {"attack": "tts_models_multilingual_multi-dataset_bark", "language": "ga"},
            ),
            "fake/zh-cn/griffin_lim/a.wav": (0, {"attack": "griffin_lim", "language": "zh"}),
        },
    ),
}


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("name", PATHS)
def test_real_paths(tmp_path, name):
    split, expected = PATHS[name]
    touch(tmp_path, *expected)
    clips = {clip.key: clip for clip in CORPORA[name].clips(tmp_path, split)}
    assert set(clips) == set(expected)
    for key, (target, attributes) in expected.items():
        assert clips[key].path == f"{tmp_path}/{key}"
        assert clips[key].target == target
        assert attributes.items() <= clips[key].attributes.items()


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        (
            "dfadd",
            ["DATASET_VCTK_BONAFIDE/train/a.wav", "DATASET_X/test/a.wav"],
            r"DATASET_X/train: no audio at <file>",
        ),
        ("dfadd", ["DATASET_X/train/a.wav"], r"holds no DATASET_VCTK_BONAFIDE, nor does a folder in it: set"),
        (
            "codecfake",
            ["processed/p272_103.wav"],
            r"p272_103.wav: no name such as encodec_24khz\+p272_103.wav: move",
        ),
        (
            "fake_or_real",
            ["for-norm/training/real/a.wav"],
            r"for-norm/training/fake: no audio at <file>: unpack",
        ),
        (
            "fake_or_real",
            ["for-original/training/real/a.wav"],
            r"holds no for-norm/training or for-norm/testing",
        ),
        (
            "cfad",
            ["clean_version/train_clean/real_clean/a.wav"],
            r"a.wav: .* has audio at <system>/<file>: move",
        ),
        (
            "habla",
            ["Real/Chile/a.wav"],
            r"Real/Chile/a.wav: .*Real has audio at <country>/<speaker>/<file>: move",
        ),
        (
            "cvoicefake",
            ["de/Bonafide/a.mp3", "en/world_generated/a.mp3"],
            r"en: has no folder Bonafide: unpack",
        ),
        (
            "mlaad",
            ["fake/en/bark/more/a.wav"],
            r"more/a.wav: .*bark has audio at <file>: move other files away",
        ),
        (
            "wavefake",
            ["generated_audio/a.wav"],
            r"no utterance of WaveFake: set its root to the unpacked corpus",
        ),
    ],
)
def test_what_is_contradictory_or_missing_is_named(tmp_path, name, files, told):
    touch(tmp_path, *files)
    with pytest.raises(ProtocolError, match=told):
        CORPORA[name].clips(tmp_path, "train")


def test_mlaad_takes_m_ailabs_as_its_genuine_side(tmp_path):
    spoof = "MLAAD/fake/en/bark/a.wav"
    genuine = "M-AILABS/en_US/by_book/female/judy_bieber/oz/wavs/a.wav"
    touch(tmp_path, spoof, genuine)
    clips = CORPORA["mlaad"].clips(tmp_path, "test")
    assert [(clip.path, clip.target) for clip in clips] == [
        (f"{tmp_path}/{spoof}", 0),
        (f"{tmp_path}/{genuine}", 1),
    ]
    assert [clip.attributes["language"] for clip in clips] == ["en", "en"]


def test_a_root_that_is_one_version_of_cfad_is_that_version(tmp_path):
    for version, name in (("clean_version", "clean"), ("noisy_version", "noise")):
        for label in ("real", "fake"):
            touch(tmp_path, f"{version}/dev_{name}/{label}_{name}/gl/a_gl.wav")
    cfad = CORPORA["cfad"]
    conditions = [clip.attributes["condition"] for clip in cfad.clips(tmp_path, "validation")]
    assert conditions == ["clean", "clean", "noise", "noise"]
    clips = cfad.clips(tmp_path / "noisy_version", "validation")
    assert [clip.key.split("/")[0] for clip in clips] == ["noisy_version"] * 2


def test_two_versions_of_fake_or_real_are_two_corpora(tmp_path):
    touch(
        tmp_path,
        *(f"{v}/testing/{c}/file1.wav" for v in ("for-norm", "for-original") for c in ("real", "fake")),
    )
    keys = {
        n: {c.key for c in CORPORA[n].clips(tmp_path, "test")}
        for n in ("fake_or_real", "fake_or_real_original")
    }
    assert keys["fake_or_real"] == {"for-norm/testing/real/file1.wav", "for-norm/testing/fake/file1.wav"}
    assert keys["fake_or_real"].isdisjoint(keys["fake_or_real_original"])
