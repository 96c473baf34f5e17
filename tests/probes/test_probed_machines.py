"""Machines are scored by any number of back ends on embeddings that are computed once."""

import csv
import re
import sys
from pathlib import Path

import pytest
import torch

from datamodules.cache import VARIABLE
from datamodules.clips import Clip
from lightning_modules import probe
from lightning_modules.asd.backends import (
    DomainNormalized,
    LocalDensity,
    Mahalanobis,
    NearestNeighbours,
    RankFusion,
)
from lightning_modules.baselines.statistics import Described
from lightning_modules.config import cli
from lightning_modules.networks import AST
from lightning_modules.probes.machines import machine_reports, named_backends

CONFIGS = Path(__file__).parents[2] / "configs"
TWENTY = """
{numbers}
nearest by length: {{class_path: NearestNeighbours, init_args: {{metric: euclidean}}}}
density: LocalDensity
over the test set: TransductiveDomainNormalized
fusion:
  class_path: lightning_modules.asd.backends.RankFusion
  init_args:
    backends:
    - {{class_path: lightning_modules.asd.backends.KMeans}}
    - {{class_path: lightning_modules.asd.backends.SMOTE}}
    weights: [1, 2]
"""


def test_twenty_detectors_of_embeddings_that_are_computed_once(tmp_path, monkeypatch, demo_machines, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    embedded = []
    forward = AST.forward
    monkeypatch.setattr(AST, "forward", lambda self, x: embedded.append(len(x)) or forward(self, x))
    numbers = "\n".join(
        f"{k} nearest: {{class_path: NearestNeighbours, init_args: {{k: {k}}}}}" for k in range(1, 17)
    )
    Path("backends.yaml").write_text(TWENTY.format(numbers=numbers))
    Path("data.yaml").write_text(
        f"data:\n  class_path: datamodules.DCASE\n  init_args: {{root: {demo_machines}, num_workers: 0}}\n"
    )
    small = ["embed_dim=24", "depth=1", "num_heads=2", "stride=16", "input_size=[128,64]"]
    words = [
        "probe",
        f"--config={CONFIGS}/event_ast.yaml",
        *(f"--model.network.{each}" for each in small),
        "--model.frontend.num_frames=64",
        "--config=data.yaml",
        "--output=probes.csv",
        "--backends",
        "backends.yaml",
    ]
    monkeypatch.setattr(sys, "argv", words)
    cli.one_line_errors(probe.main)
    with Path("probes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    named = [row["probe"] for row in rows if row["layer"]]
    assert len(named) == 1 + 20
    assert {"k-NN, k=5", "16 nearest", "density", "over the test set (transductive)", "fusion"} <= set(named)
    assert [row["probe"] for row in rows if not row["layer"]][:2] == ["baseline", "statistics, 1 nearest"]
    auc = {row["probe"]: row["auc"] for row in rows}
    assert auc["5 nearest"] == auc["k-NN, k=5"]
    assert "over the test set: transductive, a clip's score depends" in " ".join(
        capsys.readouterr().out.split()
    )
    clips = sum(1 for path in demo_machines.rglob("*.wav") if "test" in path.parts or "normal" in path.name)
    assert sum(embedded) <= clips  # each once


def described(rows, embeddings) -> Described:
    return Described(
        [
            Clip(str(n), "", target, {"instance": name, "machine": name, "section": "", "domain": domain})
            for n, (name, domain, target) in enumerate(rows)
        ],
        embeddings,
    )


def test_scores_are_those_of_the_back_end_and_of_all_clips_for_unseen_machines():
    torch.manual_seed(0)
    known = [(name, domain, 0) for name in ("a", "b") for domain in ("source",) * 8 + ("target",) * 3]
    embeddings = torch.randn(22, 4).double()
    tested = [(name, "", target) for name in ("a", "b", "c") for target in (0, 1)]
    clips = torch.randn(6, 4).double()
    backend = LocalDensity()
    found = machine_reports(
        described(known, embeddings),
        {"test": described(tested, clips)},
        {"density": backend},
        name="nearest",
        of_statistics=False,
        year=2020,
    )
    assert [(name, split) for name, split, _ in found] == [("nearest", "test"), ("density", "test")]
    domain = torch.tensor([each == "target" for _, each, _ in known]).long()
    instance = torch.arange(22) // 11
    backend.fit(embeddings, instance, domain)
    expected = backend(clips[:4], torch.tensor([0, 0, 1, 1])).tolist()
    backend.fit(embeddings, torch.zeros(22, dtype=torch.long), domain)
    expected += backend(clips[4:], torch.zeros(2, dtype=torch.long)).tolist()
    assert found[1][2].scores == expected


def test_back_ends_by_name_and_all_of_them(tmp_path):
    assert len(named_backends([])) == 11
    path = tmp_path / "own.yaml"
    path.write_text("five: {class_path: NearestNeighbours, init_args: {k: 5}}\n")
    found = named_backends([str(path), "RankFusion"])
    assert list(found) == ["five", "RankFusion"]
    assert isinstance(found["five"], NearestNeighbours)
    assert found["five"].k == 5
    assert isinstance(found["RankFusion"], RankFusion)


def test_the_pages_file_of_back_ends(tmp_path):
    page = (CONFIGS.parent / "lightning_modules/asd/README.md").read_text()
    example = re.search(r"```yaml backends.yaml\n(.*?)```", page, re.DOTALL)
    assert example
    (tmp_path / "backends.yaml").write_text(example[1])
    four, selective, fusion = named_backends([str(tmp_path / "backends.yaml")]).values()
    assert isinstance(four, NearestNeighbours)
    assert (four.k, four.metric) == (4, "euclidean")
    assert isinstance(selective, Mahalanobis)
    assert selective.covariance == "group"
    assert isinstance(fusion, RankFusion)
    assert [type(each) for each in fusion.backends] == [LocalDensity, DomainNormalized]
    table = set(re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE))
    assert {type(each).__name__ for each in named_backends([]).values()} <= table


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- NearestNeighbours\n", "own.yaml: expected a line NAME: CLASS for each back end"),
        ("five: {class_path: NearestNeighbours, init_args: {l: 5}}\n", "own.yaml: five is no back end"),
        ("five: {class_path: NearestNeighbours, init_args: {k: 0}}\n", "k=0: expected at least 1 neighbour"),
        ("five: [\n", "own.yaml: while parsing"),
        ("five: torch.nn.Linear\n", "own.yaml: five is no back end"),
    ],
)
def test_what_is_no_back_end_is_told_in_one_line(tmp_path, content, message):
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        named_backends([str(path)])
    assert "\n" not in str(caught.value)


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="--backends Nearest: Nearest is no back end"):
        named_backends(["Nearest"])
    with pytest.raises(ValueError, match="two are named KMeans"):
        named_backends(["KMeans", "KMeans"])
    with pytest.raises(ValueError, match=r"missing.yaml: .*No such file"):
        named_backends(["missing.yaml"])
