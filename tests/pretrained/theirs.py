"""Encoders of transformers with random weights, as their files tell them."""

import pathlib
import tempfile
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from transformers import core_model_loading  # noqa: E402


def noisy(model: Any, seed: int) -> Any:
    """The model in float64 with noise on every parameter, so that no zero or one hides a path."""
    draw = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            size = (
                0.1 if parameter.ndim < 2 or "embed" in name else 0.5 * parameter[0].numel() ** -0.5
            )
            noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            parameter.add_(size * noise)
            # As a file holds them.
            parameter.copy_(parameter.float().double())
    return model


def tensors(model: Any) -> dict[str, np.ndarray]:
    """What the model's files hold, float32 by the files' names."""
    with tempfile.TemporaryDirectory() as folder:
        model.float().save_pretrained(folder)
        model.double()
        return load_file(pathlib.Path(folder) / "model.safetensors")


def shapes(make: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of what the files of a model hold, without making its weights."""
    with torch.device("meta"):
        model = make()
    named = core_model_loading.revert_weight_conversion(model, model.state_dict())
    return {k: jax.ShapeDtypeStruct(tuple(x.shape), np.float32) for k, x in named.items()}
