"""In-the-Wild: its list beside its audio."""

import pytest
import soundfile

from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora.in_the_wild import IN_THE_WILD

ROWS = "file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,Alec Guinness,bona-fide\n"


def test_real_lines(tmp_path):
    (tmp_path / "meta.csv").write_text(ROWS)
    spoof, bonafide = IN_THE_WILD.clips(tmp_path, "test")
    assert (spoof.key, spoof.path, spoof.target) == ("0.wav", f"{tmp_path}/0.wav", 0)
    assert (bonafide.target, bonafide.attributes) == (
        1,
        {"corpus": "in_the_wild", "speaker": "Alec Guinness"},
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2.wav,Alec Guinness,genuin", "meta.csv:4: label 'genuin' is none of bonafide, bona-fide"),
        ("0.wav,Alec Guinness,spoof", r"meta.csv:4: 0.wav comes twice, first in .*meta.csv:2"),
        ("0.wav,Alec Guinness,bona-fide", r"meta.csv:4: 0.wav is bonafide here, and spoof in .*meta.csv:2"),
        ("2.wav,spoof", r"meta.csv:4: 2 columns where 3 were expected"),
    ],
)
def test_faults_are_named_with_file_and_line(tmp_path, line, told):
    (tmp_path / "meta.csv").write_text(ROWS + line + "\n")
    with pytest.raises(ProtocolError, match=told):
        IN_THE_WILD.clips(tmp_path, "test")


def test_the_made_corpus_has_its_layout(tmp_path):
    IN_THE_WILD.write_demo(tmp_path, 0)
    clips = IN_THE_WILD.clips(tmp_path, "train")  # whole: it has no splits of its own
    assert sorted(clip.target for clip in clips) == [0] * 4 + [1] * 4
    assert all(soundfile.info(clip.path).samplerate == 16000 for clip in clips)
