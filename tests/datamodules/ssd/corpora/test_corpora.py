"""Every corpus by name: its made corpus has its layout, and its page tells what it is."""

import re
from collections import Counter
from pathlib import Path

import pytest
import soundfile
from noise_for_speech import let_noise_stand_for_speech

from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora import CORPORA

SPOOFED_ONLY = {"codecfake", "diffssd", "wavefake"}
GENUINE_ONLY = {"m_ailabs"}
AT_THE_ROOT = {"codecfake"}
PAGE = Path(__file__).parents[4] / "datamodules/ssd/corpora/README.md"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a corpus of a name."""
    let_noise_stand_for_speech(monkeypatch)

    def make(name):
        CORPORA[name].write_demo(tmp_path, 0)
        return tmp_path

    return make


@pytest.mark.parametrize("name", CORPORA)
def test_the_made_corpus_has_its_layout(name, made):
    corpus, root = CORPORA[name], made(name)
    clips = {split: corpus.clips(root, split) for split in corpus.splits or ("train", "validation", "test")}
    expected = {0} if name in SPOOFED_ONLY else {1} if name in GENUINE_ONLY else {0, 1}
    for part in clips.values():
        assert {clip.target for clip in part} == expected
        assert len({clip.key for clip in part}) == len({clip.path for clip in part}) == len(part)
        assert all(soundfile.info(clip.path).samplerate == 16000 for clip in part)
        assert {clip.attributes["corpus"] for clip in part} == {name}
        assert all(clip.attributes.get("attack", "-") == "-" for clip in part if clip.target == 1)
        assert all(clip.attributes.get("attack") != "-" for clip in part if clip.target == 0)
    if corpus.splits:
        keys = Counter(clip.key for part in clips.values() for clip in part)
        assert max(keys.values()) == 1
    else:
        assert clips["train"] == clips["validation"] == clips["test"]


@pytest.mark.parametrize("name", CORPORA)
def test_no_two_files_of_a_made_corpus_say_the_same(name, made):
    files = [file for file in made(name).rglob("*") if file.suffix in {".wav", ".flac", ".mp3"}]
    assert len({file.read_bytes() for file in files}) == len(files)


@pytest.mark.parametrize("name", CORPORA)
def test_all_of_a_made_corpus_is_read(name, made):
    corpus, root = CORPORA[name], made(name)
    read = {clip.path for split in corpus.splits or ("test",) for clip in corpus.clips(root, split)}
    assert {Path(path) for path in read} == {
        file for file in root.rglob("*") if file.suffix in {".wav", ".flac", ".mp3"}
    }


@pytest.mark.parametrize("name", CORPORA)
def test_an_empty_root_is_refused_by_its_name(name, tmp_path):
    split = (CORPORA[name].splits or ("test",))[0]
    with pytest.raises(ProtocolError, match=rf"^{re.escape(str(tmp_path))}\S*: .*: ") as refused:
        CORPORA[name].clips(tmp_path, split)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [name for name in CORPORA if name not in AT_THE_ROOT])
def test_a_root_above_is_the_same_corpus(name, made, tmp_path):
    corpus, root = CORPORA[name], made(name)
    split = (corpus.splits or ("test",))[-1]
    keys = [clip.key for clip in corpus.clips(root, split)]
    above = tmp_path.parent / f"above_{tmp_path.name}"
    above.mkdir()
    tmp_path.rename(above / "unpacked")
    assert [clip.key for clip in corpus.clips(above, split)] == keys


def _row(corpus):
    """What the page's table says of a corpus, but for its layout."""
    counts = "; ".join(
        f"{'' if split == 'all' else split + ' '}{bonafide:,} + {spoof:,}"
        for split, (bonafide, spoof) in corpus.counts.items()
    )
    speech = ", ".join(sorted(corpus.speech_of))
    return [corpus.title, ", ".join(corpus.splits), counts, corpus.licence, speech]


def test_the_page_has_every_corpus_as_it_is():
    rows = {}
    for line in PAGE.read_text().splitlines():
        if found := re.fullmatch(r"\| `(\w+)` \| \[([^]]+)\]\((\S+)\) \| (.+) \|", line):
            name, title, source, rest = found.groups()
            layout, *others = rest.split(" | ")
            assert source == CORPORA[name].source
            assert layout.startswith("`")
            rows[name] = [title, *(cell.strip() for cell in others)]
    assert rows == {name: _row(corpus) for name, corpus in CORPORA.items()}
