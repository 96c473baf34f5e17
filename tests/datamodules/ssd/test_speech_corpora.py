"""Several corpora at once: their ids, roles, weights, leaks, counts, places, and the order of batches."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from datamodules import SpeechCorpora
from datamodules.base import ClipDataModule
from datamodules.check import check
from datamodules.config.experiment import data_parser, parse_data
from datamodules.protocol import ProtocolError
from datamodules.ssd.corpora.located import CorpusAt

LA, WILD = "asvspoof_2019_la", "in_the_wild"


def listed(root, *rows):
    """A folder with an arena's list of silent files."""
    root.mkdir(parents=True)
    for name, _ in rows:
        soundfile.write(root / name, np.zeros(800), 16000)
    (root / "list.csv").write_text("file_name,label\n" + "".join(f"{name},{label}\n" for name, label in rows))
    return str(root)


def two_lists(tmp_path, **settings):
    """Two sets with equal file names: 2 bona fide and 6 spoofed, 1 and 1."""
    names = [(f"{number}.wav", "real" if number < 2 else "fake") for number in range(8)]
    roots = listed(tmp_path / "a", *names), listed(tmp_path / "b", *names[1:3])
    corpora = {name: CorpusAt("arena", root) for name, root in zip("ab", roots, strict=True)}
    return SpeechCorpora(corpora=corpora, train_crop_s=0.01, num_workers=0, **settings)


def test_equal_file_names_of_two_corpora_never_collide(tmp_path):
    data = two_lists(tmp_path, train=["a", "b"], test=[])
    data.setup("fit")
    keys = [clip.key for clip in data.rows["train"]]
    assert keys == [*(f"a/{number}.wav" for number in range(8)), "b/1.wav", "b/2.wav"]
    assert [clip.attributes["corpus"] for clip in data.rows["train"]] == ["a"] * 8 + ["b"] * 2
    alone = two_lists(tmp_path / "again", test=["b"])
    alone.setup("test")
    assert [clip.key for clip in alone.rows["test"]] == ["1.wav", "2.wav"]


def test_batches_are_cut_for_made_corpora_alone(tmp_path):
    data = two_lists(tmp_path, train=["a", "b"], batch_size=64)
    data.setup("fit")
    with pytest.raises(ValueError, match=r"set data\.batch_size to at most 10"):
        data.train_sampler()


def test_attributes_that_a_corpus_lacks_are_empty(demo_corpora):
    data = SpeechCorpora(root=str(demo_corpora))
    data.setup("test")
    assert (data.train, data.validation, data.test) == ([], [], [LA, WILD])
    first, last = data.rows["test"][0], data.rows["test"][-1]
    assert (first.key, first.attributes["corpus"], first.attributes["attack"]) == (
        f"{LA}/LA_E_1000000",
        LA,
        "A07",
    )
    assert (last.key, last.attributes["corpus"], last.attributes["attack"]) == (f"{WILD}/7.wav", WILD, "")


def test_splits_of_their_own_are_taken_where_none_is_named(demo_corpora):
    data = SpeechCorpora(root=str(demo_corpora), train=[LA])
    assert (data.train, data.validation, data.test) == ([LA], [LA], [LA, WILD])
    assert SpeechCorpora(root=str(demo_corpora), train=[WILD]).test == [LA]
    data.setup("fit")
    assert {clip.key[:4] for clip in data.rows["validation"]} == {"LA_D"}
    assert data.asv_scores("validation") is None
    assert data.asv_scores("test") is None  # of two corpora


