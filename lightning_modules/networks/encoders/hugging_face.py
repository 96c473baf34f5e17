"""The encoders of speech of the library ``transformers``, which is imported when one is built."""

from typing import Any

from torch import nn

from lightning_modules.networks.encoders.architectures import Architecture, Family

_CLASSES = {"wav2vec2": "Wav2Vec2", "wavlm": "WavLM", "hubert": "Hubert"}


def config_class(family: Family) -> Any:
    """The class of a family's configurations.

    Raises:
        ValueError: transformers is not installed.
    """
    return getattr(_transformers(), f"{_CLASSES[family]}Config")


def build_model(architecture: Architecture, **dropouts: float) -> Any:
    """Builds an encoder whose attention calls all of its layers, with random weights.

    Args:
        architecture: Its sizes.
        **dropouts: Probabilities by the names of the library's configurations.

    Raises:
        ValueError: transformers is not installed, or sizes do not fit each other.
    """
    settings = {key: value for key, value in architecture.settings().items() if key != "model_type"}
    config = config_class(architecture.family)(**settings, **dropouts)
    if architecture.family == "wavlm":
        from lightning_modules.networks.encoders.wavlm_attention import call_layers
    else:
        config._attn_implementation = "sdpa"
    model: nn.Module = getattr(_transformers(), f"{_CLASSES[architecture.family]}Model")(config)
    if architecture.family == "wavlm":
        call_layers(model)
    return model


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"encoders of speech: {error}: pip install 'audio-research-platform[encoders]'"
        ) from None
    return transformers
