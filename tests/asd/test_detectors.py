"""Detectors as a Trainer sees them, on clips of unequal length, without a data set."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from datamodules.clips import Batch, Clip, pad
from lightning_modules.asd import AutoencoderDetector, EmbeddingDetector, FlowDetector, ProxyOutlierClassifier
from lightning_modules.asd.backends import Mahalanobis, NearestNeighbours, TransductiveDomainNormalized
from lightning_modules.frontends import MelDecibel, Standardize
from lightning_modules.networks import MAF, Autoencoder, RFRResNet
from lightning_modules.objectives import ArcFace

INSTANCES = ["fan/id_00", "fan/id_02", "pump/id_00"]


def frontend():
    return MelDecibel(n_fft=256, hop_length=128, n_mels=32)


def resnet():
    """One that has been trained: the published start gives the logit 0 whatever the input."""
    network = RFRResNet(channels=8)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.3)
    return network


def detectors():
    torch.manual_seed(0)
    return {
        "proxy outliers": ProxyOutlierClassifier(resnet(), frontend=frontend(), window=48),
        "autoencoder": AutoencoderDetector(
            Autoencoder(input_dim=160, hidden_dims=(16, 4, 16)), frontend=frontend()
        ),
        "flow": FlowDetector(
            MAF(input_dim=128, hidden_dim=32, num_blocks=2, num_conditions=3),
            frontend=frontend(),
            standardize=Standardize(32),
        ),
        "logit": EmbeddingDetector(resnet(), ArcFace(3, 32), frontend=frontend(), window=48),
        "neighbours": EmbeddingDetector(
            resnet(), ArcFace(3, 32), NearestNeighbours(), frontend=frontend(), window=48
        ),
        "mahalanobis": EmbeddingDetector(
            resnet(), ArcFace(3, 32), Mahalanobis(), frontend=frontend(), window=48
        ),
    }


def batch_of(clips, instances=INSTANCES) -> Batch:
    longest = max(clip.shape[1] for clip in clips)
    return Batch(
        waveform=torch.stack([pad(clip, longest, "mirror") for clip in clips]),
        length=torch.tensor([clip.shape[1] for clip in clips]),
        target=torch.zeros(len(clips), dtype=torch.int64),
        index=torch.arange(len(clips)),
        key=[f"clip{number}" for number in range(len(clips))],
        attributes={"instance": list(instances[: len(clips)])},
    )


@pytest.fixture
def clips():
    torch.manual_seed(1)
    return [torch.randn(1, length) for length in (8000, 12_345, 9001)]


@pytest.mark.parametrize("name", detectors())
def test_a_clips_score_does_not_depend_on_its_batch(name, clips):
    detector = detectors()[name].eval()
    detector.instances = INSTANCES
    if isinstance(detector, EmbeddingDetector) and detector.backend is not None:
        detector.backend.fit(nn.functional.normalize(torch.randn(30, 32), dim=1), torch.arange(30) % 3)
    with torch.no_grad():
        together = detector.score(batch_of(clips))
        alone = [
            detector.score(batch_of([clip], [instance]))[0]
            for clip, instance in zip(clips, INSTANCES, strict=True)
        ]
    assert together.dtype == torch.float64
    assert together.std() > 0
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-4)


def test_the_classifiers_score_is_the_mean_logit_of_all_windows(clips):
    detector = detectors()["proxy outliers"].eval()
    features = frontend()(clips[1])  # 12,345 samples: 97 frames
    with torch.no_grad():
        logits = [
            detector.network(features[:, :, first : first + 48]).logits[0, 0] for first in range(97 - 48 + 1)
        ]
        score = detector.score(batch_of([clips[1]]))
    assert score.item() == pytest.approx(torch.stack(logits).mean().item(), abs=1e-4)


def test_the_autoencoders_score_is_the_mean_error_of_all_windows(clips):
    detector = detectors()["autoencoder"].eval()
    features = frontend()(clips[0])[0]  # (32, 63)
    with torch.no_grad():
        windows = torch.stack([features[:, first : first + 5].flatten() for first in range(63 - 5 + 1)])
        error = (detector.network(windows) - windows).square().mean()
        score = detector.score(batch_of([clips[0]]))
    assert score.item() == pytest.approx(error.item(), rel=1e-5)


def test_the_flow_scores_under_the_own_instance_or_under_all(clips):
    detector = detectors()["flow"].eval()
    detector.instances = INSTANCES
    windows = torch.randn(7, 32, 4)
    instance = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    with torch.no_grad():
        each = torch.stack(
            [detector.network.log_prob(windows.flatten(1), torch.full((7,), number)) for number in range(3)]
        )
        own = detector.scorer().window_scores(windows, instance)
        detector.marginal = True
        marginal = detector.scorer().window_scores(windows, instance)
    torch.testing.assert_close(own, -each.gather(0, instance[None])[0])
    torch.testing.assert_close(marginal, -(each.logsumexp(0) - torch.tensor(3.0).log()))


def test_a_clip_shorter_than_a_window_is_named(clips):
    detector = ProxyOutlierClassifier(resnet(), frontend=frontend(), window=80)
    with pytest.raises(ValueError, match=r"clip0 has 63 frames, fewer than a window of 80: set model.window"):
        detector.on_before_batch_transfer(batch_of(clips), 0)


def test_an_unknown_machine_is_no_class():
    detector = detectors()["flow"]
    detector.instances = INSTANCES
    batch = batch_of([torch.randn(1, 8000)] * 2, ["pump/id_00", "valve/id_06"])
    assert detector.instance_index(batch).tolist() == [2, -1]


class Sums(nn.Module):
    """An objective of no class of the project: embeddings shall add up to the number of their instance."""

    num_classes = 3

    def forward(self, embedding, instance):
        return (embedding.sum(dim=1) - instance).square().mean()


def test_any_objective_trains_embeddings_that_a_backend_scores(clips):
    backend = NearestNeighbours()
    detector = EmbeddingDetector(resnet(), Sums(), backend, frontend=frontend(), window=48)
    detector.instances = INSTANCES
    detector.log = lambda *_, **__: None  # pyright: ignore[reportAttributeAccessIssue]
    optimizer = torch.optim.Adam(detector.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        losses.append(detector.training_step(batch_of(clips), 0))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    backend.fit(nn.functional.normalize(torch.randn(30, 32), dim=1), torch.arange(30) % 3)
    assert detector.eval().score(batch_of(clips)).isfinite().all()


def data_of(instances):
    """A data module of one training clip of each machine instance."""
    rows = {"train": [Clip(name, "", 0, {"instance": name}) for name in instances]}
    return SimpleNamespace(rows=rows, count_classes_as=lambda *_, **__: None)


def test_too_few_classes_are_refused_before_training():
    data = data_of(INSTANCES)

    for detector, key in (
        (FlowDetector(MAF(input_dim=128, hidden_dim=8, num_conditions=2)), "num_conditions=3"),
        (EmbeddingDetector(resnet(), ArcFace(2, 32)), "num_classes=3"),
    ):
        detector._trainer = SimpleNamespace(datamodule=data)  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(ValueError, match=key):
            detector.setup("fit")


def test_a_run_does_not_continue_on_other_machines():
    """Whether its checkpoint is read before the data, as for a test, or after, as for training that goes on."""
    detector = detectors()["proxy outliers"]
    detector._trainer = SimpleNamespace(datamodule=data_of(INSTANCES[:2]))  # pyright: ignore[reportAttributeAccessIssue]
    for begin in (lambda: detector.setup("fit"), detector.on_train_start):
        detector.on_load_checkpoint({"instances": INSTANCES})
        with pytest.raises(ValueError, match=r"trained on fan/id_00, fan/id_02, pump/id_00.*now holds"):
            begin()


@pytest.mark.parametrize("name", detectors())
def test_outliers_in_training_are_for_those_that_learn_from_them(name):
    detector, normal = detectors()[name], data_of(INSTANCES)
    mixed = data_of(INSTANCES)
    mixed.rows["train"].append(Clip("worn", "", 1, {"instance": INSTANCES[0]}))
    refused, taken = (normal, mixed) if name == "proxy outliers" else (mixed, normal)
    message = (
        "the training has none" if refused is normal else "1 of 4 clips .* of class anomaly, e.g. worn, and"
    )
    detector._trainer = SimpleNamespace(datamodule=refused)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match=message):
        detector.setup("fit")
    detector._trainer = SimpleNamespace(datamodule=taken)  # pyright: ignore[reportAttributeAccessIssue]
    detector.setup("fit")
    assert detector.instances == INSTANCES


@pytest.mark.parametrize("name", ["flow", "logit", "neighbours", "mahalanobis"])
def test_unknown_machine_instances_are_refused(name):
    detector = detectors()[name]
    detector.instances = INSTANCES
    clips = [torch.randn(1, 16000) for _ in INSTANCES]
    assert detector.on_before_batch_transfer(batch_of(clips), 0) is not None
    with pytest.raises(
        ValueError, match="is of pump/id_04: this detector scores clips of fan/id_00, fan/id_02"
    ):
        detector.on_before_batch_transfer(batch_of(clips, [*INSTANCES[:2], "pump/id_04"]), 0)
    batch = batch_of(clips)._replace(attributes={})
    with pytest.raises(ValueError, match="is of no machine instance"):
        detector.on_before_batch_transfer(batch, 0)
    if name == "flow":
        detector.marginal = True
        assert detector.on_before_batch_transfer(batch, 0) is batch


def test_only_the_backend_scales_embeddings(clips):
    """Twice as long an embedding is farther from the same normal ones, unless the distance is of angles."""
    detector = detectors()["neighbours"].eval()
    detector.instances = INSTANCES
    scorer = detector.scorer()
    with torch.no_grad():
        features = frontend()(clips[0])
        windows = torch.stack([features[0, :, first : first + 48] for first in range(0, 63 - 48 + 1, 32)])
        mean = detector.network(windows).embedding.mean(0)
        embedding = scorer.embed(clips[0][None])[0]
    torch.testing.assert_close(embedding, mean, rtol=1e-4, atol=1e-5)
    normal, instance = torch.randn(30, 32), torch.zeros(30, dtype=torch.long)
    for backend, is_equal in ((NearestNeighbours(), True), (NearestNeighbours(metric="euclidean"), False)):
        backend.fit(normal, instance)
        scorer.backend = backend
        short, long = (scorer.distance(embedding[None] * factor, instance[:1]) for factor in (1, 2))
        assert torch.isclose(short, long, rtol=1e-4).item() is is_equal


def test_a_detector_takes_no_transductive_backend():
    with pytest.raises(
        ValueError, match=r"model.backend: TransductiveDomainNormalized scores all clips .* together"
    ):
        EmbeddingDetector(resnet(), Sums(), TransductiveDomainNormalized(), frontend=frontend(), window=48)
