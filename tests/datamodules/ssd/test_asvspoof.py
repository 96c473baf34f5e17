"""ASVspoof's layouts on disk, its protocols whole and damaged, its score files."""

from collections import Counter
from pathlib import Path

import pytest
import soundfile

from datamodules.audio import AudioError
from datamodules.demo import asvspoof as demo
from datamodules.protocol import ProtocolError
from datamodules.ssd.asvspoof import ASVspoof, Edition

PROTOCOL = "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt"
GOOD = b"LA_0079 LA_T_1000001 - - bonafide\nLA_0080 LA_T_1000002 - A01 spoof\n"


def _corpus(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def _damaged(root: Path, content: bytes) -> ASVspoof:
    (root / PROTOCOL).parent.mkdir(parents=True)
    (root / PROTOCOL).write_bytes(content)
    return ASVspoof(root=str(root))


FAULTS = {
    "empty": (b"", "", "is empty"),
    "only blank": (b"\n  \n", "", "is empty"),
    "few columns": (GOOD + b"LA_0081 LA_T_1000003 bonafide\n", ":3", "3 columns where 5"),
    "many columns": (GOOD + b"LA_0081 LA_T_1000003 - - bonafide eval\n", ":3", "6 columns where 5"),
    "space in an id": (GOOD + b"LA_0081 LA T_1000003 - - bonafide\n", ":3", "6 columns where 5"),
    "blank line": (b"\n" + GOOD, ":1", "a blank line"),
    "duplicate id": (GOOD + GOOD, ":3", "id 'LA_T_1000001' occurs twice"),
    "unknown label": (GOOD.replace(b"spoof", b"fake"), ":2", "label 'fake'"),
    "Latin-1 byte": (GOOD.replace(b"LA_0080", b"LA_\xe9080"), ":2", "byte 0xe9 is not UTF-8"),
    "NUL byte": (GOOD.replace(b"LA_0080", b"LA_\x000080"), ":2", "NUL"),
    "absolute path": (GOOD.replace(b"LA_T_1000002", b"/etc/passwd"), ":2", "id '/etc/passwd' is a path"),
    "path upwards": (GOOD.replace(b"LA_T_1000002", b"../../etc/passwd"), ":2", "is a path"),
    "folder upwards": (GOOD.replace(b"LA_T_1000002", b".."), ":2", "is a path"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_protocol_gives_one_line_with_file_and_line(fault, tmp_path) -> None:
    content, line, message = FAULTS[fault]
    with pytest.raises(ProtocolError, match=message) as caught:
        _damaged(tmp_path, content).split("train")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / PROTOCOL}{line}: ")
    assert "\n" not in text
    assert ": " in text.removeprefix(f"{tmp_path / PROTOCOL}{line}: ")  # fault: way out


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.rstrip()])
def test_byte_order_mark_and_line_ends_are_accepted(content, tmp_path) -> None:
    clips = _damaged(tmp_path, content).split("train")
    assert [(clip.key, clip.target) for clip in clips] == [("LA_T_1000001", 1), ("LA_T_1000002", 0)]
    assert clips[0].attributes == {"speaker": "LA_0079", "attack": "-"}
    assert clips[1].path == str(tmp_path / "ASVspoof2019_LA_train/flac/LA_T_1000002.flac")


def test_missing_protocol_names_what_the_root_must_hold(tmp_path) -> None:
    with pytest.raises(ProtocolError, match=r"set root of .* that holds ASVspoof2019_LA_cm_protocols and"):
        ASVspoof(root=str(tmp_path)).split("train")


def test_missing_audio_is_counted_with_the_first_named(tmp_path) -> None:
    data = _damaged(tmp_path, GOOD)
    folder = tmp_path / "ASVspoof2019_LA_train" / "flac"
    folder.mkdir(parents=True)
    (folder / "LA_T_1000001.flac").touch()
    with pytest.raises(
        AudioError, match=r"LA_T_1000002\.flac: no such file, and 1 of 2 .*datamodules\.check"
    ):
        data.setup("fit")


def test_root_may_be_one_level_off(demo_corpus, tmp_path) -> None:
    (tmp_path / "LA").symlink_to(demo_corpus)
    assert len(ASVspoof(root=str(tmp_path)).split("validation")) == 40
    assert ASVspoof(root=str(tmp_path)).asv_scores("validation")


def _2021(tmp_path: Path, track: str, rows: list[str]) -> Path:
    return _corpus(tmp_path, {f"keys/{track}/CM/trial_metadata.txt": "\n".join(rows) + "\n"})


