"""The matrix of an evaluations.csv: figures, published ones, what is missing and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest

from datamodules.files import write_csv
from lightning_modules import report
from lightning_modules.matrix.report import summary

COLUMNS = [
    *("experiment", "run", "seed", "checkpoint", "trained_on", "resources", "recipe", "corpus", "public"),
    *("condition", "split", "data_set", "clips", "data_hash", "checkpoint_hash", "trials"),
]


class Table:
    """An evaluations.csv in the making, below the working folder."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.random = np.random.default_rng(0)

    def add(
        self, corpus: str, bonafide: list[float], spoof: list[float], *, attacks: str = "A01", **row: object
    ) -> None:
        """An evaluation with these scores."""
        path = Path(f"out/evaluations/{corpus}/e/{len(self.rows)}/tables/test_trials.csv")
        lines = [(f"b{at}", "bonafide", score, "-") for at, score in enumerate(bonafide)]
        lines += [(f"s{at}, t", "spoof", score, attacks[at % 3 * 3 :][:3]) for at, score in enumerate(spoof)]
        write_csv(path, [("key", "label", "score", "attack"), *lines])
        usual = {
            "experiment": "aasist",
            "run": "r",
            "seed": 1,
            "checkpoint": "runs/aasist/r/checkpoints/best=0.1.ckpt",
        }
        usual |= {"trained_on": "LA", "resources": "closed", "recipe": "x", "corpus": corpus, "split": "test"}
        usual |= {
            "clips": len(lines),
            "data_hash": f"hash of {corpus}",
            "checkpoint_hash": "c",
            "trials": path,
        }
        self.rows.append(usual | row)

    def write(self) -> None:
        """Writes the table."""
        write_csv(
            Path("out/evaluations.csv"),
            [COLUMNS, *([row.get(name, "") for name in COLUMNS] for row in self.rows)],
        )


@pytest.fixture
def table(tmp_path, monkeypatch) -> Table:
    monkeypatch.chdir(tmp_path)
    return Table()


def made(table: Table, *options: str) -> str:
    table.write()
    assert report.main(["out", "--output=rep", *options]) == 0
    return Path("rep/README.md").read_text()


def cells(text: str, start: str) -> dict[str, str]:
    """Head -> cell of the first row that has this text, which stands below the last head before it."""
    lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    at = next(number for number, line in enumerate(lines) if any(start in cell for cell in line))
    head = next(line for line in reversed(lines[:at]) if line[0] in ("trained on", "condition"))
    return dict(zip(head, lines[at], strict=True))


def test_pooled_is_one_threshold_and_the_deviation_is_over_seeds(table):
    table.add("a", [1, 2, 3, 4], [-4, -3, -2, 1.5])  # 1 of 4 on each side
    table.add("b", [11, 12, 13, 14], [7, 8, 9, 10])  # none at its own threshold
    table.add("a", [1, 2, 3, 4], [-4, -3, -2, -1], seed=2)
    table.add("b", [11, 12, 13, 14], [7, 8, 9, 10], seed=2)
    found = cells(made(table), "aasist (closed)")
    assert found["a"] == "12.50 ± 17.68"
    assert found["b"] == "0.00 ± 0.00"
    assert found["mean EER"] == "6.25 ± 8.84"
    assert found["pooled EER"] == "50.00 ± 0.00"  # spoofs of b lie above bona fide speech of a
    with Path("rep/matrix.csv").open(newline="") as file:
        values = {row["corpus"]: float(row["value"]) for row in csv.DictReader(file)}
    assert values == {"a": 0.125, "b": 0, "mean EER": 0.0625, "pooled EER": 0.5}


