import torch

from lightning_modules.networks.encoders import TimeMask


def spans(row):
    """Lengths of runs of masked steps."""
    edges = torch.diff(torch.nn.functional.pad(row.int(), (1, 1)))
    return (edges.eq(-1).nonzero() - edges.eq(1).nonzero()).flatten().tolist()


def test_spans_lie_within_the_clip_and_cover_their_share():
    torch.manual_seed(0)
    length = torch.tensor([200, 60, 9]).repeat(400)
    masked = TimeMask(share=0.1, span=10).draw(length, 200)
    assert not masked[torch.arange(200) >= length[:, None]].any()
    assert not masked[length == 9].any()
    for steps in (200, 60):
        rows = masked[length == steps]
        assert all(run >= 10 for row in rows for run in spans(row[:steps]))
    # of 60 steps 0.6 spans on the mean, of which two never are
    assert abs(masked[length == 60].sum().item() / 400 - 0.6 * 10) < 0.8
    assert set(masked[length == 60].sum(1).tolist()) == {0, 10}


def test_nothing_is_masked_of_none():
    assert not TimeMask(share=0.0).draw(torch.tensor([50]), 50).any()
