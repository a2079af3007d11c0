"""Every file of configs/ round-trips, builds, and takes an abstract step in all its stages."""

import importlib.util
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from wamjax.core.config import from_flags
from wamjax.core.records import Batch
from wamjax.core.tree import count_parameters
from wamjax.recipes.assembly import assembled
from wamjax.train.run_config import RunConfig

FILES = sorted((pathlib.Path(__file__).resolve().parents[1] / "configs").glob("*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def abstract_batch(config: RunConfig) -> Batch:
    s, b = config.system, config.train.batch
    size = (s.image_size, s.image_size, 3)
    shapes = {
        "frames": ((b, s.views, s.history + s.future, *size), jnp.uint8),
        "camera_mask": ((b, s.views), bool),
        "frame_mask": ((b, s.history + s.future), bool),
        "actions": ((b, s.chunk, s.action_dim), jnp.float32),
        "action_mask": ((b, s.chunk, s.action_dim), bool),
        "proprio": ((b, s.proprio_dim), jnp.float32),
        "proprio_mask": ((b, s.proprio_dim), bool),
        "text": ((b, s.text_length), jnp.uint8),
        "index": ((b,), jnp.int32),
    }
    return Batch(**{name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()})


def test_there_are_configs():
    assert len(FILES) >= 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_builds_and_takes_an_abstract_step(path):
    module = load(path)
    assert f"configs/{path.name}" in module.__doc__ or path.stem == "quickstart"
    config = from_flags(RunConfig, module.get_config())
    assert config == module.CONFIG
    system, batch = assembled(config.system), abstract_batch(config)
    params = nn.unbox(jax.eval_shape(system.init, jax.random.key(0)))
    assert count_parameters(params) > 10_000
    for stage in config.stages:

        def loss(p, batch=batch, objective=stage.objective):
            return system.loss(p, batch, jax.random.key(0), objective)[0]

        gradient = jax.eval_shape(jax.grad(loss), params, batch)
        assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, params)