def test_one_class_is_judged_by_a_threshold_from_elsewhere_and_broken_down(table):
    table.add("own", [1, 2, 3, 4], [-4, -3, -2, 1.5], split="validation")  # EER threshold 1
    table.add("a", [11, 12, 13, 14], [7, 8, 9, 10])
    table.add("fakes", [], [0, 0.5, 2, 3, 4, 12], attacks="A01A02A03")
    text = made(table)
    assert "at the EER threshold of own (validation)" in text
    assert cells(text, "aasist (closed)")["fakes: 1-SRR"] == "66.67"
    with Path("rep/one_class.csv").open(newline="") as file:
        by_attack = {row["group"]: (row["trials"], float(row["percent"])) for row in csv.DictReader(file)}
    assert by_attack == {"A01": ("2", 50.0), "A02": ("2", 50.0), "A03": ("2", 100.0)}
    text = made(table, "--threshold-from=a")
    assert cells(text, "aasist (closed)")["fakes: 1-SRR"] == "16.67"


def test_without_a_threshold_it_is_said(table):
    table.add("fakes", [], [0, 1])
    assert "no corpus of both classes gives a threshold: evaluate one" in made(table)


def test_different_clips_are_never_averaged(table):
    table.add("a", [2, 3], [0, 1])
    table.add("a", [2, 3, 4], [0, 1, 5], seed=2, data_hash="another")
    table.add("b", [2, 3], [0, 1])
    table.add("b", [2, 3], [0, 1], seed=2)
    text = made(table)
    assert "a: different clips, 4 in list hash and 6 in list anot" in text
    found = cells(text, "aasist (closed)")
    assert (found["a (hash)"], found["a (anot)"], found["b"]) == ("0.00 (n=1)", "33.33 (n=1)", "0.00 ± 0.00")
    assert found["mean EER"] == found["pooled EER"] == "–"
    assert "seed 2: no a (hash); hence neither mean nor pooled" in text


def test_recipes_and_checkpoints_of_one_name_are_rows_of_their_own(table):
    table.add("a", [2, 3], [0, 1])
    table.add("a", [2, 3], [0, 2.5], checkpoint="runs/aasist/r/checkpoints/last.ckpt")
    table.add("a", [2, 3], [2.5, 2.7], recipe="y", run="other", resources="open")
    table.add("a", [2, 3], [2.5, 3.7], recipe="y", run="other", resources="open")  # made again
    text = made(table)
    assert [cells(text, name)["a"] for name in ("aasist/r best", "aasist/r last", "aasist/other (open)")] == [
        "0.00",
        "50.00",
        "50.00",
    ]
    assert "aasist/other, seed 1: 1 evaluations were made again" in text
    assert "open: with a pretrained encoder, as ASVspoof 5 takes in its open condition alone" in text


def test_published_figures_stand_below_by_public_name_and_data_set(table):
    table.add("WILD", [2, 3], [0, 1], public="in_the_wild")
    table.add("own", [2, 3], [0, 1], data_set="ASVspoof-2021_DF-eval")
    table.add("in_the_wild_too", [2, 3], [0, 1])
    text = made(table)
    found = cells(text, "published: XLS-R 300M + Nes2Net-X (open)")
    assert (found["WILD"], found["own"], found["in_the_wild_too"], found["trained on"]) == (
        "5.52",
        "1.65",
        "–",
        "ASVspoof 2019 LA",
    )
    assert "WILD: published figures are of 19963 bona fide and 11816 spoofed trials, ours of 2 and 2" in text
    assert "published: AASIST " not in text  # of no corpus here
    Path("mine.yaml").write_text(
        "corpora: {mine: {}}\nsystems:\n- {name: X, trained_on: LA, resources: open, source: me, eer: {mine: 12}}\n"
    )
    table.add("mine", [2, 3], [0, 1])
    assert cells(made(table, "--published=mine.yaml"), "published: X (open)")["mine"] == "12.00"


