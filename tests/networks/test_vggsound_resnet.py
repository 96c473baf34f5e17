import logging

import pytest
import torch
from safetensors.torch import save_file
from timm import create_model
from torch import Tensor, nn
from torchvision import models
from torchvision.models import resnet18

from lightning_modules import load_model
from lightning_modules.networks import VGGSoundResNet


@pytest.mark.parametrize(
    ("depth", "total", "dim"), [(18, 11_328_757, 512), (34, 21_436_917, 512), (50, 24_134_901, 2048)]
)
def test_parameters_and_embedding(depth, total, dim):
    network = VGGSoundResNet(depth=depth).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == total
    embedding, logits = network(torch.randn(2, 257, 40))
    assert embedding.shape == (2, dim) == (2, network.embedding_dim)
    torch.testing.assert_close(logits, network.fc(embedding))
    assert logits.shape == (2, 309)


def test_one_channel_counts_as_three_equal_colours():
    network, coloured = VGGSoundResNet().double().eval(), resnet18(num_classes=309).double().eval()
    state = {key: value for key, value in network.state_dict().items() if key != "conv1.weight"}
    coloured.load_state_dict(state | {"conv1.weight": network.conv1.weight.expand(-1, 3, -1, -1) / 3})
    features = torch.randn(2, 65, 50, dtype=torch.double)
    torch.testing.assert_close(network(features).logits, coloured(features[:, None].expand(-1, 3, -1, -1)))


def test_published_checkpoints_load_and_a_head_for_other_classes_stays(tmp_path, caplog):
    published = VGGSoundResNet(7)
    nn.init.normal_(published.get_buffer("bn1.running_mean"))
    state = {f"audnet.{key}": value for key, value in published.state_dict().items()}
    torch.save({"model_state_dict": state}, tmp_path / "model.pth.tar")
    same = VGGSoundResNet(7).load_official(tmp_path / "model.pth.tar")
    assert torch.equal(same.fc.weight, published.fc.weight)
    other = VGGSoundResNet(5).load_official(tmp_path / "model.pth.tar")
    assert torch.equal(other.get_buffer("bn1.running_mean"), published.get_buffer("bn1.running_mean"))
    assert "the head stays as initialized" in caplog.text
    assert "fc.weight (7, 512)" in caplog.text
    torch.save(
        {"model_state_dict": {**state, "audnet.avgpool.centroids": torch.zeros(2)}}, tmp_path / "vlad.tar"
    )
    with pytest.raises(ValueError, match=r"1 unexpected \(avgpool.centroids\)"):
        VGGSoundResNet(7).load_official(tmp_path / "vlad.tar")


def of_images(depth: int, source: str) -> dict[str, Tensor]:
    """What torchvision or timm saves of a network for images."""
    name = f"resnet{depth}"
    return (
        getattr(models, name)().state_dict() if source == "torchvision" else create_model(name).state_dict()
    )


@pytest.mark.parametrize(
    ("depth", "source"), [(18, "torchvision"), (34, "timm"), (50, "timm"), (50, "torchvision")]
)
def test_networks_for_images_load_with_their_colours_added_up(depth, source, tmp_path, caplog):
    state = of_images(depth, source)
    if source == "timm":
        path = tmp_path / "blob"  # named by its hash, as in caches
        save_file(state, path)
    else:  # as in 2016
        path = tmp_path / "resnet.pth"
        state = {key: value for key, value in state.items() if "num_batches" not in key}
        torch.save(state, path)
    network = VGGSoundResNet(1000, depth=depth).eval()  # as many classes as of images, but none of them
    head = network.fc.weight.clone()
    with caplog.at_level(logging.INFO):
        network.load_official(path)
    assert torch.equal(network.fc.weight, head)
    assert "that for images: fc.bias, fc.weight" in caplog.text
    coloured = getattr(models, f"resnet{depth}")().eval()
    coloured.load_state_dict(state, strict=source == "timm")
    coloured.fc = nn.Identity()
    features = torch.randn(2, 65, 50)
    expected = coloured(features[:, None].expand(-1, 3, -1, -1))
    torch.testing.assert_close(network(features).embedding, expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="a ResNet for images, without a head for sound: train from it with"):
        load_model(path)


def test_half_precision_is_close_and_every_parameter_gets_a_gradient():
    network, features = VGGSoundResNet(5), torch.randn(2, 257, 64)
    plain = network(features).logits
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(features).logits
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, plain, atol=0.1, rtol=0)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_unknown_depth_is_refused():
    with pytest.raises(ValueError, match="depth=19 must be one of 18, 34, 50"):
        VGGSoundResNet(depth=19)  # pyright: ignore[reportArgumentType]
