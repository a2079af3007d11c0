"""Adapters: nothing changes at the start, they alone are trained, and inference finds the sum."""

import dataclasses
import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.test_loop import TerminatedLoader, go, run
from tests.train.toy import ToyLoader, ToyRun, ToySystem
from wamjax.cli.recipe_run import recipe_run
from wamjax.core.errors import UserError
from wamjax.core.keys import named_keys
from wamjax.core.tree import count_parameters, leaves_by_path, weights_sha256
from wamjax.model.layers import matrix_axes
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, put_batch, replicated, unbox
from wamjax.recipes.assembly import assembled
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.lora import Adapted, adapted, merged, on_device, on_host
from wamjax.train.stages import stages_of
from wamjax.train.state import init_state, plan_stage
from wamjax.train.step import make_step

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEYS = named_keys(jax.random.key(0), "init", "step")
LORA: dict[str, Any] = {"lora": (".*kernel",), "lora_rank": 2, "lora_alpha": 6.0}
TOY = Adapted(ToySystem(), (".*kernel",), 2, 3.0)


def shapes_of(name: str, **settings: Any) -> Any:
    """(shapes of the weights with adapters, boxed; the plan of one stage that trains all)."""
    config = TrainConfig(**settings)
    system = adapted(assembled(recipe_run(name).system), config)
    boxed = jax.eval_shape(system.init, KEYS["init"])
    (stage,) = stages_of((StageConfig(),), 10)
    mesh = make_mesh(MeshConfig(data=1, fsdp=4, tensor=2), jax.devices()[:8])
    return system, boxed, plan_stage(stage, boxed, config, mesh)


# Widths 48 and 32, feed-forward 96 and 64, 2 layers of 2 heads of 12 numbers: r (in + out) each.
COUNTS = {
    "model/stack_main/layers/video_in/qkv/kernel": 2 * (48 + 2 * 3 * 12),
    "model/stack_main/layers/video_out/mlp/(up|down)/kernel": 2 * 2 * (48 + 96),
    "model/stack_main/layers/action_out/(memory_)?out/kernel": 2 * 2 * (2 * 12 + 32),
    "model/level_video/shared/kernel": 48 + 6 * 48,
    "model/head_action/out/one/kernel": 32 + 7,
}


def test_the_count_is_exact():
    system, boxed, plan = shapes_of("fast_wam", lora=(*COUNTS,), lora_rank=5)
    own = leaves_by_path(unbox(boxed)["lora"])
    for pattern, each in COUNTS.items():
        mine = [leaf for path, leaf in own.items() if re.fullmatch(f"{pattern}/[ab]", path)]
        assert count_parameters(mine) == 5 * each
    total = 5 * sum(COUNTS.values())
    assert plan.trained == count_parameters(unbox(boxed)["lora"]) == total
    assert system.told(boxed) == f"lora: rank 5 beside 7 kernels, {total:,} weights."


def test_kernels_of_every_shape_are_split_as_their_kernels():
    """Of a model with weights per domain (X-VLA), layers, heads on both sides, and plain maps."""
    _, boxed, plan = shapes_of("x_vla", lora=("model/.*",), lora_rank=3)
    shapes, places = leaves_by_path(unbox(boxed)), leaves_by_path(plan.abstract.params)
    chosen = {path[5:-2] for path in shapes if path.startswith("lora/")}
    assert chosen == {p for p in shapes if p.startswith("model/") and p.endswith("kernel")}
    leading = set()
    for path in chosen:
        kernel, a, b = (places[f"{x}"] for x in (path, f"lora/{path}/a", f"lora/{path}/b"))
        split = [*kernel.sharding.spec, *[None] * (kernel.ndim - len(kernel.sharding.spec))]
        stacked = a.ndim + b.ndim - 2 - kernel.ndim
        leading.add(stacked)
        end = a.ndim - 1
        assert a.shape == (*kernel.shape[:end], 3)
        assert b.shape == (*kernel.shape[:stacked], 3, *kernel.shape[end:])
        assert [*a.sharding.spec] == [*split[:end], None]
        assert [*b.sharding.spec] == [*split[:stacked], None, *split[end:]]
    assert leading == {0, 1}