def test_verification_scores_are_those_of_the_only_edition(tmp_path, demo_corpus):
    data = SpeechCorpora(corpora={LA: str(demo_corpus)}, test=[LA])
    name = "ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.eval.gi.trl.scores.txt"
    assert data.asv_scores("test") == demo_corpus / name


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"corpora": ["in_the_wide"]},
            r"no corpus is called in_the_wide \(in_the_wild\?\): name one of asvspoof_20",
        ),
        ({"corpora": {"x": CorpusAt("arenas")}}, r"no corpus is called arenas \(arena\?\)"),
        ({"corpora": {"a/b": CorpusAt("arena")}}, "'a/b' is no plain name"),
        ({"corpora": {WILD: CorpusAt(WILD, list="meta.csv")}}, "in_the_wild has lists of its own"),
        (
            {"corpora": [LA], "train": ["asvspoof_2019"]},
            r"data.train: asvspoof_2019 is none of .* \(asvspoof_2019_la\?\)",
        ),
        (
            {"corpora": [WILD], "train": [WILD], "test": [WILD]},
            "data.test: In-the-Wild has no splits and is in data.train",
        ),
        (
            {"corpora": ["asvspoof_2021_la"], "train": ["asvspoof_2021_la"]},
            "2021 LA has no train split, but test",
        ),
        ({"corpora": [LA], "train": {LA: 0.0}}, "data.train: weight 0.0 of asvspoof_2019_la is not positive"),
    ],
)
def test_faulty_choices_are_one_line(settings, told):
    with pytest.raises(ValueError, match=told) as caught:
        SpeechCorpora(**settings)
    assert "\n" not in str(caught.value)


def test_without_training_there_is_only_evaluation(demo_corpora):
    data = SpeechCorpora(root=str(demo_corpora))
    with pytest.raises(ValueError, match=rf"data.train: no corpus to train on: name some of .* {LA}, {WILD}"):
        data.setup("fit")


def test_a_folder_without_corpora_says_how_they_are_named(tmp_path):
    data = SpeechCorpora(root=str(tmp_path))
    with pytest.raises(
        ValueError, match=r"no folder in it is called as a corpus is: .* as asvspoof_2019_la, or"
    ):
        data.setup("test")


def test_a_missing_folder_names_corpus_and_source_before_training(demo_corpora, tmp_path):
    corpora = {LA: str(demo_corpora / LA), WILD: str(tmp_path / "none")}
    data = SpeechCorpora(corpora=corpora, train=[LA])
    data.prepare_data()
    with pytest.raises(
        ProtocolError, match=r"none: no such folder, where In-the-Wild was .* see https://deepfake"
    ):
        data.setup("fit")


def test_made_corpora_are_written_where_their_place_is_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = SpeechCorpora(corpora={WILD: None, "mine": CorpusAt("arena")})
    data.make_small(tmp_path / "small")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]
    data.setup("test")
    assert Counter(data.rows["test"].attribute("corpus")) == {WILD: 8, "mine": 8}
    assert len({Path(path).read_bytes() for path in data.rows["test"].paths}) == 16  # none says the same
    SpeechCorpora(corpora=[WILD]).prepare_data()
    assert Path("data/demo/corpora/in_the_wild/meta.csv").is_file()


def test_shared_speech_and_other_counts_are_told_in_one_line_each(demo_corpora, monkeypatch):
    corpora = {LA: str(demo_corpora / LA), "other": CorpusAt(WILD, str(demo_corpora / WILD))}
    corpora["asvspoof_2019_pa"] = str(demo_corpora / LA)
    data = SpeechCorpora(corpora=corpora, train=[LA], test=["asvspoof_2019_pa", "other"])
    told = []
    monkeypatch.setattr("datamodules.ssd.speech_corpora.rank_zero_info", told.append)
    with pytest.warns(UserWarning, match="shares") as warned:
        data.setup("fit")
    assert [str(each.message) for each in warned] == [
        "SpeechCorpora: ASVspoof 2019 LA shares VCTK with ASVspoof 2019 PA: figures on these may be too good"
    ]
    line = f"SpeechCorpora train, other than published: {LA} has 5 of 2580 bona fide and 5 of 22800 spoofed utterances"
    assert [each for each in told if " train" in each] == [line]


def global_batches(data, ranks, size, monkeypatch):
    """What all ranks draw in three epochs, batch by batch."""
    found = []
    for rank in range(ranks):
        monkeypatch.setattr(SpeechCorpora, "ranks", property(lambda _, rank=rank: (rank, ranks, ranks)))
        data.batch_size = size // ranks
        sampler = data.train_sampler()
        orders = []
        for epoch in range(3):
            sampler.seek(epoch)
            orders += list(sampler)
        found.append(orders)
    return [[request for part in parts for request in part] for parts in zip(*found, strict=True)]


def test_any_number_of_ranks_draws_the_same(tmp_path, monkeypatch):
    data = two_lists(tmp_path, train={"a": 1.0, "b": 3.0}, test=[], balance="corpus_and_class")
    data.setup("fit")
    one, two = (global_batches(data, ranks, 4, monkeypatch) for ranks in (1, 2))
    assert one == two
    assert len(one) == 6  # an epoch is as long as the clips