EDITIONS: list[tuple[Edition, str, list[str], dict[str, str]]] = [
    (
        "2021_LA",
        "ASVspoof2021_LA_eval/flac/LA_E_9332881.flac",
        [
            "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
            "LA_0010 LA_E_1000001 none - bonafide bonafide notrim eval",
            "LA_0010 LA_E_1000002 none - bonafide bonafide only_speech hidden",
        ],
        {"codec": "alaw", "transmission": "ita_tx", "attack": "A07", "subset": "eval"},
    ),
    (
        "2021_DF",
        "ASVspoof2021_DF_eval/flac/DF_E_2000011.flac",
        [
            "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim eval traditional_vocoder - - - -",
            "LA_0023 DF_E_2000012 low_mp3 vcc2020 - bonafide notrim eval bonafide - - - -",
            "LA_0023 DF_E_2000013 low_mp3 vcc2020 - bonafide notrim progress bonafide - - - -",
        ],
        {"codec": "nocodec", "source": "asvspoof", "attack": "A14", "vocoder": "traditional_vocoder"},
    ),
    (
        "2021_PA",
        "ASVspoof2021_PA_eval/flac/PA_E_1000001.flac",
        [
            "PA_0010 PA_E_1000001 R3 M3 d4 r1 m1 s4 c4 spoof notrim eval",
            "PA_0010 PA_E_1000002 R3 M3 d4 - - - - bonafide notrim eval",
            "PA_0010 PA_E_1000003 R3 M3 d4 - - - - bonafide trim hidden",
        ],
        {"room": "R3", "microphone": "M3", "attack": "s4"},
    ),
]


@pytest.mark.parametrize(("edition", "path", "rows", "attributes"), EDITIONS)
def test_2021_layouts_and_subsets(edition, path, rows, attributes, tmp_path) -> None:
    root = _2021(tmp_path, edition[5:], rows)
    clips = ASVspoof(edition=edition, root=str(root)).split("test")
    assert [clip.target for clip in clips] == [0, 1]
    assert clips[0].path == str(root / path)
    assert attributes.items() <= clips[0].attributes.items()
    assert clips[1].attributes["attack"] == "-"
    assert len(ASVspoof(edition=edition, root=str(root), subset="all").split("test")) == 3
    absent = "hidden" if edition == "2021_DF" else "progress"
    with pytest.raises(ProtocolError, match=f"no trial of subset '{absent}'"):
        ASVspoof(edition=edition, root=str(root), subset=absent).split("test")


def test_2021_is_trained_on_2019(demo_corpus, tmp_path) -> None:
    root = _2021(tmp_path, "LA", EDITIONS[0][2])
    assert len(ASVspoof(edition="2021_LA", root=str(root), train_root=str(demo_corpus)).split("train")) == 60
    with pytest.raises(ProtocolError, match="set train_root of ASVspoof 2019_LA"):
        ASVspoof(edition="2021_LA", root=str(root)).split("train")


@pytest.mark.parametrize("folder", ["", "ASVspoof5_protocols/"])
def test_edition_5_layout(folder, tmp_path) -> None:
    root = _corpus(
        tmp_path,
        {
            f"{folder}ASVspoof5.train.tsv": "T_4850 T_0000000000 F - - - AC3 A05 spoof -\n",
            f"{folder}ASVspoof5.eval.track_1.tsv": "E_1607 E_0009538969 M C05 2 - AC2 A22 spoof -\n"
            "E_1608 E_0009538970 F - - - - bonafide bonafide -\n",
        },
    )
    data = ASVspoof(edition="5", root=str(root))
    (train,) = data.split("train")
    assert train.path == str(root / "flac_T/T_0000000000.flac")
    spoof, bonafide = data.split("test")
    assert spoof.path == str(root / "flac_E_eval/E_0009538969.flac")
    assert spoof.attributes == {"speaker": "E_1607", "codec": "C05", "attack": "A22"}
    assert (spoof.target, bonafide.target, bonafide.attributes["attack"]) == (0, 1, "-")


def test_edition_5_below_folders_of_its_parts_and_of_the_challenge_phase(tmp_path) -> None:
    root = _corpus(
        tmp_path,
        {
            "ASVspoof5.train.metadata.txt": "T_4850 T_0000000000 F - A05 spoof\nT_1 T_2 M - bonafide bonafide\n",
            "ASVspoof5_train/flac_T/T_0000000000.flac": "",
            "ASVspoof5.dev.track_1.tsv": "D_4461 D_0000000169 F - - - AC1 A14 spoof -\n",
            "ASVspoof5_dev/flac_D/D_0000000169.flac": "",
        },
    )
    data = ASVspoof(edition="5", root=str(root))
    spoof, bonafide = data.split("train")
    assert spoof.path == str(root / "ASVspoof5_train/flac_T/T_0000000000.flac")
    assert spoof.attributes == {"speaker": "T_4850", "attack": "A05"}
    assert (spoof.target, bonafide.target, bonafide.attributes["attack"]) == (0, 1, "-")
    (clip,) = data.split("validation")
    assert (clip.path, clip.target) == (str(root / "ASVspoof5_dev/flac_D/D_0000000169.flac"), 0)


