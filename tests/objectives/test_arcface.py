import math

import pytest
import torch
import torch.nn.functional as F

from lightning_modules.objectives import ArcFace


def naive(objective, embedding, target):
    """Eq. 3 with angles, clip by clip."""
    total = 0.0
    centers = objective.centers.reshape(objective.num_classes, objective.sub_centers, -1)
    for row, label in zip(embedding, target.tolist(), strict=True):
        cosines = [
            max((row @ center / row.norm() / center.norm()).item() for center in of_class)
            for of_class in centers
        ]
        angles = [math.acos(cosine) for cosine in cosines]
        angles[label] += objective.margin
        exponentials = [math.exp(objective.scale * math.cos(angle)) for angle in angles]
        total -= math.log(exponentials[label] / sum(exponentials))
    return total / len(target)


@pytest.mark.parametrize("sub_centers", [1, 3])
@pytest.mark.parametrize(("margin", "scale"), [(0.5, 30.0), (0.0, 1.0), (0.2, 16.0)])
def test_equals_eq_3_in_angles(margin, scale, sub_centers):
    objective = ArcFace(5, 8, margin=margin, scale=scale, sub_centers=sub_centers).double()
    embedding, target = torch.randn(6, 8, dtype=torch.double), torch.randint(5, (6,))
    expected = naive(objective, embedding, target)
    assert objective(embedding, target).item() == pytest.approx(expected, rel=1e-10)


def test_the_sine_of_a_small_angle_keeps_its_digits():
    cosine = 1 - torch.arange(1, 100) * 2.0**-22
    expected = ArcFace(2, 2)._with_margin(cosine.double())
    lost = (ArcFace(2, 2)._with_margin(cosine).double() - expected).abs().max()
    assert lost < 1.2e-7, "one unit in the last place of 1"


def test_logits_have_no_margin_and_ignore_lengths():
    objective = ArcFace(4, 8, scale=10.0)
    embedding = torch.randn(3, 8)
    logits = objective.logits(embedding)
    assert logits.shape == (3, 4)
    expected = 10 * F.cosine_similarity(embedding[:, None], objective.centers, dim=-1)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(objective.logits(100 * embedding), logits)


def test_without_margin_it_is_the_cross_entropy_of_the_logits():
    objective, embedding, target = ArcFace(4, 8, margin=0, sub_centers=2), torch.randn(3, 8), torch.arange(3)
    torch.testing.assert_close(
        objective(embedding, target), F.cross_entropy(objective.logits(embedding), target)
    )


def test_the_margin_cosine_falls_from_angle_0_to_pi():
    objective = ArcFace(2, 2, margin=0.5, scale=1.0).double()
    with torch.no_grad():
        objective.centers.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    angle = torch.linspace(0, math.pi, 1001, dtype=torch.double)
    embedding = torch.stack([angle.cos(), -angle.sin()], dim=1)  # the other centre's cosine is known
    losses = torch.stack([objective(row[None], torch.tensor([0])) for row in embedding])
    cosine = torch.log(torch.exp(-angle.sin()) / torch.expm1(losses))  # of the target, with its margin
    assert (cosine.diff() < 0).all()
    regular = angle < math.pi - 0.5
    torch.testing.assert_close(cosine[regular], torch.cos(angle + 0.5)[regular], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        cosine[~regular], (angle.cos() - 0.5 * math.sin(0.5))[~regular], atol=1e-6, rtol=0
    )


def test_gradients():
    objective = ArcFace(3, 4, scale=5.0, sub_centers=2).double()
    embedding = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    target = torch.randint(3, (5,))
    assert torch.autograd.gradcheck(
        lambda e, c: functional(objective, c, e, target), (embedding, objective.centers)
    )


def functional(objective, centers, embedding, target):
    return torch.func.functional_call(objective, {"centers": centers}, (embedding, target))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sign", [1, -1])
def test_gradients_are_finite_where_the_cosine_is_one(dtype, sign):
    objective = ArcFace(3, 64)
    embedding = (sign * objective.centers.detach()).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(embedding, torch.arange(3))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    for gradient in (embedding.grad, objective.centers.grad):
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 1e3


def test_half_precision_embeddings_cost_no_precision():
    objective, target = ArcFace(5, 32), torch.randint(5, (4,))
    embedding = torch.randn(4, 32).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(embedding, target)
    torch.testing.assert_close(loss, objective(embedding.float(), target))
    assert objective.bfloat16()(embedding, target).dtype == torch.float32


def test_training_separates_the_classes():
    torch.manual_seed(0)
    objective = ArcFace(3, 8, sub_centers=2)
    embedding, target = torch.nn.Parameter(torch.randn(30, 8)), torch.arange(30) % 3
    optimizer = torch.optim.Adam([embedding, *objective.parameters()], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        objective(embedding, target).backward()
        optimizer.step()
    logits = objective.logits(embedding) / objective.scale
    of_target = logits.gather(1, target[:, None])
    others = logits.scatter(1, target[:, None], -1).amax(1, keepdim=True)
    assert (of_target.arccos() + objective.margin < others.arccos()).all()


def test_unfit_use_is_refused():
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=f"target {wrong} is not in 0 to 2: set num_classes"):
            ArcFace(3, 4)(torch.randn(2, 4), torch.tensor([0, wrong]))
    with pytest.raises(
        ValueError, match="num_classes=0, embedding_dim=4, sub_centers=1: expected at least 1"
    ):
        ArcFace(0, 4)
    with pytest.raises(ValueError, match=r"margin=2, scale=30\.0: expected 0 <= margin < π/2"):
        ArcFace(3, 4, margin=2)
