import copy
import math

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from lightning_modules.networks import Output
from lightning_modules.objectives import InterInstance


class Network(nn.Module):
    embedding_dim = 6

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
        self.head = nn.Linear(6, 2)

    def forward(self, features):
        embedding = self.trunk(features)
        return Output(embedding, self.head(embedding))


def bound(**arguments):
    objective = InterInstance(**arguments)
    objective.bind(Network())
    return objective


def naive(embedding, target, bank, labels):
    total = 0.0
    for f, y in zip(embedding, target, strict=True):
        for sign in (1, -1):
            terms = [
                math.log(1 / (1 + math.exp(-sign * torch.dot(f, g) / f.norm() / g.norm())))
                for g, label in zip(bank, labels, strict=True)
                if label >= 0 and (label == y) == (sign == 1)
            ]
            total -= sum(terms) / len(terms) if terms else 0.0
    return total / len(embedding)


@pytest.mark.parametrize(("size", "filled"), [(16, 16), (32, 5), (8, 0)])
def test_equals_the_loops_of_eq_4(size, filled):
    objective = bound(bank_size=size).double()
    keys, labels = torch.randn(filled, 6).double(), torch.randint(0, 3, (filled,))
    objective.enqueue(keys, labels)
    embedding, target = torch.randn(9, 6).double(), torch.randint(0, 3, (9,))
    assert objective(embedding, target).item() == pytest.approx(
        naive(embedding, target, keys, labels), abs=1e-12
    )


@pytest.mark.parametrize(
    ("mine", "other", "bound_"), [(1, -1, 0.626523), (0, 0, 1.386294), (-1, 1, 2.626523)]
)
def test_bounds(mine, other, bound_):
    objective = bound(bank_size=8)
    query, across = torch.eye(6)[0], torch.eye(6)[1]
    keys = torch.stack(
        [7 * mine * query + (1 - abs(mine)) * across, other * query + (1 - abs(other)) * across]
    )
    objective.enqueue(keys, torch.tensor([1, 0]))
    assert objective(3 * query.unsqueeze(0), torch.tensor([1])).item() == pytest.approx(bound_, abs=1e-6)


def test_terms_without_entries_are_skipped():
    objective = bound(bank_size=8)
    embedding = torch.randn(2, 6, requires_grad=True)
    empty = objective(embedding, torch.tensor([0, 1]))
    assert empty.item() == 0
    empty.backward()  # a training step goes on
    objective.enqueue(torch.eye(6)[:1], torch.tensor([1]))
    query = torch.eye(6)[:1]
    assert objective(query, torch.tensor([1])).item() == pytest.approx(-math.log(1 / (1 + math.exp(-1))))
    assert objective(query, torch.tensor([0])).item() == pytest.approx(-math.log(1 / (1 + math.exp(1))))


def test_gradients():
    objective = bound(bank_size=12).double()
    objective.enqueue(torch.randn(10, 6), torch.randint(0, 2, (10,)))
    embedding = torch.randn(4, 6, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: objective(e, torch.tensor([0, 1, 1, 0])), (embedding,))


def test_backward_after_enqueue_uses_the_memory_of_the_loss():
    objective = bound(bank_size=4)
    objective.enqueue(torch.randn(4, 6), torch.tensor([0, 1, 0, 1]))
    embedding, target = torch.randn(2, 6, requires_grad=True), torch.tensor([0, 1])
    (expected,) = torch.autograd.grad(objective(embedding, target), embedding)
    loss = objective(embedding, target)
    objective.enqueue(torch.randn(4, 6), torch.tensor([1, 1, 0, 0]))
    loss.backward()
    torch.testing.assert_close(embedding.grad, expected)


@pytest.mark.parametrize("batch", [1, 3, 4, 7, 10, 23])
def test_memory_holds_the_newest_entries(batch):
    objective = bound(bank_size=10)
    history = []
    for step in range(7):
        keys = torch.randn(batch, 6)
        objective.enqueue(keys, torch.arange(batch) + step * batch)
        history.extend(
            zip(nn.functional.normalize(keys, dim=1), range(step * batch, (step + 1) * batch), strict=True)
        )
        newest = {label: key for key, label in history[-10:]}
        filled = objective.labels[objective.labels >= 0].tolist()
        assert sorted(filled) == sorted(newest)
        for slot, label in enumerate(objective.labels.tolist()):
            if label >= 0:
                torch.testing.assert_close(objective.bank[slot], newest[label])


def test_oldest_entry_is_at_the_pointer():
    objective = bound(bank_size=5)
    for label in range(8):
        objective.enqueue(torch.randn(1, 6), torch.tensor([label]))
    assert objective.labels.tolist() == [5, 6, 7, 3, 4]
    assert objective.labels[objective.pointer] == 3


def test_momentum_update_is_eq_3_and_copies_the_statistics():
    network, objective = Network(), InterInstance(momentum=0.9)
    objective.bind(network)
    old = copy.deepcopy(objective.encoder)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    network(torch.randn(8, 4))
    objective.update(network)
    for own, before, new in zip(
        objective.encoder.parameters(), old.parameters(), network.parameters(), strict=True
    ):
        torch.testing.assert_close(own, 0.9 * before + 0.1 * new)
        assert not own.requires_grad
        assert new.requires_grad
    for own, new in zip(objective.encoder.buffers(), network.buffers(), strict=True):
        assert torch.equal(own, new)
        assert own.data_ptr() != new.data_ptr()


