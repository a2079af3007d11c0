"""Every file of configs/ round-trips, builds, and takes an abstract step in all its stages."""

import importlib.util
import pathlib
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from wamjax.cli.main import main
from wamjax.core.config import from_flags
from wamjax.core.records import Batch
from wamjax.core.tree import count_parameters, leaves_by_path
from wamjax.data import read_card
from wamjax.data.windows.members import read_mixtures
from wamjax.data.windows.seats import seating
from wamjax.eval.plan.case import case_of_config
from wamjax.eval.plan.chips import slice_of
from wamjax.eval.plan.compile import nowhere
from wamjax.parallel.mesh import MeshConfig, make_mesh
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


@pytest.mark.parametrize(
    ("size", "weights"),
    [
        ("small", 100_600_128),
        ("base", 1_042_990_912),
        ("large", 5_502_273_088),
        ("xl", 15_323_320_896),
    ],
)
def test_pretraining_has_the_stated_size(size, weights):
    module = load(ROOT / "configs" / f"oxe_{size}.py")
    system = assembled(module.CONFIG.system)
    params = nn.unbox(jax.eval_shape(system.init, jax.random.key(0)))
    assert count_parameters(params) == weights
    assert f"{weights:,} weights" in module.__doc__


@pytest.mark.parametrize("size", ["small", "base", "large", "xl"])
def test_pretraining_divides_over_the_slice_it_is_meant_for(size):
    module = load(ROOT / "configs" / f"oxe_{size}.py")
    told = re.search(r"plan --config configs/\S+ --topology (\S+)", module.__doc__)
    part, config = slice_of(told.group(1)), module.CONFIG
    placed = case_of_config(config).placed(nowhere(config.mesh, part))
    # What stands between steps leaves half of a device to the rest.
    assert sum(placed.parts.values()) < part.memory / 2


slow = pytest.mark.slow


@pytest.mark.parametrize(
    "size",
    ["small", *(pytest.param(size, marks=slow) for size in ("base", "large", "xl"))],
)
def test_pretraining_costs_what_is_stated(size):
    module = load(ROOT / "configs" / f"oxe_{size}.py")
    case, mesh = case_of_config(module.CONFIG, 1), make_mesh(MeshConfig(data=1), jax.devices()[:1])
    flop, train = case.walked(case.placed(mesh), mesh), module.CONFIG.train
    stated = re.search(r"weights, (\S+) TFLOP an example, (\S+) FLOP", module.__doc__)
    tera, whole = map(float, stated.groups())
    assert tera == pytest.approx(flop / 1e12, rel=0.01)
    assert whole == pytest.approx(train.steps * train.batch * flop, rel=0.01)


@pytest.mark.parametrize(("size", "trunk"), [("large", "Wan2.2-5B"), ("xl", "Wan2.1-14B")])
def test_pretraining_has_the_trunk_of_a_published_model(size, trunk):
    """Linear maps of its layers, as published: 4 d^2 of attention, 4 d^2 of text, 2 d f."""
    module = load(ROOT / "configs" / f"oxe_{size}.py")
    assert trunk in module.__doc__
    depth, width, mlp = {"Wan2.2-5B": (30, 3072, 14336), "Wan2.1-14B": (40, 5120, 13824)}[trunk]
    system = assembled(module.CONFIG.system)
    params = nn.unbox(jax.eval_shape(system.init, jax.random.key(0)))
    layers = params["model"]["stack_main"]["layers"]
    kernels = [
        leaf.size
        for path, leaf in leaves_by_path(layers).items()
        if path.startswith("video_") and path.endswith("kernel")
    ]
    assert sum(kernels) == depth * (8 * width**2 + 2 * width * mlp)


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


@pytest.mark.parametrize("size", ["small", "base"])
def test_pretraining_without_data_says_what_is_missing(size, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    argv = [f"--config=configs/oxe_{size}.py", f"--workdir={tmp_path / 'w'}"]
    argv += ["--config.data.mixture=bridge", f"--config.data.root={tmp_path}"]
    assert main(["train", *argv]) == 2
    assert "bridge_orig is not a directory: set data.root" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
