"""Lists of trials: what their columns are taken for, and what is refused."""

import pytest

from lightning_modules.metrics.asvspoof_protocols import read_protocol
from lightning_modules.metrics.trial_files import read_trial_file

LOG = "Load\nGenerating 2,LA_E_2,0,43237,0, time: 0.005s\nOutput, LA_E_1, 1, 0.5\n\nOutput, LA_E_2, 0, -0.25\nDone\n"
ANTIDEEPFAKE = (
    "ID,Label,Duration,SampleRate,Path,Attack,Speaker,Proportion,AudioChannel,AudioEncoding,AudioBitSample,"
)
ANTIDEEPFAKE += "Language\n"
MLAAD = "path|original_file|language|is_original_language|duration|training_data|model_name|architecture|transcript\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("u1 0.5\nu2 -0.25\n", None),
        ("u1,0.5\nu2,-0.25\n", None),
        ("u1\t0.5\nu2\t-0.25\n", None),
        ("0.5 u1\n-0.25 u2\n", None),
        ("0.5 u1\n-0.25 u2\n", "columns are SCORE UTT"),
        ("u1 bonafide 0.5\nu2 spoof -0.25\n", "columns are UTT LABEL SCORE"),
        ("u1 0.5 real\nu2 -0.25 fake\n", "columns are UTT SCORE LABEL"),
        ("genuine u1 0.5\nspoof u2 -0.25\n", "columns are LABEL UTT SCORE"),
        ("u1 - bonafide 0.5\nu2 A07 spoof -0.25\n", ""),
        ("filename\tcm-score\nu1\t0.5\nu2\t-0.25\n", ""),
        ("key,label,score,corpus\nu1,bonafide,0.5,x\nu2,spoof,-0.25,x\n", ""),
        (
            "Score;File;Class\n0.5;u1;Bona-Fide\n-0.25;u2;Spoof\n",
            "File is the name, Class is the label, Score is the score",
        ),
        ('ID,Score,Label\nu1,"[-0.25, 0.25]",1\nu2,"[0.125, -0.125]",0\n', "Score is the score, real - fake"),
        (LOG.replace("LA_E_", "u"), "'Output, UTT, LABEL, SCORE' are its trials, label 1 is bona fide"),
    ],
)
def test_score_files_of_every_layout(tmp_path, text, taken):
    file = read_trial_file(write(tmp_path / "scores", text))
    assert file.names == [["u1", "u2"]]
    assert file.scores is not None
    assert file.scores.tolist() == [0.5, -0.25]
    if file.labels is not None:
        assert file.is_bonafide().tolist() == [True, False]
    if taken is not None:
        assert file.taken.endswith(taken)
        assert bool(file.taken) == bool(taken)


@pytest.mark.parametrize(
    ("text", "names", "columns"),
    [
        ("file_name,label\n/a/1.wav,bonafide\n/a/2.wav,spoof\n", ["/a/1.wav", "/a/2.wav"], {}),
        (
            "file,speaker,label\n0.wav,Alec Guinness,bona-fide\n1.wav,Alec Guinness,spoof\n",
            ["0.wav", "1.wav"],
            {"speaker": ["Alec Guinness"] * 2},
        ),
        (
            "file,speaker,attack\na00/id1/x-1.flac,id1,a00\na06/id1/y-1.flac,id1,a06\n",
            ["a00/id1/x-1.flac", "a06/id1/y-1.flac"],
            {"attack": ["a00", "a06"], "speaker": ["id1", "id1"]},
        ),
        (
            ANTIDEEPFAKE + "LA-1,real,2.2,16000,$ROOT//LA_1.wav,-,LA_45,test,1,PCM_S,16,EN\n"
            "LA-2,fake,2.2,16000,$ROOT//LA_2.wav,A10,LA_45,test,1,PCM_S,16,EN\n",
            ["LA-1", "LA-2"],
            {"attack": ["-", "A10"], "language": ["EN", "EN"], "speaker": ["LA_45", "LA_45"]},
        ),
        ("ADD_1.wav genuine\nADD_2.wav fake\n", ["ADD_1.wav", "ADD_2.wav"], {}),
        ("SSB_1.wav real 0\nSSB_2.wav fake 1\n", ["SSB_1.wav", "SSB_2.wav"], {}),
        ("unknown 1 - - bonafide\nunknown 2 - baidu spoof\n", ["1", "2"], {"attack": ["-", "baidu"]}),
    ],
)
def test_keys_of_every_layout(tmp_path, text, names, columns):
    protocol = read_protocol(write(tmp_path / "key.csv", text))
    assert protocol.keys == names
    assert protocol.is_bonafide.tolist() == [True, False]
    assert protocol.chosen.all()
    found = {name: column.tolist() for name, column in protocol.columns.items() if name != "environment"}
    assert found == columns