def test_conditions_are_a_table_of_their_own(table):
    table.add("a", [2, 3], [0, 1])
    table.add("a", [2, 3], [0, 2.5], condition="opus@16k+snr10")
    table.add("fakes", [], [1, 2.4], condition="opus@16k+snr10")
    text = made(table)
    assert cells(text, "aasist (closed)")["a"] == "0.00"
    assert cells(text, "opus@16k+snr10")["a"] == "50.00"
    assert cells(text, "opus@16k+snr10")["fakes: 1-SRR"] == "100.00"  # of the threshold on clean speech, 1
    for number in range(5):
        table.add("a", [2, 3], [0, 1], condition=f"mp3@{number}k")
    rows = [line.split(" | ")[0] for line in made(table).splitlines()]
    assert rows[rows.index("| clean") :][:7] == [
        "| clean",
        "| opus@16k+snr10",
        *(f"| mp3@{n}k" for n in range(5)),
    ]
    assert Path("rep/conditions_1.tex").is_file()


def test_inverted_scores_of_one_corpus_are_told(table):
    table.add("a", [2, 3] * 20, [0, 1] * 20)
    table.add("few", [0, 1], [2, 3])  # which may be chance
    assert "inverted" not in made(table)
    table.add("b", [0, 1] * 20, [2, 3] * 20)
    assert "the scores of b look inverted and others do not: pooled figures mix both directions" in made(
        table
    )


def test_rows_of_other_tasks_are_left_out_and_a_moved_table_is_read(table, tmp_path):
    table.add("a", [2, 3], [0, 1])
    table.rows.append(table.rows[0] | {"trials": "", "corpus": "machines"})
    table.write()
    (tmp_path / "out").rename(tmp_path / "moved")
    assert report.main(["moved/evaluations.csv"]) == 0
    text = Path("reports/moved/README.md").read_text()
    assert "1 of 2 rows have no table of trials" in text
    assert cells(text, "aasist (closed)")["a"] == "0.00"
    assert summary(Path("moved/evaluations.csv"), ["another"]) == ""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("b1,bonafide,3,", "b1,real,3,", "test_trials.csv:3: label 'real' is neither spoof nor bonafide"),
        ("b1,bonafide,3,", "b1,bonafide,nan,", "test_trials.csv:3: score 'nan' of b1 is not a finite number"),
        ("b1,bonafide,3,", "b1,bonafide,x,", "test_trials.csv:3: score 'x' of b1 is not a finite number"),
        ("b1,bonafide,3,-", "b1,bonafide", "test_trials.csv:3: 2 columns, expected 4"),
        ("key,label", "key,class", "test_trials.csv:1: no column 'label'"),
    ],
)
def test_a_wrong_table_of_trials_is_one_line(old, new, expected, table, capsys):
    table.add("a", [2, 3], [0, 1])
    table.write()
    path = Path(table.rows[0]["trials"])  # pyright: ignore[reportArgumentType]
    path.write_text(path.read_text().replace(old, new))
    assert report.main(["out"]) == 1
    message = capsys.readouterr().err.strip()
    assert "\n" not in message
    assert expected in message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--threshold-from=c"], "--threshold-from c: no corpus of both classes is called so: name one of a"),
        (["--published=bad.yaml"], "bad.yaml: expected corpora and systems"),
        (["--published=worse.yaml"], "worse.yaml: system 1: expected name, trained_on"),
        (["--published=worst.yaml"], "worst.yaml: X: b is none of corpora"),
    ],
)
def test_wrong_options_are_one_line(options, expected, table, capsys):
    Path("bad.yaml").write_text("[]")
    Path("worse.yaml").write_text("{corpora: {}, systems: [{name: X}]}")
    system = "{name: X, trained_on: L, resources: open, source: s, eer: {b: 1}}"
    Path("worst.yaml").write_text(f"{{corpora: {{a: {{}}}}, systems: [{system}]}}")
    table.add("a", [2, 3], [0, 1])
    table.write()
    assert report.main(["out", *options]) == 1
    message = capsys.readouterr().err.strip()
    assert "\n" not in message
    assert expected in message


def test_no_table_is_one_line(tmp_path, capsys):
    assert report.main([str(tmp_path / "none.csv")]) == 1
    assert "none.csv: no such file: lightning_modules.evaluate writes it" in capsys.readouterr().err
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert report.main([str(tmp_path / "other.csv")]) == 1
    assert "other.csv:1: no column 'corpus': this is no evaluations.csv" in capsys.readouterr().err
