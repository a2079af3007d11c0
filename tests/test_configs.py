"""Every file of configs/ round-trips, builds, and takes an abstract step in all its stages."""

import importlib.util
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from wamjax.cli.main import main
from wamjax.core.config import from_flags
from wamjax.core.records import Batch
from wamjax.core.tree import count_parameters
from wamjax.data import read_card
from wamjax.data.windows.members import read_mixtures
from wamjax.data.windows.seats import seating
from wamjax.recipes.assembly import assembled
from wamjax.train.run_config import RunConfig

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "configs").glob("*.py"))
OXE = ROOT / "configs" / "oxe_base.py"


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


@pytest.mark.parametrize(("size", "weights"), [("base", 1_042_990_912), ("small", 100_600_128)])
def test_pretraining_has_the_stated_size(size, weights):
    module = load(OXE)
    system = assembled(module.config(size).system)
    params = nn.unbox(jax.eval_shape(system.init, jax.random.key(0)))
    assert count_parameters(params) == weights
    assert f"{weights:,} weights" in module.__doc__


@pytest.mark.parametrize(
    ("name", "without_state"),
    [
        ("oxe_magic_soup", {"roboturk", "nyu_door_opening_surprising_effectiveness"}),
        ("oxe_magic_soup_plus", {"roboturk"}),
    ],
)
def test_pretraining_has_room_for_the_robots_of_open_x_embodiment(name, without_state):
    data = load(OXE).CONFIG.data
    names = read_mixtures(ROOT / data.mixtures)[name]["weights"]
    seats = seating(data, {n: read_card(ROOT / data.cards / f"{n}.toml") for n in names}).seats
    assert all(seat.views for seat in seats)
    assert {seat.name for seat in seats if not seat.proprio.at} == without_state


@pytest.mark.parametrize("which", ["", ":small"])
def test_pretraining_without_data_says_what_is_missing(which, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    argv = [f"--config=configs/oxe_base.py{which}", f"--workdir={tmp_path / 'w'}"]
    argv += ["--config.data.mixture=bridge", f"--config.data.root={tmp_path}"]
    assert main(["train", *argv]) == 2
    assert "bridge_orig is not a directory: set data.root" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_pretraining_of_a_size_that_does_not_exist(capsys, tmp_path):
    argv = [f"--config={OXE}:huge", f"--workdir={tmp_path / 'w'}"]
    assert main(["train", *argv]) == 2
    assert "choose one of base, small" in capsys.readouterr().err