def test_classes_and_corpora_come_as_they_are_weighed(tmp_path):
    data = two_lists(tmp_path, train={"a": 1.0, "b": 3.0}, test=[], balance="corpus_and_class", batch_size=10)
    data.setup("fit")
    sampler, rows = data.train_sampler(), data.rows["train"]
    drawn = Counter()
    for epoch in range(400):
        sampler.seek(epoch)
        drawn.update(
            (rows[row].attributes["corpus"], rows[row].target) for batch in sampler for row, _ in batch
        )
    shares = {cell: count / 4000 for cell, count in drawn.items()}
    expected = {("a", 0): 1 / 8, ("a", 1): 1 / 8, ("b", 0): 3 / 8, ("b", 1): 3 / 8}
    assert shares == pytest.approx(expected, abs=0.03)  # four deviations


def test_balanced_training_goes_on_with_the_next_batch(tmp_path):
    settings = {"train": ["a", "b"], "test": [], "balance": "corpus_and_class", "batch_size": 2}
    whole = two_lists(tmp_path, **settings)
    batches = [batch.index.tolist() for _ in range(2) for batch in whole.train_dataloader()]
    whole, expected = two_lists(tmp_path / "again", **settings), []
    loader = whole.train_dataloader()
    for _ in range(2):
        expected += [batch.index.tolist() for batch in loader]
    assert expected[:5] == batches[:5]
    first = two_lists(tmp_path / "first", **settings)
    loader = iter(first.train_dataloader())
    assert [next(loader).index.tolist() for _ in range(3)] == expected[:3]
    resumed = two_lists(tmp_path / "resumed", **settings)
    resumed.load_state_dict(first.state_dict())
    loader = resumed.train_dataloader()
    assert [batch.index.tolist() for _ in range(2) for batch in loader] == expected[3:]


def test_scores_are_lines_that_keep_ids_with_spaces_whole(tmp_path):
    data = two_lists(tmp_path)
    assert data.write_scores(tmp_path / "x.txt", ["a/1.wav", "b/1.wav"], [0.5, -1.25]).read_text() == (
        "a/1.wav 0.5\nb/1.wav -1.25\n"
    )
    assert data.write_scores(tmp_path / "y.txt", ["a/x y.wav"], [2.0]).read_text() == "a/x y.wav\t2\n"


def test_check_looks_at_all_splits(demo_corpora):
    report = check(SpeechCorpora(root=str(demo_corpora), train=[LA]))
    assert report["ok"], report
    assert {name: split["clips"] for name, split in report["splits"].items()} == {
        "train": 10,
        "validation": 10,
        "test": 18,
    }


def test_the_example_of_the_page_names_corpora_in_every_way(tmp_path):
    page = (Path(__file__).parents[3] / "lightning_modules/ssd/README.md").read_text()
    (example,) = re.findall(
        r"```yaml\n(data:\n  class_path: datamodules.SpeechCorpora.*?)```", page, re.DOTALL
    )
    (tmp_path / "page.yaml").write_text(example)
    _, data = parse_data(data_parser("x", ClipDataModule, description=""), [f"--config={tmp_path}/page.yaml"])
    assert isinstance(data, SpeechCorpora)
    roots = {name: str(each.root) for name, each in data.corpora.items()}
    assert roots == {
        LA: "/data/LA",
        "asvspoof_5": "/data/ASVspoof5",
        WILD: "/data/speech/in_the_wild",
        "sonar": "/data/SONAR",
    }
    assert (data.weights, data.validation) == ({LA: 1, "asvspoof_5": 2}, [LA, "asvspoof_5"])
    with pytest.raises(
        ProtocolError, match=r"/data/SONAR: no such folder, where sonar \(a list of the arena\)"
    ):
        data.corpora["sonar"].clips("test")


def test_lists_of_trials_beside_their_audio_are_predicted_on(demo_corpora):
    source = demo_corpora / WILD / "meta.csv"
    data = SpeechCorpora(root=str(demo_corpora), predict=[str(source)])
    data.setup("predict")
    assert [clip.key for clip in data.rows["predict"]] == [str(number) for number in range(8)]
