"""Corpora with lists of their own: real lines, and faults with file and line."""

import pytest

from datamodules.folders.sound_files import Part
from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora import CORPORA

DSD_HEADER = (
    "Utterence name (file name),TTS or VC,Is multi-speaker?,Language,Noise type 1,Source link,utt,group,Speaker name,"
    "Gender,Age,label,Model,subset,duration"
)
DSD_REAL = (
    "09MKIS0040_12815.wav,-,No,Korean,-,-,09MKIS0040_12815,AIHUB,09MKIS0040,Male,Adult,bonafide,-,train,6.25"
)
DSD_FAKE = (
    "12MWKH0048_000026.wav,TTS,No,Korean,-,-,12MWKH0048_000026,VITS-AIHUB,12MWKH0048,Male,Adult,"
    "spoof,VITS,train,1.552"
)
MLAAD_LIST = "fake/en/tts_bark/meta.csv"
MLAAD_HEADER = (
    "path|original_file|language|is_original_language|duration|training_data|model_name|"
    "architecture|transcript"
)
MLAAD_ROW = './fake/xx/tts_bark/a.wav|en_US/x/wavs/a.wav|en|True|1.2|?|tts/bark|Bark|He said: "Yes'
LISTS = {
    "spoofceleb": (
        "metadata/development.csv",
        "file,speaker,attack\na00/id10318/YYsxcZ5saac-00002-006.flac,id10318,a00\na06/id10326/x.flac,id10326,a06\n",
    ),
    "codecfake_xie": (
        "label/dev.txt",
        "SSB13650058.wav real 0\nF01_SSB13650058.wav fake 1 \nF02_SSB13650058.wav fake 2 \n",
    ),
    "add_2023_round_2": (
        "testR2/label.txt",
        "ADD2023_T1.2R2_E_00000003.wav genuine\nADD2023_T1.2R2_E_00000004.wav fake\n",
    ),
    "decro": (
        "ch_dev.txt",
        "unknown 20032123 - baidu spoof \nG0019 T0055G0019S0420 - aidatatang bonafide\n",
    ),
    "dsd": ("DSD_corpus_v1.csv", f"{DSD_HEADER}\n{DSD_REAL}\n{DSD_FAKE}\n"),
    "envsdd": ("datasplit_dev.csv", "file,dataset,usage\n1-2.wav,UrbanSound8K,validation\n"),
    "mlaad": (MLAAD_LIST, f"{MLAAD_HEADER}\n{MLAAD_ROW}\nand she: No.\n"),
}
SPLITS: dict[str, Part] = {"add_2023_round_2": "test", "dsd": "train", "mlaad": "test"}


def read(root, name, more=""):
    place, lines = LISTS[name]
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(lines + more)
    if name == "decro":
        (root / "en_dev.txt").write_text(
            "LA_0030 LA_E_5849185 - asv19 bonafide\n001 test_308_001 - vits spoof\n"
        )
    clips = CORPORA[name].clips(root, SPLITS.get(name, "validation"))
    return [
        (clip.key, clip.path.removeprefix(f"{root}/"), clip.target, dict(clip.attributes)) for clip in clips
    ]


def test_spoofceleb(tmp_path):
    file = "a00/id10318/YYsxcZ5saac-00002-006.flac"
    bonafide, spoof = read(tmp_path, "spoofceleb")
    shared = {"corpus": "spoofceleb"}
    assert bonafide == (
        file,
        f"flac/development/{file}",
        1,
        {**shared, "attack": "-", "speaker": "id10318"},
    )
    assert spoof[2:] == (0, {**shared, "attack": "a06", "speaker": "id10326"})


def test_codecfake_xie(tmp_path):
    bonafide, *spoofs = read(tmp_path, "codecfake_xie")
    assert bonafide == (
        "dev/SSB13650058.wav",
        "dev/SSB13650058.wav",
        1,
        {"corpus": "codecfake_xie", "attack": "-"},
    )
    assert [(spoof[2], spoof[3]["attack"]) for spoof in spoofs] == [(0, "F01"), (0, "F02")]


def test_conditions_of_codecfake_xie_are_one_test_split(tmp_path):
    for condition, folder in (("C1", "test/C1"), ("C7", "C7")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "label").mkdir(exist_ok=True)
        (tmp_path / f"label/{condition}.txt").write_text("SSB13650058.wav real 0\n")
    clips = CORPORA["codecfake_xie"].clips(tmp_path, "test")
    assert [clip.path.removeprefix(f"{tmp_path}/") for clip in clips] == [
        "test/C1/SSB13650058.wav",
        "C7/SSB13650058.wav",
    ]
    assert [clip.attributes["condition"] for clip in clips] == ["C1", "C7"]


def test_add_2023(tmp_path):
    bonafide, spoof = read(tmp_path, "add_2023_round_2")
    file = "ADD2023_T1.2R2_E_00000003.wav"
    assert bonafide == (file, f"testR2/wav/{file}", 1, {"corpus": "add_2023_round_2", "language": "zh"})
    assert spoof[2] == 0


def test_decro(tmp_path):
    spoof, bonafide, *english = read(tmp_path, "decro")
    assert spoof == (
        "ch_dev/20032123",
        "ch_dev/20032123.wav",
        0,
        {"corpus": "decro", "attack": "baidu", "language": "zh", "speaker": "unknown"},
    )
    assert bonafide[2:] == (
        1,
        {"corpus": "decro", "attack": "-", "language": "zh", "speaker": "G0019"},
    )
    assert [(key, target, more["language"]) for key, _, target, more in english] == [
        ("en_dev/LA_E_5849185", 1, "en"),
        ("en_dev/test_308_001", 0, "en"),
    ]