def test_axes_of_kernels():
    heads = ("heads", "head_dim")
    assert matrix_axes(("embed", "mlp")) == (0, 1)
    assert matrix_axes(("layer", "embed", "heads", None, "head_dim")) == (1, 1)
    assert matrix_axes(("layer", *heads, "embed")) == (1, 2)
    assert matrix_axes((None, "action", "embed")) == (1, 1)
    assert matrix_axes((None, None, "mlp")) == (0, 1)
    for names in [("layer", "embed"), (None, None, None, "mlp"), ("embed",)]:
        with pytest.raises(ValueError, match="is no matrix"):
            matrix_axes(names)


def test_the_sum_is_that_of_every_matrix():
    rng = np.random.default_rng(0)
    for s, i, o in [((), (4,), (5,)), ((3,), (4,), (2, 3)), ((3, 2), (2, 2), (5,))]:
        kernel, a, b = (
            rng.normal(size=size).astype(np.float32)
            for size in ((*s, *i, *o), (*s, *i, 2), (*s, 2, *o))
        )
        tree = {"x": {"kernel": kernel}, "lora": {"x": {"kernel": {"a": a, "b": b}}}}
        want = kernel.copy()
        for place in np.ndindex(*s):
            flat = a[place].reshape(-1, 2) @ b[place].reshape(2, -1)
            want[place] += 0.5 * flat.reshape(kernel[place].shape)
        for product in (on_device, on_host):
            got = merged(tree, 0.5, product)
            assert got.keys() == {"x"}
            np.testing.assert_allclose(got["x"]["kernel"], want, rtol=1e-5, atol=1e-6)


