"""The cost model for many ranks, and the page that shows it."""

import itertools
import re
from pathlib import Path

import pytest
from cost_scaling import (
    Link,
    reduced_bytes,
    reduction_s,
    scaling_efficiency,
    shortest_step_s,
)

LINKS = [
    Link(bandwidth=bandwidth, latency_s=latency_s)
    for bandwidth, latency_s in ((1.25e8, 5e-5), (3e9, 2e-5), (2.5e10, 5e-6))
]
SMALL = 297_354
LARGE = 87_347_319


def test_by_hand():
    link = Link(bandwidth=1e9, latency_s=1e-3)
    assert reduced_bytes(1000, 2) == 4000
    assert reduction_s(1000, 2, link) == pytest.approx(4e-6 + 2e-3)  # one bucket, one exchange and back
    assert scaling_efficiency(0.1, 1000, ranks=1, link=link) == 1
    assert scaling_efficiency(0.1, 1000, ranks=2, link=link) == pytest.approx(0.1 / (0.1 + 2.004e-3))
    # 14 buckets: 13 of them hidden behind a long backward pass, all but 2/3 of a short one shown
    whole, last = 4 * LARGE / 1e9 + 14 * 2e-3, 25 * 2**20 / 1e9 + 2e-3
    assert scaling_efficiency(10.0, LARGE, ranks=2, link=link) == pytest.approx(10 / (10 + last))
    assert scaling_efficiency(0.3, LARGE, ranks=2, link=link) == pytest.approx(0.3 / (0.1 + whole))


@pytest.mark.parametrize(("parameters", "link"), itertools.product((SMALL, LARGE), LINKS))
def test_the_shortest_step_reaches_the_efficiency(parameters, link):
    step_s = shortest_step_s(parameters, ranks=16, link=link, efficiency=0.9)
    assert scaling_efficiency(step_s, parameters, ranks=16, link=link) == pytest.approx(0.9)
    assert scaling_efficiency(0.9 * step_s, parameters, ranks=16, link=link) < 0.9


def rows(columns):
    page = (Path(__file__).parents[2] / "slurm/SCALING.md").read_text()
    cells = [line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| [A-Z]", line)]
    return [row for row in cells if len(row) == columns]


def number(text):
    return float(text.replace(",", "").removesuffix(" %"))


def test_the_page_shows_what_is_computed():
    parameters = {}
    for name, count, megabytes, *shortest in rows(6):
        parameters[name] = count = int(number(count))
        assert number(megabytes) == pytest.approx(reduced_bytes(count, 16) / 1e6, abs=0.05)
        for shown, link in zip(shortest, LINKS, strict=True):
            assert number(shown) == pytest.approx(1e3 * shortest_step_s(count, ranks=16, link=link), rel=0.05)
    assert len(parameters) == 9
    steps = rows(8)
    assert len(steps) == 5
    for name, step_s, *efficiencies in steps:
        count = parameters[name.rpartition(",")[0]]
        for shown, (link, ranks) in zip(efficiencies, itertools.product(LINKS[:2], (4, 16, 64)), strict=True):
            found = scaling_efficiency(float(step_s), count, ranks=ranks, link=link)
            assert number(shown) == pytest.approx(100 * found, abs=0.5)