@pytest.mark.parametrize("above", ["", "ASVspoof2021_DF_eval/"])
def test_2021_df_in_parts_as_unpacked(above, tmp_path) -> None:
    parts = [f"{above}ASVspoof2021_DF_eval_part0{number}/ASVspoof2021_DF_eval/flac" for number in range(4)]
    names = [f"DF_E_200001{number}" for number in range(4)]
    root = _corpus(
        tmp_path, {f"{part}/{name}.flac": "" for part, name in zip(parts, reversed(names), strict=True)}
    )
    lines = [f"LA_0023 {name} nocodec asvspoof A14 spoof notrim eval - - - - -\n" for name in names]
    _corpus(root, {"DF-keys-full/keys/DF/CM/trial_metadata.txt": "".join(lines)})
    clips = ASVspoof(edition="2021_DF", root=str(root)).split("test")
    expected = [str(root / part / f"{name}.flac") for part, name in zip(reversed(parts), names, strict=True)]
    assert [clip.path for clip in clips] == expected


def test_2019_with_protocols_above_the_track(tmp_path) -> None:
    root = _corpus(tmp_path, {PROTOCOL: GOOD.decode(), "LA/ASVspoof2019_LA_train/flac/LA_T_1000001.flac": ""})
    clips = ASVspoof(root=str(root)).split("train")
    assert clips[0].path == str(root / "LA/ASVspoof2019_LA_train/flac/LA_T_1000001.flac")


def test_scores_are_written_in_the_official_formats(demo_corpus, tmp_path) -> None:
    data = ASVspoof(root=str(demo_corpus))
    data.setup("test")
    clips = data.rows["test"][:3]
    keys, scores = [clip.key for clip in clips], [0.1, -2.5e-7, 3.0]
    path = tmp_path / "a" / "scores.txt"
    assert data.write_scores(path, keys, scores) == path
    for line, clip, score in zip(path.read_text().splitlines(), clips, scores, strict=True):
        label = "bonafide" if clip.target else "spoof"
        assert line == f"{clip.key} {clip.attributes['attack']} {label} {score:.9g}"
    ASVspoof(edition="2021_LA", root="-").write_scores(tmp_path / "b.txt", keys, scores)
    assert (tmp_path / "b.txt").read_text().splitlines()[1] == f"{keys[1]} -2.5e-07"
    ASVspoof(edition="5", root="-").write_scores(tmp_path / "c.tsv", keys, scores)
    assert (tmp_path / "c.tsv").read_text() == (
        f"filename\tcm-score\n{keys[0]}\t0.1\n{keys[1]}\t-2.5e-07\n{keys[2]}\t3\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.txt", "c.tsv"]


@pytest.mark.parametrize(("keys", "scores"), [(["a"], [1.0, 2.0]), (["a", "b"], [1.0, float("nan")])])
def test_faulty_scores_leave_the_old_file(keys, scores, tmp_path) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"scores\.txt"):
        ASVspoof(root="-").write_scores(path, keys, scores)
    assert path.read_text() == "old"


def test_unknown_edition_is_refused() -> None:
    with pytest.raises(ValueError, match="edition '2015' is unknown: choose one of 2019_LA"):
        ASVspoof(edition="2015")  # pyright: ignore[reportArgumentType]


def test_demo_has_the_official_layout(demo_corpus) -> None:
    data = ASVspoof(root=str(demo_corpus))
    data.setup("fit")
    data.setup("test")
    assert [len(data.rows[name]) for name in ("train", "validation", "test")] == [60, 40, 80]
    attacks = {name: {clip.attributes["attack"] for clip in clips} for name, clips in data.rows.items()}
    assert attacks["train"] == attacks["validation"] == {"-", "A01", "A02", "A03", "A04"}
    assert attacks["test"] == {"-", "A07", "A08", "A09", "A10"}
    speakers = [{clip.attributes["speaker"] for clip in clips} for clips in data.rows.values()]
    assert sum(map(len, speakers)) == len(set().union(*speakers))
    for clip in data.rows["test"]:
        header = soundfile.info(clip.path)
        assert (header.samplerate, header.channels, header.subtype) == (16000, 1, "PCM_16")
        assert 1.0 <= header.duration <= 2.0
    for split in ("validation", "test"):
        path = data.asv_scores(split)
        assert path is not None
        rows = [line.split() for line in path.read_text().splitlines()]
        assert Counter(kind for _, kind, _ in rows).keys() == {"target", "nontarget", "spoof"}
        assert {source for source, kind, _ in rows if kind == "spoof"} == attacks[split] - {"-"}
        assert all(float(score) == float(score) for _, _, score in rows)


