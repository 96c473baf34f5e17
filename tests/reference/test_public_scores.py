"""Public score and key files of other groups give their published figures through the score command.

Needs files that are no part of this project: SLS_REFERENCE (clone of QiShanZhang/SLSforASVspoof-2021-DF, of which
``scores/scores_Wild.txt``) and ARENA_REFERENCE (clone of Speech-Arena/speech_df_arena, of which
``protocol_files/*.csv``).
"""

import json

import pytest

from lightning_modules.metrics.asvspoof_protocols import read_protocol
from lightning_modules.score import main
from tests.reference.published import reference


def test_sls_on_in_the_wild(tmp_path):
    scores = reference("SLS_REFERENCE") / "scores/scores_Wild.txt"
    key = reference("ARENA_REFERENCE") / "protocol_files/in_the_wild.csv"
    target = tmp_path / "results.json"
    assert main(["--scores", str(scores), "--protocol", str(key), "--json", str(target)]) == 0
    (pooled,) = json.loads(target.read_text())["results"]
    assert (pooled["num_bonafide"], pooled["num_spoof"]) == (19963, 11816)
    assert 100 * pooled["eer"] == pytest.approx(7.464131510593175, rel=0, abs=1e-12)  # published: 7.46 %
    assert pooled["threshold"] == -11.52522087097168


@pytest.mark.parametrize(
    ("name", "num_bonafide", "num_spoof"),
    [
        ("dfadd", 755, 3000),
        ("fake_or_real", 2264, 2264),
        ("in_the_wild", 19963, 11816),
        ("sonar", 2274, 1674),
    ],
)
def test_counts_of_the_arena_s_lists(name, num_bonafide, num_spoof):
    protocol = read_protocol(reference("ARENA_REFERENCE") / f"protocol_files/{name}.csv")
    assert (protocol.is_bonafide.sum(), (~protocol.is_bonafide).sum()) == (num_bonafide, num_spoof)
