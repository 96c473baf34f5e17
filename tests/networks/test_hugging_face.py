"""AST, DeiT and ViT as Hugging Face writes them."""

import json

import pytest
import torch
from safetensors.torch import load_file

from lightning_modules import load_model
from lightning_modules.networks import AST
from lightning_modules.networks.weights import load_network
from lightning_modules.run.pretrained import read_pretrained

transformers = pytest.importorskip("transformers")
SIZES = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 256,
    "max_length": 128,
    "num_labels": 5,
}


@pytest.fixture
def published():
    """An AST of transformers with random weights, the ones that begin as zeros too."""
    torch.manual_seed(0)
    model = transformers.ASTForAudioClassification(transformers.ASTConfig(**SIZES)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def own(**settings) -> AST:
    return AST(
        5, **{"input_size": (128, 128), "embed_dim": 64, "depth": 2, "num_heads": 1, **settings}
    ).eval()


@pytest.mark.parametrize("naming", ["folder", "file", "present names", "former folder"])
@torch.inference_mode()
def test_logits_are_those_of_transformers(published, naming, tmp_path):
    published.save_pretrained(tmp_path)
    source = {"file": tmp_path / "model.safetensors"}.get(naming, tmp_path)
    if naming == "present names":  # of modules since version 5
        source = tmp_path / "state.pt"
        torch.save(published.state_dict(), source)
    if naming == "former folder":  # of the time before safetensors
        torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
        (tmp_path / "model.safetensors").unlink()
    network, features = own(norm_eps=1e-12), torch.randn(3, 128, 128)
    load_network(network, source)
    theirs = published(features.transpose(1, 2)).logits
    torch.testing.assert_close(network(features).logits, theirs, atol=1e-5, rtol=0)


def test_another_epsilon_is_told_and_other_heads_of_attention_are_refused(published, tmp_path, caplog):
    published.save_pretrained(tmp_path)
    with caplog.at_level("INFO"):
        load_network(own(), tmp_path)
    assert "layer_norm_eps=1e-12: for its very scores set norm_eps to it" in caplog.text
    with pytest.raises(ValueError, match="num_attention_heads is 1, and num_heads of this AST 2"):
        load_network(own(num_heads=2), tmp_path)


@torch.inference_mode()
def test_load_model_takes_the_folder_with_its_features_and_names(published, tmp_path):
    published.config.id2label = dict(enumerate("abcde"))
    published.save_pretrained(tmp_path)
    extractor = transformers.ASTFeatureExtractor(max_length=128, mean=-6.8, std=5.5)
    extractor.save_pretrained(tmp_path)
    sound = torch.randn(16000) * 0.1
    found = load_model(tmp_path, device="cpu").score(sound)
    features = extractor(sound.numpy(), sampling_rate=16000, return_tensors="pt")["input_values"]
    expected = published(features).logits.softmax(dim=1)[0]
    assert list(found) == list("abcde")
    torch.testing.assert_close(torch.tensor(list(found.values())), expected, atol=1e-4, rtol=0)


def test_training_begins_with_the_folder(published, tmp_path, caplog):
    published.save_pretrained(tmp_path)
    network = AST(7, input_size=(128, 128), embed_dim=64, depth=2, num_heads=1)
    read_pretrained(str(tmp_path)).load_into(network)
    torch.testing.assert_close(
        network.cls_token, published.audio_spectrogram_transformer.embeddings.cls_token
    )
    assert "the head stays as initialized" in caplog.text


def test_a_distilled_image_transformer_loads_and_a_plain_one_is_told_what_to_take(tmp_path):
    sizes = {key: SIZES[key] for key in list(SIZES)[:4]} | {"hidden_size": 192, "num_attention_heads": 3}
    config = transformers.DeiTConfig(image_size=32, **sizes)
    distilled = transformers.DeiTForImageClassificationWithTeacher(config)
    distilled.save_pretrained(tmp_path / "deit")
    network = AST(5, input_size=(128, 128), embed_dim=192, depth=2, num_heads=3)
    # 64 wide in between, where AST is four times its width
    with pytest.raises(ValueError, match=r"mlp.fc1.weight: \(256, 192\) instead of \(768, 192\)"):
        network.load_official(tmp_path / "deit")
    config.intermediate_size = 768
    distilled = transformers.DeiTForImageClassificationWithTeacher(config)
    distilled.save_pretrained(tmp_path / "wide")
    network.load_official(tmp_path / "wide")
    kernel = distilled.deit.embeddings.patch_embeddings.projection.weight
    torch.testing.assert_close(network.patch_embed.weight, kernel.sum(dim=1, keepdim=True))
    plain = transformers.ViTForImageClassification(transformers.ViTConfig(image_size=32, **sizes))
    plain.save_pretrained(tmp_path / "vit")
    with pytest.raises(ValueError, match=r"hf://timm/deit_tiny_distilled_patch16_224.fb_in1k") as error:
        network.load_official(tmp_path / "vit")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"a vision transformer, without a head for sound"):
        load_model(tmp_path / "vit")


def test_a_damaged_configuration_is_named(published, tmp_path):
    published.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": 1})[:-3])
    with pytest.raises(ValueError, match=r"config.json: no JSON .* download it again"):
        load_network(own(), tmp_path)
