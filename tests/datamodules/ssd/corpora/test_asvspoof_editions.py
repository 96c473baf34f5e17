"""The editions of ASVspoof as corpora."""

from pathlib import Path

import pytest

from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora import CORPORA
from datamodules.ssd.corpora.asvspoof_editions import EDITIONS

LINES = {
    "asvspoof_2019_la": (
        "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt",
        "LA_0039 LA_E_2834763 - A11 spoof\n",
        "ASVspoof2019_LA_eval/flac/LA_E_2834763.flac",
        {"speaker": "LA_0039", "attack": "A11"},
    ),
    "asvspoof_2021_df": (
        "keys/DF/CM/trial_metadata.txt",
        "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -\n"
        "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval neural_vocoder_nonautoregressive Task1"
        " team20 FF E\n",
        "ASVspoof2021_DF_eval/flac/DF_E_2000013.flac",
        {"codec": "low_m4a", "attack": "Task1-team20", "source": "vcc2020"},
    ),
    "asvspoof_5": (
        "ASVspoof5.eval.track_1.tsv",
        "E_1607 E_0009538969 M C05 2 - AC2 A22 spoof -\n",
        "flac_E_eval/E_0009538969.flac",
        {"codec": "C05", "attack": "A22"},
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_real_lines(tmp_path, name):
    protocol, lines, path, attributes = LINES[name]
    (tmp_path / protocol).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / protocol).write_text(lines)
    (clip,) = CORPORA[name].clips(tmp_path, "test")  # of 2021 the subset eval
    assert (clip.key, clip.path, clip.target) == (Path(path).stem, str(tmp_path / path), 0)
    assert {"corpus": name, **attributes}.items() <= clip.attributes.items()


def test_a_malformed_line_is_named(tmp_path):
    (tmp_path / "ASVspoof5.eval.track_1.tsv").write_text("E_1607 E_0009538969 M C05 2 - AC2 A22 spoof\n")
    with pytest.raises(ProtocolError, match=r"track_1.tsv:1: 9 columns where 10 or 6 columns were expected"):
        CORPORA["asvspoof_5"].clips(tmp_path, "test")
    with pytest.raises(ProtocolError, match="ASVspoof 2021 DF has no train split, but test"):
        CORPORA["asvspoof_2021_df"].clips(tmp_path, "train")


@pytest.mark.parametrize("corpus", EDITIONS, ids=lambda corpus: corpus.name)
def test_the_made_corpus_has_its_layout(tmp_path, corpus, monkeypatch):
    written = []
    monkeypatch.setattr(
        "datamodules.ssd.corpora.asvspoof_editions.write_utterance",
        lambda path, **_: written.append(str(path)),
    )
    corpus.write_demo(tmp_path, 0)
    assert corpus.splits == tuple(corpus.counts)
    clips = [clip for split in corpus.splits for clip in corpus.clips(tmp_path, split)]
    assert [clip.path for clip in clips] == written
    assert sum(clip.target for clip in clips) == len(clips) / 2 == 5 * len(corpus.splits)
