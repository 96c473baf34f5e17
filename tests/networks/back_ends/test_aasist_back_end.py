import pytest
import torch
import torch.nn.functional as F

from lightning_modules.networks.back_ends import AASISTBackEnd
from lightning_modules.networks.encoders import Hidden


def small(**settings) -> AASISTBackEnd:
    torch.manual_seed(0)
    channels = (4, 4, 6, 6, 6, 6)
    return AASISTBackEnd(dim=10, bands=9, channels=channels, graph_dims=(6, 4), **settings).double()


def hidden(num_frames: int, num_layers: int = 1) -> Hidden:
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(3, num_layers, num_frames, 10, dtype=torch.float64, generator=generator)
    return Hidden(states, torch.full((3,), num_frames))


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        back_end = AASISTBackEnd()
    assert sum(parameter.numel() for parameter in back_end.parameters()) == 447_242
    assert len(back_end.state_dict()) == 245


@pytest.mark.parametrize(("num_frames", "num_nodes"), [(199, 66), (201, 67)])
def test_nodes_are_attentive_sums_over_time_and_over_frequency(monkeypatch, num_frames, num_nodes):
    back_end, nodes = small().eval(), []
    join = back_end.join
    monkeypatch.setattr(back_end, "join", lambda *given: nodes.extend(given) or join(*given))
    back_end.encoder.register_forward_hook(lambda _, given, out: nodes.extend([given[0], out]))
    given = hidden(num_frames)
    embedding, logits = back_end(given)
    image, maps, spectral, temporal = nodes

    bands = given.states[:, 0] @ back_end.LL.weight.T + back_end.LL.bias
    pooled = bands[:, : 3 * num_nodes].unflatten(1, (-1, 3)).unflatten(3, (-1, 3)).amax((2, 4))
    torch.testing.assert_close(image[:, 0], F.selu(pooled / (1 + 1e-5) ** 0.5).transpose(1, 2))

    assert maps.shape == (3, 6, 3, num_nodes), "the blocks keep all time steps"
    weight = dict(back_end.attention.named_parameters())
    x = F.selu(maps / (1 + 1e-5) ** 0.5)
    inner = torch.einsum("bcft,oc->boft", x, weight["0.weight"][..., 0, 0])
    inner = F.selu(inner + weight["0.bias"][:, None, None]) / (1 + 1e-5) ** 0.5
    scores = torch.einsum("bcft,oc->boft", inner, weight["3.weight"][..., 0, 0])
    weights = (scores + weight["3.bias"][:, None, None]).exp()
    expected = (x * weights / weights.sum(3, keepdim=True)).sum(3).transpose(1, 2)
    torch.testing.assert_close(spectral, expected)
    expected = (x * weights / weights.sum(2, keepdim=True)).sum(2).transpose(1, 2)
    torch.testing.assert_close(temporal, expected)
    torch.testing.assert_close(logits, embedding @ back_end.out_layer.weight.T + back_end.out_layer.bias)


def test_one_score_whatever_the_batch():
    back_end, given = small(num_layers=2).eval(), hidden(201, 2)
    together = back_end(given).logits
    for clip in range(3):
        alone = back_end(Hidden(given.states[clip : clip + 1], given.length[:1])).logits
        torch.testing.assert_close(alone[0], together[clip], atol=1e-12, rtol=0)


def test_every_parameter_that_wants_a_gradient_gets_one():
    back_end = small(num_layers=2)
    F.cross_entropy(back_end(hidden(60, 2)).logits, torch.tensor([0, 1, 1])).backward()
    frozen = {name for name, parameter in back_end.named_parameters() if parameter.grad is None}
    assert frozen == {name for name, parameter in back_end.named_parameters() if not parameter.requires_grad}
    assert frozen == {f"encoder.{i}.0.bn1.{kind}" for i in range(1, 6) for kind in ("weight", "bias")}


def test_too_short_a_clip_is_refused():
    with pytest.raises(
        ValueError, match=r"^2 time steps of the encoder: AASISTBackEnd needs at least 3: set data"
    ):
        small()(hidden(2))
