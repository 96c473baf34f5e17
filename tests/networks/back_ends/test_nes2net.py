import pytest
import torch
import torch.nn.functional as F

from lightning_modules.networks.back_ends import Nes2NetX
from lightning_modules.networks.encoders import Hidden


def small(**settings) -> Nes2NetX:
    torch.manual_seed(0)
    back_end = Nes2NetX(dim=24, groups=3, scale=4, **settings).double().eval()
    for parameter in back_end.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return back_end


def hidden(num_frames: int) -> Hidden:
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(2, 1, num_frames, 24, dtype=torch.float64, generator=generator)
    return Hidden(states, torch.full((2,), num_frames))


@pytest.mark.parametrize(("ratio", "total"), [(1, 512_039), (8, 310_551)])
def test_parameters_are_the_published_ones(ratio, total):
    with torch.device("meta"):
        back_end = Nes2NetX(se_ratio=ratio)
    assert sum(parameter.numel() for parameter in back_end.parameters()) == total


def norm(layer, x):  # of channels first, with the statistics at the start
    return x / (1 + layer.eps) ** 0.5 * layer.weight[:, None] + layer.bias[:, None]


def block(layers, x):
    """The Res2Net block on (channel, time), state by state."""

    def linear(layer, x):
        return layer.weight[..., 0] @ x + layer.bias[:, None]

    pieces = norm(layers.bn1, linear(layers.conv1, x).relu()).split(2)
    states, outputs = [pieces[3]], []
    for number in range(3):
        conv = layers.convs[number]

        def convolved(state, conv=conv):
            padded = F.pad(state, (2, 2))  # the dilation
            taps = [conv.weight[:, :, tap, 0] @ padded[:, 2 * tap :][:, : x.shape[1]] for tap in range(3)]
            return torch.stack(taps).sum(0) + conv.bias[:, None]

        states = [norm(layers.bns[number], convolved(each).relu()) for each in [*states, pieces[number]]]
        weights = layers.weighted_sum[number].flatten()
        outputs.append(sum(weight * state for weight, state in zip(weights, states, strict=True)))
    y = norm(layers.bn3, linear(layers.conv3, torch.cat([*outputs, pieces[3]])).relu())
    squeezed = linear(layers.se.se[1], y.mean(1, keepdim=True)).relu()
    return x + y * torch.sigmoid(linear(layers.se.se[3], squeezed))


@pytest.mark.parametrize("num_frames", [19, 21])
def test_against_a_computation_state_by_state(num_frames):
    back_end, given = small(se_ratio=2), hidden(num_frames)
    nest = back_end.Nested_Res2Net_TDNN
    for clip in range(2):
        groups = given.states[clip, 0].T.split(8)
        first = norm(nest.bns[0], block(nest.Build_in_Res2Nets[0], groups[0]).relu())
        second = norm(nest.bns[1], block(nest.Build_in_Res2Nets[1], first + groups[1]).relu())
        embedding = norm(nest.bn, torch.cat([first, second, groups[2]])).relu().mean(1)
        output = back_end(given)
        torch.testing.assert_close(output.embedding[clip], embedding, atol=1e-12, rtol=0)
        torch.testing.assert_close(
            output.logits[clip], nest.fc.weight @ embedding + nest.fc.bias, atol=1e-12, rtol=0
        )


def test_attentive_statistics_take_the_place_of_the_mean():
    back_end = small(pooling="attentive_statistics")
    assert back_end.embedding_dim == 48
    assert back_end(hidden(20)).embedding.shape == (2, 48)
    assert {"pooling.linear1.weight", "pooling.linear2.bias"} <= set(
        back_end.Nested_Res2Net_TDNN.state_dict()
    )


def test_groups_that_leave_channels_over_are_refused():
    with pytest.raises(ValueError, match="groups=5 must divide dim=1024"):
        Nes2NetX(groups=5)
