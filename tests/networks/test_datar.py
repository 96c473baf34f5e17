import logging
import sys
from types import ModuleType

import pytest
import torch
from timm.layers import DropPath  # pyright: ignore[reportPrivateImportUsage]
from torch import nn

from lightning_modules.networks import DATAR, InputAdaptor


def small_network(num_classes=5, **settings):
    """One block of each kind in each stage, with weights that make offsets and biases matter."""
    settings = {"dim": 32, "depths": (2, 2, 2, 2), "input_size": (64, 128), "windows": (4,) * 4} | settings
    network = DATAR(num_classes, **settings)
    for name, parameter in network.named_parameters():
        if "table" in name or "conv_offset.3" in name:
            nn.init.normal_(parameter, 0, 0.3)
    return network.eval()


@pytest.mark.parametrize(
    ("variant", "settings", "millions"),
    [
        (DATAR.tiny, {"num_classes": 1000, "input_size": (224, 224), "in_channels": 3}, 28.319),
        (DATAR.small, {"num_classes": 1000, "input_size": (224, 224), "in_channels": 3}, 49.700),
        (DATAR.base, {"num_classes": 1000, "input_size": (224, 224), "in_channels": 3}, 87.882),
        (DATAR.tiny, {}, 27.834),
        (DATAR.small, {"windows": (8, 8, 8, 8)}, 49.308),
        (DATAR.base, {"windows": (8, 8, 8, 4)}, 87.353),
    ],
)
def test_numbers_of_parameters(variant, settings, millions):
    """For images the published ones; for spectrograms those of the published code adapted by hand."""
    with torch.device("meta"):
        network = variant(**settings)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(
        millions, abs=5e-4
    )


@pytest.mark.parametrize("frames", [998, 1006, 1024, 2048, 100, 1])
def test_clips_of_any_length(frames):
    network = small_network()
    with torch.inference_mode():
        embedding, logits = network(torch.randn(1, 64, frames))
    assert embedding.shape == (1, network.embedding_dim) == (1, 256)
    assert logits.shape == (1, 5)


def test_tables_and_masks_are_made_for_padded_clips():
    shapes = [
        {k: v.shape for k, v in small_network(input_size=(64, n)).state_dict().items()} for n in (998, 1024)
    ]
    assert shapes[0] == shapes[1]


def test_short_clips_are_padded_with_zeros_at_their_end():
    network = small_network()
    features = torch.randn(2, 50, 100)
    padded = nn.functional.pad(features, (0, 28, 0, 14))
    with torch.inference_mode():
        torch.testing.assert_close(network(features).logits, network(padded).logits)


def test_channels_and_adaptor():
    network = small_network(in_channels=3, adaptor=InputAdaptor(0.2, channels=3))
    features = torch.randn(2, 3, 64, 128)
    adapted = network.get_submodule("adaptor")(features)
    network_without = small_network(in_channels=3)
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("adaptor.")}
    network_without.load_state_dict(weights)
    torch.testing.assert_close(network(features).logits, network_without(adapted).logits)


def test_key_strides_and_stillness_need_no_other_weights():
    network = small_network()
    features = torch.randn(2, 64, 256)
    with torch.inference_mode():
        expected = network(features).logits
        strided = small_network(key_strides=((1, 2), 2))
        strided.load_state_dict(network.state_dict())
        assert (strided(features).logits - expected).abs().max() > 1e-4
        still = small_network(deformable=False)
        still.load_state_dict({k: v for k, v in network.state_dict().items() if "conv_offset" not in k})
        moving = (still(features).logits - expected).abs().max()
        for stage in (2, 3):
            network.get_parameter(f"stages.{stage}.attns.1.conv_offset.3.weight").data.zero_()
        torch.testing.assert_close(network(features).logits, still(features).logits)
    assert moving > 1e-4


@pytest.mark.parametrize("deformable", [True, False])
def test_every_parameter_gets_a_gradient_in_half_precision(deformable):
    network = small_network(deformable=deformable, adaptor=InputAdaptor(), drop_path_rate=0.0).train()
    features = torch.randn(2, 64, 130)
    exact = network(features)
    with torch.autocast("cpu", torch.bfloat16):
        embedding, logits = network(features)
    assert embedding.dtype == logits.dtype == torch.float32
    assert (logits - exact.logits).abs().max() < 0.03 * exact.logits.abs().max()
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_bfloat16_weights():
    network = small_network()
    features = torch.randn(2, 64, 130)
    with torch.inference_mode():
        exact = network(features).logits
        logits = network.bfloat16()(features.bfloat16()).logits
    assert logits.dtype == torch.bfloat16
    assert (logits - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.slow
def test_compiles_in_one_graph():
    network = small_network()
    features = torch.randn(1, 64, 130)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    outputs = [module(features).logits for module in (compiled, network)]
    torch.testing.assert_close(*outputs)
    gradients = [torch.autograd.grad(output.square().sum(), list(network.parameters())) for output in outputs]
    torch.testing.assert_close(*gradients)


@pytest.mark.slow
def test_compiles_for_speed():
    network = small_network(depths=(2, 1, 2, 1))
    features = torch.randn(1, 64, 130)
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True)(features)
        torch.testing.assert_close(compiled.logits, network(features).logits, atol=1e-5, rtol=1e-4)