def test_at_the_start_nothing_is_changed():
    make = jax.jit(lambda key: (unbox(TOY.init(key)), unbox(ToySystem().init(key))))
    params, base = make(KEYS["init"])
    assert weights_sha256(merged(params, 3.0)) == weights_sha256(base)
    first = params["lora"]["context"]["Dense_0"]["kernel"]["a"]
    assert np.std(first) == pytest.approx(first.shape[0] ** -0.5, rel=0.2)
    batch = ToyLoader(8).make(0)
    ours, theirs = (
        jax.jit(one.loss, static_argnums=3)(weights, batch, KEYS["step"], "joint")[0]
        for one, weights in ((TOY, params), (ToySystem(), base))
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def steps(mesh: MeshConfig, devices: int) -> Any:
    """(state before, state after three steps, plan)."""
    settings = dataclasses.replace(ToyRun().train, **LORA)
    over = make_mesh(mesh, jax.devices()[:devices])
    (stage,) = stages_of((StageConfig(),), 20)
    plan = plan_stage(stage, jax.eval_shape(TOY.init, KEYS["init"]), settings, over)
    rows, key = batch_sharding(over, 8), jax.device_put(KEYS["step"], replicated(over))
    state = init_state(TOY, plan, KEYS["init"])
    before = jax.device_get(state)
    step, loader = make_step(TOY, plan, settings.ema, rows, settings.augment), iter(ToyLoader(8))
    for _ in range(3):
        state, _ = step(state, put_batch(next(loader), rows), key)
    return before, state, plan


def test_adapters_alone_are_trained_and_a_mesh_changes_nothing():
    before, alone, plan = steps(MeshConfig(), 1)
    after = leaves_by_path(jax.device_get(alone.params))
    for path, leaf in leaves_by_path(before.params).items():
        assert np.array_equal(leaf, after[path]) != path.startswith("lora/"), path
    slots = jax.tree.leaves(alone.opt_state)
    assert sum(slot.size for slot in slots if slot.ndim) == 2 * plan.trained
    _, spread, over = steps(MeshConfig(data=1, fsdp=4, tensor=2), 8)
    for path, leaf in leaves_by_path(spread).items():
        theirs = np.asarray(leaves_by_path(alone)[path])
        np.testing.assert_allclose(np.asarray(leaf), theirs, rtol=2e-4, atol=2e-6, err_msg=path)
    placed = jax.tree.map(lambda leaf, place: leaf.sharding == place, spread, over.shardings)
    assert all(jax.tree.leaves(placed))


def test_a_run_goes_on_and_inference_gets_the_sum(tmp_path: pathlib.Path):
    seen = []

    def evaluate(weights: Any, step: int) -> dict[str, float]:
        seen.append({*weights})
        return {}

    config = run(**LORA, steps=6, save_every=6, only=("model/action/bias",))
    final, said = go(config, tmp_path / "whole", evaluate=evaluate)
    assert seen == [{"context", "model"}]
    adapters = 2 * (103 + 16 + 2 * 16 + 3 + 4)
    assert f"lora: rank 2 beside 3 kernels, {adapters:,} weights." in said
    assert f"{adapters + 4} weights trained" in said
    assert final["trained_parameters"] == {"main": adapters + 4}
    stopped, _ = go(config, tmp_path / "parts", loader=TerminatedLoader(8, at=2))
    assert 0 < stopped["step"] < 6
    assert go(config, tmp_path / "parts")[0]["state_sha256"] == final["state_sha256"]
    weights = load_for_inference(tmp_path / "whole")[2]
    assert weights.keys() == {"context", "model"}
    assert weights_sha256(weights) == final["weights_sha256"]
    keys = named_keys(jax.random.key(config.train.seed), "init")
    start = leaves_by_path(unbox(ToySystem().init(keys["init"])))
    ended = leaves_by_path(weights)
    # Two programs draw the same weights to the last bit but one.
    changed = {p for p, x in ended.items() if np.abs(x - start[p]).max() > 1e-6}
    assert changed == {p for p in start if p.endswith("kernel")} | {"model/action/bias"}
    # What the adapters add has their rank.
    path = "context/Dense_0/kernel"
    assert np.linalg.matrix_rank(ended[path] - start[path], tol=1e-5) == 2


def test_only_narrows_what_stages_train():
    shapes = jax.eval_shape(ToySystem().init, KEYS["init"])
    (stage,) = stages_of((StageConfig(train=("model/.*",)),), 20)
    config = TrainConfig(only=(".*bias", "context/.*"))
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    plan = plan_stage(stage, shapes, config, mesh)
    assert plan.trained == 3 + 4
    mask = leaves_by_path(plan.mask)
    assert {path for path, on in mask.items() if on} == {"model/video/bias", "model/action/bias"}
    # A stage trains the adapters of what it would train.
    plan = plan_stage(
        stage, jax.eval_shape(TOY.init, KEYS["init"]), TrainConfig(lora=(".*",)), mesh
    )
    assert plan.trained == 2 * (2 * 16 + 3 + 4)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lora": ("modle/.*",)}, r"train\.lora match none of the 3 kernels; .* context/Dense_0"),
        ({"lora": ("(",)}, r"in train\.lora is not a regular expression"),
        ({"only": ("[",)}, r"in train\.only is not a regular expression"),
        ({"only": ("nothing",)}, r"of train\.stages and \('nothing',\) of train\.only match no"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(
    settings: dict[str, Any], sentence: str, tmp_path: pathlib.Path
):
    with pytest.raises(UserError, match=sentence):
        go(run(**settings), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lora_rank": 4}, "lora_rank means nothing without lora"),
        ({"start_names": (("a", "b"),)}, "start_names means nothing without start"),
        ({"lora": (".*",), "lora_rank": 0}, "lora_rank must be at least 1"),
        ({"lora": (".*",), "lora_alpha": 0.0}, "lora_alpha must be positive"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig(**settings)


def test_convolutions_are_refused():
    class Convolved(ToySystem):
        def init(self, key: jax.Array) -> Any:
            return {**super().init(key), "codec": {"kernel": jnp.zeros((3, 3, 4, 4))}}

    with pytest.raises(UserError, match=r"codec/kernel with axes .* is no matrix: leave it out"):
        Adapted(Convolved(), (".*",), 2, 1.0).init(KEYS["init"])
