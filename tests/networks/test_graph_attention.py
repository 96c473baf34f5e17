import torch

from lightning_modules.networks.graph_attention import GraphAttention, GraphPool, HeterogeneousGraphAttention


def _selu_norm(layer, x):
    return torch.nn.functional.selu(layer.bn(x.transpose(1, 2)).transpose(1, 2))


def test_graph_attention_pair_by_pair():
    torch.manual_seed(0)
    layer = GraphAttention(6, 5, temperature=2.0).double().eval()
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    heard = torch.zeros(2, 4, 6, dtype=torch.float64)
    for clip in range(2):
        for i in range(4):
            pairs = torch.tanh(layer.att_proj(x[clip, i] * x[clip]))
            weights = torch.softmax(pairs @ layer.att_weight[:, 0] / 2.0, dim=0)
            heard[clip, i] = weights @ x[clip]
    expected = _selu_norm(layer, layer.proj_with_att(heard) + layer.proj_without_att(x))
    torch.testing.assert_close(layer(x), expected)


def test_heterogeneous_attention_pair_by_pair():
    torch.manual_seed(0)
    layer = HeterogeneousGraphAttention(6, 5, temperature=3.0).double().eval()
    x1, x2 = torch.randn(2, 3, 6, dtype=torch.float64), torch.randn(2, 2, 6, dtype=torch.float64)
    master = torch.randn(1, 1, 6, dtype=torch.float64)
    x = torch.cat([layer.proj_type1(x1), layer.proj_type2(x2)], dim=1)
    heard = torch.zeros_like(x)
    for clip in range(2):
        for i in range(5):
            scores = []
            for j in range(5):
                weight = {0: layer.att_weight11, 1: layer.att_weight12, 2: layer.att_weight22}[
                    (i > 2) + (j > 2)
                ]
                scores.append(torch.tanh(layer.att_proj(x[clip, i] * x[clip, j])) @ weight[:, 0])
            heard[clip, i] = torch.softmax(torch.stack(scores) / 3.0, dim=0) @ x[clip]
    expected = _selu_norm(layer, layer.proj_with_att(heard) + layer.proj_without_att(x))
    weights = torch.softmax(torch.tanh(layer.att_projM(x * master)) @ layer.att_weightM / 3.0, dim=1)
    expected_master = layer.proj_with_attM((weights * x).sum(1, keepdim=True)) + layer.proj_without_attM(
        master
    )
    first, second, new_master = layer(x1, x2, master)
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected)
    torch.testing.assert_close(new_master, expected_master)


def test_pool_keeps_the_best_nodes_in_order():
    pool = GraphPool(1, ratio=0.6).eval()
    torch.nn.init.ones_(pool.proj.weight)
    torch.nn.init.zeros_(pool.proj.bias)
    x = torch.tensor([[[1.0], [4.0], [-3.0], [2.0]]])
    kept = torch.tensor([[[4.0], [2.0]]])
    torch.testing.assert_close(pool(x), kept * torch.sigmoid(kept))
    assert GraphPool(1, ratio=0.1)(x).shape == (1, 1, 1)