def test_stochastic_depth_grows_with_depth():
    network = DATAR.tiny(input_size=(32, 32), drop_path_rate=0.22)
    rates = [layer.drop_prob for layer in network.modules() if isinstance(layer, DropPath)]
    assert rates == pytest.approx([0.02 * block for block in range(12)])


class TestLoadOfficial:
    def published(self, tmp_path, **beside):
        """A checkpoint of a network for images of 128 x 128 in three colours and 7 classes."""
        network = small_network(7, in_channels=3, input_size=(128, 128))
        path = tmp_path / "dat.pth"
        torch.save({"model": network.state_dict(), "max_accuracy": 82.0, **beside}, path)
        return network, path

    def test_same_network(self, tmp_path):
        network, path = self.published(tmp_path)
        loaded = small_network(7, in_channels=3, input_size=(128, 128)).load_official(path)
        features = torch.randn(1, 3, 128, 128)
        assert torch.equal(loaded(features).logits, network(features).logits)

    def test_grey_image_looks_the_same_to_one_channel(self, tmp_path):
        network, path = self.published(tmp_path)
        loaded = small_network(7, input_size=(128, 128)).load_official(path)
        grey = torch.randn(1, 1, 128, 128)
        torch.testing.assert_close(loaded(grey).logits, network(grey.expand(-1, 3, -1, -1)).logits)

    def test_other_maps_windows_and_classes_are_named_in_the_log(self, tmp_path, caplog):
        network, path = self.published(tmp_path)
        theirs = network.state_dict()
        ours = small_network(5, windows=(8,) * 4, adaptor=InputAdaptor(), input_size=(64, 512))
        before = {name: value.clone() for name, value in ours.state_dict().items()}
        with caplog.at_level(logging.INFO, logger="lightning_modules"):
            ours.load_official(path)
        after = ours.state_dict()
        for name, value in after.items():
            if name.startswith(("adaptor.", "cls_head.")) or name.endswith(("attn_mask", "_index")):
                assert torch.equal(value, before[name]), name
                assert name in caplog.text
            elif name not in theirs or value.shape != theirs[name].shape:
                assert f"{name} {tuple(theirs[name].shape)} -> {tuple(value.shape)}" in caplog.text
                assert not torch.equal(value, before[name]), name
            else:
                assert torch.equal(value, theirs[name]), name

    def test_keys_at_rest_leave_the_offsets_out(self, tmp_path, caplog):
        _, path = self.published(tmp_path)
        with caplog.at_level(logging.INFO, logger="lightning_modules"):
            small_network(7, in_channels=3, deformable=False).load_official(path)
        assert "stages.3.attns.1.conv_offset.3.weight" in caplog.text

    def test_configuration_in_the_file_is_read_without_its_code(self, tmp_path, monkeypatch):
        node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
        module = ModuleType("yacs.config")
        module.CfgNode = node  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "yacs", ModuleType("yacs"))
        monkeypatch.setitem(sys.modules, "yacs.config", module)
        config = node(MODEL=node(DROP=0.1))
        vars(config)["_immutable"] = True
        network, path = self.published(tmp_path, config=config)
        monkeypatch.delitem(sys.modules, "yacs.config")
        monkeypatch.delitem(sys.modules, "yacs")
        loaded = small_network(7, in_channels=3, input_size=(128, 128)).load_official(path)
        assert torch.equal(loaded.cls_head.weight, network.cls_head.weight)

    def test_another_model_is_refused_in_one_line(self, tmp_path):
        _, path = self.published(tmp_path)
        with pytest.raises(
            ValueError, match=r"dat.pth: weights of another model than this DATAR: .*missing"
        ) as error:
            small_network(7, depths=(2, 2, 4, 2)).load_official(path)
        assert "\n" not in str(error.value)
        with pytest.raises(ValueError, match="of another shape"):
            small_network(7, dim=64).load_official(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": (2, 2, 6)}, r"depths=\(2, 2, 6\): expected blocks of four stages"),
        ({"windows": (7, 7, 7, 1)}, r"windows=\(7, 7, 7, 1\): expected sizes"),
        ({"key_strides": (1,)}, r"key_strides=\(1,\): expected two"),
        ({"dim": 100}, "dim=100, head_dim=32, group_dim=128: expected whole heads"),
        ({"offset_range_factor": 0}, "offset_range_factor=0 must be above 0; see deformable=False"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DATAR(**settings)


def test_other_shapes_are_refused():
    with pytest.raises(
        ValueError, match=r"features \(2, 3, 64, 64\): this DATAR expects \(batch, 1, mel, frame\)"
    ):
        small_network()(torch.randn(2, 3, 64, 64))