def test_mlaad_is_a_folder_of_lists_of_spoofed_speech(tmp_path):
    row = './fake/{0}/{1}/a_000{2}.wav|x/a.wav|{0}|False|2.1|LJ|{1}|VITS|"Well"\n'
    write(tmp_path / "fake/de/m1/meta.csv", MLAAD + row.format("de", "m1", 1).replace('"Well"', "Well"))
    write(tmp_path / "fake/ga/m2/meta.csv", MLAAD + row.format("ga", "m2", 1) + row.format("ga", "m2", 2))
    protocol = read_protocol(tmp_path)
    assert protocol.keys == [
        f"./fake/{name}.wav" for name in ("de/m1/a_0001", "ga/m2/a_0001", "ga/m2/a_0002")
    ]
    assert not protocol.is_bonafide.any()
    assert protocol.columns["attack"].tolist() == ["m1", "m2", "m2"]
    assert protocol.columns["language"].tolist() == ["de", "ga", "ga"]
    assert protocol.taken.startswith("2 meta.csv below it, path is the name, model_name is the attack")
    assert protocol.taken.endswith("all are spoofed")
    write(tmp_path / "fake/de/m3/meta.csv", MLAAD + row.format("de", "m1", 1))
    with pytest.raises(ValueError, match=r": ./fake/de/m1/a_0001.wav comes a second time"):
        read_protocol(tmp_path)


def test_speakers_break_results_down_only_where_they_are_few(tmp_path):
    few, many = (
        [f"{row}.wav,s{row % count},{'spoof' if row % 2 else 'bona-fide'}\n" for row in range(42)]
        for count in (20, 21)
    )
    for rows, columns in ((few, ["speaker"]), (many, [])):
        path = write(tmp_path / "meta.csv", "file,speaker,label\n" + "".join(rows))
        assert list(read_protocol(path).columns) == columns


def test_numbers_as_labels_need_the_word_for_bona_fide(tmp_path):
    path = write(tmp_path / "key.csv", "file,label\na.wav,0\nb.wav,1\n")
    with pytest.raises(
        ValueError, match=r"labels 0 and 1 do not say which is bona fide: give --bonafide 1, or"
    ):
        read_protocol(path)
    assert read_protocol(path, bonafide="0").is_bonafide.tolist() == [True, False]
    with pytest.raises(ValueError, match="no trial has the label 'real' of --bonafide, but '0'"):
        read_protocol(path, bonafide="real")
    assert read_trial_file(write(tmp_path / "three", "a 1 0.5\nb 0 0.25\n")).labels == ["1", "0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LOG.replace("-0.25", "low"), r":5: score 'low' of LA_E_2 is not a finite number"),
        (LOG.replace(", -0.25", ""), r":5: 3 columns, expected 4"),
        (
            "a 1 0\nb 0 1\n",
            r":1: cannot tell what the columns of 'a 1 0' are; begin the file with a line that names them",
        ),
        ("1 2 0.5\n", r":1: cannot tell what the columns of '1 2 0.5' are"),
        ("a b c d e f g\n", r":1: 7 columns; expected 'UTT SCORE', 'UTT LABEL SCORE'"),
        ('file,score\n"a.wav,0.5\nb.wav,0.5\n', r":2: 1 columns, expected 2"),
        ('ID,Score,Label\nx,"[0.5, 1]",1\ny,0.5,0\n', r":3: score '0.5' of y is no pair '\[fake, real\]'"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_trial_file(write(tmp_path / "file", text))


def test_an_empty_folder_is_no_mlaad(tmp_path):
    with pytest.raises(ValueError, match=r"no meta.csv of MLAAD in it or below"):
        read_trial_file(tmp_path)