def test_keys_are_deterministic_and_carry_no_gradient_in_training():
    objective, features = bound().train(), torch.randn(5, 4, requires_grad=True)
    before = copy.deepcopy(objective.state_dict())
    first = objective.keys(features)
    assert torch.equal(first, objective.keys(features))
    assert not first.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


def test_bf16_autocast_gives_a_float32_loss():
    network, objective = Network(), InterInstance(bank_size=16)
    objective.bind(network)
    features, target = torch.randn(6, 4), torch.tensor([0, 1, 0, 1, 0, 0])
    with torch.autocast("cpu", torch.bfloat16):
        embedding = network(features).embedding
        objective.enqueue(objective.keys(features), target)
        loss = objective(embedding, target)
    assert loss.dtype == objective.bank.dtype == torch.float32
    torch.testing.assert_close(loss, objective(embedding.float(), target), rtol=0, atol=0)
    loss.backward()


def test_checkpoint_and_copy_resume_exactly():
    first = bound(bank_size=7)
    first.enqueue(torch.randn(5, 6), torch.tensor([0, 1, 0, 1, 1]))
    second, third = bound(bank_size=7), copy.deepcopy(first)
    second.load_state_dict(first.state_dict())
    keys, embedding = torch.randn(4, 6), torch.randn(3, 6)
    for objective in (first, second, third):
        objective.enqueue(keys, torch.tensor([1, 0, 0, 1]))
    target = torch.tensor([0, 1, 1])
    assert first(embedding, target) == second(embedding, target) == third(embedding, target)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
        assert torch.equal(value, third.state_dict()[name])


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="momentum=1"):
        InterInstance(momentum=1.0)
    with pytest.raises(ValueError, match="bank_size=0"):
        InterInstance(bank_size=0)
    with pytest.raises(ValueError, match="Linear has no integer attribute embedding_dim"):
        InterInstance().bind(nn.Linear(2, 2))


def enqueue_on_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    objective = InterInstance(bank_size=10)
    objective.bind(Network())
    for step in range(4):
        generator = torch.Generator().manual_seed(10 * step + rank)
        objective.enqueue(torch.randn(3, 6, generator=generator), torch.arange(3) + 100 * rank + 10 * step)
    torch.save((objective.bank, objective.labels, objective.pointer), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_share_one_memory(tmp_path):
    context = mp.get_context("spawn")
    workers = [context.Process(target=enqueue_on_rank, args=(rank, str(tmp_path))) for rank in range(2)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    expected = bound(bank_size=10)
    for step in range(4):
        keys = [
            torch.randn(3, 6, generator=torch.Generator().manual_seed(10 * step + rank)) for rank in range(2)
        ]
        labels = [torch.arange(3) + 100 * rank + 10 * step for rank in range(2)]
        expected.enqueue(torch.cat(keys), torch.cat(labels))
    for rank in range(2):
        for own, value in zip(
            torch.load(tmp_path / f"{rank}.pt"),
            (expected.bank, expected.labels, expected.pointer),
            strict=True,
        ):
            assert torch.equal(own, value)


class Pair(nn.Module):
    """A network and its momentum encoder, as a method holds them."""

    def __init__(self, network, inter_instance):
        super().__init__()
        self.network, self.inter_instance = network, inter_instance


def partly_frozen():
    network = Network()
    network.trunk[0].requires_grad_(False)
    return network


def test_what_does_not_train_is_shared_and_not_kept_twice():
    network, objective = partly_frozen(), InterInstance(momentum=0.9, bank_size=4)
    objective.bind(network)
    own, new = dict(objective.encoder.named_parameters()), dict(network.named_parameters())
    frozen = {"trunk.0.weight", "trunk.0.bias"}
    assert {name for name in own if own[name] is new[name]} == frozen
    kept = {name.removeprefix("encoder.") for name in objective.state_dict() if name.startswith("encoder.")}
    assert kept == network.state_dict().keys() - frozen
    head = own["head.weight"].clone()
    nn.init.ones_(network.head.weight)
    objective.update(network)
    torch.testing.assert_close(own["head.weight"], 0.9 * head + 0.1)
    assert all(new[name].requires_grad == (name not in frozen) for name in new)
    module = Pair(network, objective).double()
    assert own["trunk.0.weight"] is new["trunk.0.weight"]
    other = copy.deepcopy(module)
    assert other.network.trunk[0].weight is other.inter_instance.encoder.get_parameter("trunk.0.weight")


def test_checkpoints_hold_what_is_shared_once_or_twice():
    def fresh():
        network, objective = partly_frozen(), InterInstance(bank_size=4)
        objective.bind(network)
        return Pair(network, objective)

    trained, resumed = fresh(), fresh()
    state = trained.state_dict()
    resumed.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in resumed.state_dict().items())
    assert resumed.network.trunk[0].weight is resumed.inter_instance.encoder.get_parameter("trunk.0.weight")
    twice = {
        f"inter_instance.encoder.trunk.0.{name}": state[f"network.trunk.0.{name}"]
        for name in ("weight", "bias")
    }
    earlier = fresh()
    earlier.load_state_dict(state | twice)
    assert all(torch.equal(value, state[name]) for name, value in earlier.state_dict().items())


def test_a_network_that_trains_nothing_has_nothing_to_follow():
    network, objective = Network().requires_grad_(False), InterInstance(bank_size=4)
    objective.bind(network)
    objective.update(network)
    assert all(
        own is new for own, new in zip(objective.encoder.parameters(), network.parameters(), strict=True)
    )
