import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightning_modules.networks.window_attention import LocalAttention, ShiftWindowAttention


def attend_cell_by_cell(layer, x, shift):
    """One query at a time, on a map padded to whole windows and rolled by `shift`."""
    window, heads = layer.window, layer.num_heads
    height, width = x.shape[1:]
    x = F.pad(x, (0, -width % window, 0, -height % window)).roll((-shift, -shift), dims=(1, 2))
    rows, columns = x.shape[1:]
    q, k, v = layer.proj_qkv(x.permute(1, 2, 0)).view(rows, columns, 3, heads, -1).unbind(2)
    table = layer.relative_position_bias_table.view(2 * window - 1, 2 * window - 1, heads)
    out = torch.zeros(rows, columns, heads, q.shape[-1], dtype=x.dtype)

    def region(place, size):
        return 0 if place < size - window else 1 if place < size - shift else 2

    for y in range(rows):
        for z in range(columns):
            neighbours = [
                (a, b)
                for a in range(y // window * window, y // window * window + window)
                for b in range(z // window * window, z // window * window + window)
            ]
            scores = torch.stack(
                [
                    (q[y, z] * k[a, b]).sum(-1) / q.shape[-1] ** 0.5
                    + table[y - a + window - 1, z - b + window - 1]
                    - 100.0
                    * (
                        shift > 0
                        and (region(y, rows), region(z, columns)) != (region(a, rows), region(b, columns))
                    )
                    for a, b in neighbours
                ]
            )  # (window ** 2, heads)
            values = torch.stack([v[a, b] for a, b in neighbours])
            out[y, z] = (scores.softmax(0)[..., None] * values).sum(0)
    out = layer.proj_out(out.flatten(2)).roll((shift, shift), dims=(0, 1))
    return out[:height, :width].permute(2, 0, 1)


@pytest.mark.parametrize("size", [(6, 9), (5, 7), (2, 8), (3, 3)])
@pytest.mark.parametrize("shifted", [False, True])
def test_equals_attention_of_single_cells(shifted, size):
    """Also on maps other than the one the mask was made for."""
    if shifted:
        layer = ShiftWindowAttention(8, 2, 3, map_size=(5, 7))
        assert layer.shift == 2
    else:
        layer = LocalAttention(8, 2, 3)
    layer = layer.double()
    nn.init.normal_(layer.relative_position_bias_table)
    x = torch.randn(2, 8, *size, dtype=torch.double)
    with torch.no_grad():
        expected = torch.stack([attend_cell_by_cell(layer, clip, 2 * shifted) for clip in x])
        torch.testing.assert_close(layer(x), expected)


def test_sizes_first_met_in_evaluation_can_be_trained():
    layer = ShiftWindowAttention(8, 2, 4, map_size=(8, 8))
    x = torch.randn(1, 8, 12, 20)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.relative_position_bias_table.grad is not None


def test_buffers_of_a_checkpoint_are_never_read():
    layer = ShiftWindowAttention(8, 2, 4, map_size=(8, 8))
    old = {**layer.state_dict(), "attn_mask": torch.ones(3, 16, 16)}
    del old["relative_position_index"]
    expected = layer.attn_mask.clone()
    layer.load_state_dict(old)
    assert torch.equal(layer.attn_mask, expected)
    assert old["attn_mask"].shape == (3, 16, 16)