def test_demo_is_made_once_and_only_at_its_own_place(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        folder.mkdir(parents=True)

    monkeypatch.setattr(ASVspoof, "demo_writer", staticmethod(make))
    ASVspoof().prepare_data()
    ASVspoof().prepare_data()
    ASVspoof(root="elsewhere").prepare_data()
    assert calls == [Path(demo.DEMO_ROOT)]


def test_demo_is_never_half_written(tmp_path, monkeypatch) -> None:
    def write(root: Path, seed: int) -> None:
        (root / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_write", write)
    with pytest.raises(OSError, match="No space"):
        demo.make_demo(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_second_maker_of_the_demo_keeps_the_first(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "corpus"

    def write(root: Path, seed: int) -> None:  # another process finishes first
        folder.mkdir()
        (folder / "first").touch()
        (root / "second").touch()

    monkeypatch.setattr(demo, "_write", write)
    demo.make_demo(folder)
    assert [path.name for path in folder.iterdir()] == ["first"]
    assert list(tmp_path.iterdir()) == [folder]


def test_real_corpus_in_the_2019_layout(corpora) -> None:
    data = ASVspoof(root=str(corpora / "spoof"), train_crop_s=1.0, batch_size=8, num_workers=0)
    data.setup()
    assert [len(data.rows[name]) for name in ("train", "validation", "test")] == [150, 100, 229]
    batch = next(iter(data.train_dataloader()))
    assert batch.waveform.shape == (8, 1, 16000)
    assert 0.001 < batch.waveform.std() < 0.5
    assert data.asv_scores("test")


def test_a_protocol_can_be_predicted_on(demo_corpus) -> None:
    protocol = demo_corpus / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt"
    flac = next((demo_corpus / "ASVspoof2019_LA_train/flac").iterdir())
    data = ASVspoof(root=str(demo_corpus), predict=[str(flac), str(protocol)])
    data.setup("predict")
    keys = [clip.key for clip in data.rows["predict"]]
    assert keys == [flac.stem, *(line.split()[1] for line in protocol.read_text().splitlines())]
    assert all(Path(clip.path).is_file() for clip in data.rows["predict"])


def test_official_lists_without_labels_are_predicted_on_beside_their_audio(tmp_path) -> None:
    root = _corpus(
        tmp_path,
        {
            "ASVspoof2021_DF_eval/ASVspoof2021.DF.cm.eval.trl.txt": "DF_E_2000011\nDF_E_2000013\n",
            "ASVspoof2021_DF_eval/flac/DF_E_2000011.flac": "",
            "ASVspoof2021_DF_eval/flac/DF_E_2000013.flac": "",
        },
    )
    source = root / "ASVspoof2021_DF_eval/ASVspoof2021.DF.cm.eval.trl.txt"
    data = ASVspoof(edition="2021_DF", root=str(root), predict=[str(source)])
    data.setup("predict")
    assert [(clip.key, clip.path) for clip in data.rows["predict"]] == [
        (key, str(root / f"ASVspoof2021_DF_eval/flac/{key}.flac")) for key in ("DF_E_2000011", "DF_E_2000013")
    ]


def test_a_fault_of_a_protocol_is_told_rather_than_what_is_not_beside_it(demo_corpus, tmp_path) -> None:
    (tmp_path / "protocol.txt").write_bytes(GOOD.replace(b"spoof", b"fake"))
    data = ASVspoof(root=str(demo_corpus), predict=[str(tmp_path / "protocol.txt")])
    with pytest.raises(ProtocolError, match=r"protocol.txt:2: label 'fake'"):
        data.setup("predict")


def test_lists_of_names_with_spaces_are_no_protocols(demo_corpus, tmp_path) -> None:
    (tmp_path / "list.txt").write_text("my call.wav\nanother one.wav\n")
    (tmp_path / "list.tsv").write_text("label\tpath\nspoof\tdeep/a.wav\n")
    lists = [str(tmp_path / name) for name in ("list.txt", "list.tsv")]
    data = ASVspoof(root=str(demo_corpus), predict=lists)
    data.setup("predict")
    assert [clip.key for clip in data.rows["predict"]] == ["my call", "another one", "deep/a"]
