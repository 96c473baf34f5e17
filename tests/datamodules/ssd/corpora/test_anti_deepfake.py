"""Lists of AntiDeepfake: twelve columns, ``$ROOT``, splits."""

import pytest

from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora.anti_deepfake import anti_deepfake

HEADER = (
    "ID,Label,Duration,SampleRate,Path,Attack,Speaker,Proportion,AudioChannel,AudioEncoding,AudioBitSample,"
    "Language"
)
ROWS = f"""{HEADER}
ASV19LAdemo-LA_T_7529623,fake,2.71,16000,$ROOT//toy_example/train_dev/LA_T_7529623.wav,A03,LA_0079,train,1,PCM_S,16,EN
ASV19LAdemo-LA_E_7583177,fake,2.22,16000,$ROOT//toy_example/eval/LA_E_7583177.wav,A10,LA_0045,test,1,PCM_S,16,EN
ASV19LAdemo-LA_E_1000000,real,2.22,16000,$ROOT//toy_example/eval/LA_E_1000000.wav,-,LA_0045,test,1,PCM_S,16,-1
"""


@pytest.mark.parametrize("below", ["toy_example/", ""])
def test_real_lines_and_their_splits(tmp_path, below):
    (tmp_path / "toy.csv").write_text(ROWS)
    (tmp_path / below / "eval").mkdir(parents=True)
    for name in ("LA_E_7583177", "LA_E_1000000"):
        (tmp_path / below / f"eval/{name}.wav").touch()
    corpus = anti_deepfake("toy", None)
    assert [clip.key for clip in corpus.clips(tmp_path, "train")] == ["ASV19LAdemo-LA_T_7529623"]
    spoof, bonafide = corpus.clips(tmp_path, "test")
    assert (spoof.path, spoof.target) == (f"{tmp_path}/{below}eval/LA_E_7583177.wav", 0)
    assert spoof.attributes == {"corpus": "toy", "attack": "A10", "speaker": "LA_0045", "language": "EN"}
    assert (bonafide.target, bonafide.attributes["attack"], bonafide.attributes["language"]) == (1, "-", "")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("real,", "genuin,", r"toy.csv:4: label 'genuin' is none of"),
        (",train,", ",trian,", r"toy.csv:2: Proportion 'trian' is neither train, valid nor test"),
        ("$ROOT//toy_example/eval/LA_E_1000000.wav", "", r"toy.csv:4: ASV19LAdemo-LA_E_1000000 has no path"),
        (",1,PCM_S,16,-1", "", r"toy.csv:4: 8 columns where 12 were expected"),
        ("Proportion", "Split", "toy.csv:1: no column 'Proportion', found ID, Label"),
    ],
)
def test_faults_are_named_with_file_and_line(tmp_path, old, new, told):
    (tmp_path / "toy.csv").write_text(ROWS.replace(old, new))
    with pytest.raises(ProtocolError, match=told):
        anti_deepfake("toy", None).clips(tmp_path, "test")


def test_the_made_corpus_has_its_layout(tmp_path):
    corpus = anti_deepfake("mine", None)
    corpus.write_demo(tmp_path, 0)
    for split in ("train", "validation", "test"):
        assert sorted(clip.target for clip in corpus.clips(tmp_path, split)) == [0] * 8 + [1] * 2
