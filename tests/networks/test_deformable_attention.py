import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightning_modules.networks.deformable_attention import DeformableAttention, reference_points


def layer_of(size, **settings):
    settings = {"map_size": size, "kernel_size": 3} | settings
    layer = DeformableAttention(8, 4, 2, **settings).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return layer


def interpolate(maps, y, x):
    """Bilinear value of maps (c, h, w) at the place (y, x) in cells; zero outside."""
    total = torch.zeros(len(maps), dtype=maps.dtype)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < maps.shape[1] and 0 <= column < maps.shape[2]:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * maps[:, row, column]
    return total


def attend_pair_by_pair(layer, x):
    """The formulas for one clip (c, h, w), query by query and key by key."""
    groups, heads = layer.num_groups, layer.num_heads
    dim, height, width = x.shape
    queries = F.conv2d(x[None], layer.proj_q.weight, layer.proj_q.bias)
    if layer.conv_offset is None:
        raw = None
        rows, columns = (math.ceil(n / s) for n, s in zip((height, width), layer.key_stride, strict=True))
    else:
        raw = layer.conv_offset(queries.view(groups, dim // groups, height, width))
        rows, columns = raw.shape[2:]
    out = torch.zeros(dim, height, width, dtype=x.dtype)
    sampled = torch.zeros(dim, rows, columns, dtype=x.dtype)
    places = {}
    for group in range(groups):
        for i in range(rows):
            for j in range(columns):
                y, z = (2 * i + 1) / rows - 1, (2 * j + 1) / columns - 1
                if raw is not None:
                    y += layer.offset_range_factor * math.tanh(raw[group, 0, i, j]) / rows
                    z += layer.offset_range_factor * math.tanh(raw[group, 1, i, j]) / columns
                places[group, i, j] = y, z
                channels = slice(group * dim // groups, (group + 1) * dim // groups)
                at = (y + 1) / 2 * (height - 1), (z + 1) / 2 * (width - 1)
                sampled[channels, i, j] = interpolate(x[channels], *at)
    keys, values = (
        F.conv2d(sampled[None], layer.proj_k.weight, layer.proj_k.bias)[0],
        F.conv2d(sampled[None], layer.proj_v.weight, layer.proj_v.bias)[0],
    )
    table_rows, table_columns = layer.rpe_table.shape[1:]
    for head in range(heads):
        group = head // (heads // groups)
        channels = slice(head * dim // heads, (head + 1) * dim // heads)
        for row in range(height):
            for column in range(width):
                scores = []
                for i in range(rows):
                    for j in range(columns):
                        y, z = places[group, i, j]
                        dy, dz = (2 * row + 1) / height - 1 - y, (2 * column + 1) / width - 1 - z
                        at = (dy / 2 + 1) / 2 * (table_rows - 1), (dz / 2 + 1) / 2 * (table_columns - 1)
                        product = (queries[0, channels, row, column] * keys[channels, i, j]).sum()
                        bias = interpolate(layer.rpe_table[head : head + 1], *at)[0]
                        scores.append(product / (dim / heads) ** 0.5 + bias)
                attention = torch.stack(scores).softmax(0).view(rows, columns)
                out[channels, row, column] = (values[channels] * attention).sum(dim=(1, 2))
    return F.conv2d(out[None], layer.proj_out.weight, layer.proj_out.bias)[0]


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        ((3, 5), {}),
        ((3, 5), {"map_size": (4, 4)}),
        ((4, 5), {"key_stride": 2, "kernel_size": 5}),
        ((3, 6), {"key_stride": (1, 3), "offset_range_factor": 3.0}),
        ((4, 5), {"key_stride": (1, 2), "deformable": False}),
    ],
)
def test_equals_the_formulas(size, settings):
    layer = layer_of(size, **settings)
    x = torch.randn(2, 8, *size, dtype=torch.double)
    with torch.no_grad():
        expected = torch.stack([attend_pair_by_pair(layer, clip) for clip in x])
        torch.testing.assert_close(layer(x), expected)


def test_reference_points_are_cell_centres():
    points = reference_points(2, 4, torch.float64, torch.device("cpu"))
    assert points[..., 0].tolist() == [[-0.5] * 4, [0.5] * 4]
    assert points[..., 1].tolist() == [[-0.75, -0.25, 0.25, 0.75]] * 2


def test_offsets_stay_within_their_range():
    """A factor of 2 moves a key by at most one cell of the grid of keys, 2 / 3 of the extent here."""
    layer = layer_of((3, 3))
    layer.get_parameter("conv_offset.3.weight").data.fill_(100.0)
    queries = torch.randn(64, 8, 3, 3, dtype=torch.double)
    moved = layer.positions(queries) - reference_points(3, 3, torch.float64, queries.device)
    assert moved.abs().max().item() == pytest.approx(2 / 3)


def test_places_are_exact_in_half_precision():
    """With offsets of 0, keys stand where float64 has them, though bfloat16 has 3 digits."""
    layer = DeformableAttention(8, 4, 2, map_size=(2, 256), kernel_size=3).bfloat16()
    layer.get_parameter("conv_offset.3.weight").data.zero_()
    positions = layer.positions(torch.randn(1, 8, 2, 256, dtype=torch.bfloat16))
    exact = reference_points(2, 256, torch.float64, positions.device).expand(2, -1, -1, -1)
    torch.testing.assert_close(positions.double(), exact, atol=1e-6, rtol=0)
    assert layer(torch.randn(1, 8, 2, 256, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("deformable", [True, False])
def test_sizes_first_met_in_evaluation_can_be_trained(deformable):
    layer = layer_of((3, 11), deformable=deformable)
    x = torch.randn(2, 8, 3, 11, dtype=torch.double, requires_grad=True)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