def test_decro_needs_both_languages(tmp_path):
    (tmp_path / "ch_eval.txt").write_text("unknown 20032123 - baidu spoof\n")
    with pytest.raises(ProtocolError, match=r"en_eval.txt: cannot be read \(No such file"):
        CORPORA["decro"].clips(tmp_path, "test")


def test_dsd(tmp_path):
    bonafide, spoof = read(tmp_path, "dsd")
    shared = {"corpus": "dsd", "language": "ko"}
    assert bonafide == (
        "09MKIS0040_12815.wav",
        "09MKIS0040_12815.wav",
        1,
        {**shared, "attack": "-", "speaker": "09MKIS0040"},
    )
    assert spoof[2:] == (0, {**shared, "attack": "VITS", "speaker": "12MWKH0048"})
    with pytest.raises(ProtocolError, match="no utterance of DSD"):
        CORPORA["dsd"].clips(tmp_path, "test")


def test_envsdd_makes_five_of_a_row(tmp_path):
    real, *fakes = read(tmp_path, "envsdd")
    shared = {"corpus": "envsdd", "dataset": "UrbanSound8K"}
    key = "real_audio/UrbanSound8K/1-2.wav"
    assert real == (key, f"development/{key}", 1, {**shared, "attack": "-"})
    assert fakes[1] == (
        "fake_audio/TTA/audioldm1/UrbanSound8K/1-2.wav",
        "development/fake_audio/TTA/audioldm1/UrbanSound8K/1-2.wav",
        0,
        {**shared, "attack": "TTA/audioldm1"},
    )
    assert [fake[3]["attack"] for fake in fakes] == [
        "TTA/audiogen",
        "TTA/audioldm1",
        "TTA/audioldm2",
        "ATA/audioldm1",
    ]


def test_envsdd_test_list(tmp_path):
    (tmp_path / "test_metadata.csv").write_text(
        "a,b,c,d,e\n1.wav,x.wav,Clotho,real,real\n2.wav,x.wav,Clotho,ata,audioldm2\n"
    )
    real, fake = CORPORA["envsdd"].clips(tmp_path, "test")
    assert (real.key, real.path, real.target) == ("1.wav", f"{tmp_path}/test/audio/1.wav", 1)
    assert (fake.target, fake.attributes["attack"]) == (0, "ATA/audioldm2")


def test_mlaad_by_its_list(tmp_path):
    key = "fake/en/tts_bark/a.wav"
    assert read(tmp_path, "mlaad") == [
        (
            key,
            key,
            0,
            {"corpus": "mlaad", "attack": "tts_bark", "language": "en", "architecture": "Bark"},
        )
    ]


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        (
            "spoofceleb",
            "a07/id1/x.flac,id1,a06",
            r"development.csv:4: a07/id1/x.flac is not in a06/id1: correct",
        ),
        ("spoofceleb", "b1/id1/x.flac,id1,b1", r"development.csv:4: label 'b1' is none of a00, a01"),
        ("spoofceleb", "a06/id1/x.flac,id1", r"development.csv:4: 2 columns where 3"),
        ("codecfake_xie", "F03_S.wav real 3", r"dev.txt:4: real does not go with 3: correct the line"),
        ("codecfake_xie", "F03_S.wav fake 8", r"dev.txt:4: fake does not go with 8"),
        ("codecfake_xie", "F03_S.wav fake", r"dev.txt:4: 2 columns where 3"),
        ("add_2023_round_2", "a.wav true", r"label.txt:3: label 'true' is none of"),
        ("add_2023_round_2", "a.wav", r"label.txt:3: 1 columns where 2"),
        ("decro", "unknown 20032123 - baidu spoof", r"ch_dev.txt:3: ch_dev/20032123 comes twice, first in"),
        ("decro", "unknown 1 baidu spoof", r"ch_dev.txt:3: 4 columns where 5"),
        (
            "dsd",
            DSD_REAL.replace("train", "tuning"),
            r"v1.csv:4: subset 'tuning' is none of train, dev, eval",
        ),
        ("dsd", DSD_REAL.replace("12815", "1").replace("bonafide", "ok"), r"v1.csv:4: label 'ok' is none of"),
        ("dsd", DSD_REAL.removesuffix(",6.25"), r"v1.csv:4: 14 columns where 15"),
        ("envsdd", "2.wav,UrbanSound8K,test", r"dev.csv:3: part 'test' is none of train, validation"),
        ("envsdd", "2.wav,UrbanSound8K", r"dev.csv:3: 2 columns where 3"),
        ("mlaad", "./fake/en/tts_bark/b.wav|en", r"meta.csv:4: 2 columns where 9 were expected: take"),
        ("mlaad", MLAAD_ROW, r"meta.csv:4: fake/en/tts_bark/a.wav comes twice, first in .*meta.csv:2"),
    ],
)
def test_faults_are_named_with_file_and_line(tmp_path, name, line, told):
    with pytest.raises(ProtocolError, match=told):
        read(tmp_path, name, f"{line}\n")


def test_heads_without_a_column_are_refused(tmp_path):
    heads: dict[str, tuple[str, str, Part, str]] = {
        "mlaad": (
            MLAAD_LIST,
            "path|language\n",
            "test",
            r"meta.csv:1: no column 'architecture', found path, language",
        ),
        "envsdd": (
            "test_metadata.csv",
            "file,label\n",
            "test",
            r"test_metadata.csv:1: columns file, label where 5",
        ),
        "dsd": ("DSD_corpus_v1.csv", "file,label\na,b\n", "test", r"v1.csv:1: no column 'Utterence name"),
    }
    for name, (place, text, split, told) in heads.items():
        root = tmp_path / name
        (root / place).parent.mkdir(parents=True)
        (root / place).write_text(text)
        with pytest.raises(ProtocolError, match=told):
            CORPORA[name].clips(root, split)
