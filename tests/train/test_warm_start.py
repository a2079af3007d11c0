"""A run begins with weights that stand in a folder: matched by path, told, and to the bit."""

import dataclasses
import pathlib
import shutil
from typing import Any

import flax.traverse_util
import jax
import ml_dtypes
import numpy as np
import pytest

from tests.train.test_loop import TerminatedLoader, go, run
from tests.train.toy import ToySystem
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.tree import leaves_by_path
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import unbox
from wamjax.pretrained.convert import convert, own_names
from wamjax.pretrained.tensors import InMemory
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.exported import export_run, import_run
from wamjax.train.lora import adapted
from wamjax.train.stages import stages_of
from wamjax.train.state import init_state, plan_stage
from wamjax.train.warm_start import begun_from, warm_start

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(0)
BOXED = jax.eval_shape(ToySystem().init, KEY)
SHAPES = leaves_by_path(unbox(BOXED))
LICENCE = {"name": "Apache-2.0", "page": "https://example.org"}


def folder(path: pathlib.Path, leaves: dict[str, np.ndarray]) -> pathlib.Path:
    """A conversion of a made-up family."""
    tree = flax.traverse_util.unflatten_dict(leaves, sep="/")
    request = {"family": "made-up", "licence": LICENCE}
    convert(InMemory(leaves), own_names(tree), tree, path, request)
    return path


def drawn(**changes: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {k: rng.normal(size=x.shape).astype(np.float32) for k, x in SHAPES.items()}
    return {**made, **changes}


def started(config: TrainConfig, mesh: MeshConfig) -> Any:
    """(the state that a run begins with, what was matched)."""
    system = adapted(ToySystem(), config)
    boxed = jax.eval_shape(system.init, KEY)
    (stage,) = stages_of((StageConfig(),), 20)
    plan = plan_stage(stage, boxed, config, make_mesh(mesh, jax.devices()[:8]))
    start = warm_start(config, boxed)
    assert start is not None
    state = begun_from(init_state(system, plan, KEY), start, plan)
    placed = jax.tree.map(lambda leaf, wanted: leaf.sharding == wanted, state, plan.shardings)
    assert all(jax.tree.leaves(placed))
    return jax.device_get(state), start


def test_every_weight_is_that_of_the_folder_and_lies_where_it_should(tmp_path: pathlib.Path):
    leaves = drawn()
    leaves["model/video/bias"] = leaves["model/video/bias"].astype(ml_dtypes.bfloat16)
    config = TrainConfig(start=str(folder(tmp_path / "a", leaves)), lora=(".*",), lora_rank=2)
    state, start = started(config, MeshConfig(data=1, fsdp=4, tensor=2))
    assert {row.kind for row in start.rows} == {"loaded"}
    for tree in (state.params, state.ema):
        got = leaves_by_path(tree)
        for path, leaf in leaves.items():
            np.testing.assert_array_equal(got[path], leaf.astype(np.float32))
        assert all(np.any(got[path]) == path.endswith("/a") for path in {*got} - {*leaves})
    assert start.record["licences"] == {"weights (made-up)": LICENCE}


def test_paths_are_rewritten_left_out_resized_and_told(tmp_path: pathlib.Path):
    there = {f"old/{path}": leaf for path, leaf in drawn().items()}
    wide = np.random.default_rng(1).normal(size=(32, 3)).astype(np.float32)
    there |= {"old/model/wide/kernel": wide, "more": np.ones(2, np.float32)}
    config = TrainConfig(
        start=str(folder(tmp_path / "a", there)),
        start_names=(("old/model/video.*", ""), ("^old/context", "context"), ("old/model/wi", "x")),
    )
    start = warm_start(config, BOXED)
    assert start is not None
    told = {kind: [row.name for row in start.rows if row.kind == kind] for kind in KINDS}
    context = [path for path in SHAPES if path.startswith("context/")]
    heads = [path for path in SHAPES if path.startswith("model/")]
    assert sorted(told["loaded"]) == context
    assert sorted(told["fresh"]) == heads
    assert sorted(told["not used"]) == sorted(
        {path for path in there if not path.startswith("old/context")}
    )
    assert "  loaded        context/Dense_0/bias  from old/context/Dense_0/bias" in start.told()
    assert "  fresh         model/action/bias  (4,)" in start.told()
    # What got none is made from a weight of another width that was loaded.
    config = dataclasses.replace(
        config,
        start_names=(("old/", ""), ("model/action.*", "")),
        start_resized=(("model/action", "model/video"),),
    )
    state, start = started(config, MeshConfig())
    resized = {row.name: row.note for row in start.rows if row.kind == "resized"}
    assert resized == {
        "model/action/bias": "(4,) from old/model/video/bias (3,)",
        "model/action/kernel": "(16, 4) from old/model/video/kernel (16, 3)",
    }
    bias = there["old/model/video/bias"]
    np.testing.assert_allclose(
        state.params["model"]["action"]["bias"], np.interp(np.linspace(0, 2, 4), range(3), bias),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip


KINDS = ("loaded", "resized", "fresh", "not used")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    workdir = tmp_path_factory.mktemp("first")
    go(run(steps=4, save_every=4), workdir)
    return workdir


def test_a_run_begins_where_another_ended(first: pathlib.Path, tmp_path: pathlib.Path):
    export_run(first, tmp_path / "weights")
    source = tmp_path / "source"
    shutil.copytree(first, source)
    settings = {"steps": 4, "save_every": 2, "seed": 7, "only": ("model/action/bias",)}
    config = run(**settings, start=str(source))
    stopped, said = go(config, tmp_path / "next", loader=TerminatedLoader(8, at=1))
    assert "start: source\n  loaded        context/Dense_0/bias" in said
    assert 0 < stopped["step"] < 4
    # It is not needed any more.
    shutil.rmtree(source)
    go(config, tmp_path / "next")
    theirs = leaves_by_path(load_for_inference(first)[2])
    ours = leaves_by_path(load_for_inference(tmp_path / "next")[2])
    for path, leaf in theirs.items():
        assert np.array_equal(leaf, ours[path]) == (path != "model/action/bias"), path
    # An exported run holds the same.
    start = warm_start(TrainConfig(start=str(tmp_path / "weights")), BOXED)
    assert start is not None
    assert all(np.array_equal(start.read(path, x.shape), x) for path, x in theirs.items())


def test_licences_travel_with_the_weights(first: pathlib.Path, tmp_path: pathlib.Path):
    """From a conversion to a run, its export, the run that comes back, and one that starts so."""
    record = {"from": "a", "licences": {"weights (made-up)": LICENCE}, "weights": {"x": "loaded"}}
    shutil.copytree(first, tmp_path / "run")
    write_json(tmp_path / "run" / "start.json", record)
    export_run(tmp_path / "run", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'license: "apache-2.0"' in card
    assert "| weights (made-up) | Apache-2.0, https://example.org |" in card
    assert "| started from | a, 1 loaded |" in card
    import_run(tmp_path / "out", tmp_path / "back", print)
    assert read_json(tmp_path / "back" / "start.json") == record
    for name in ("run", "out", "back"):
        start = warm_start(TrainConfig(start=str(tmp_path / name)), BOXED)
        assert start is not None
        assert start.record["licences"] == record["licences"]


@pytest.mark.parametrize(
    ("leaves", "settings", "sentence"),
    [
        (None, {}, "is neither a workdir nor what `wamjax convert` wrote"),
        (
            drawn(**{"model/video/bias": np.ones(5, np.float32)}),
            {},
            r"model/video/bias in .* is \(5,\), model/video/bias here is \(3,\) \(1 such\): take",
        ),
        ({"x": np.ones(2)}, {}, "no path in .* is one of this run's; those there are like x"),
        (drawn(), {"start_names": (("(", ""),)}, "a pattern in train.start_names does not work"),
        (drawn(), {"start_names": (("a", r"\9"),)}, "a pattern in train.start_names does not work"),
        (
            drawn(),
            {"start_names": (("model/(video|action)/bias", "model/video/bias"),)},
            "makes model/video/bias of both model/action/bias and model/video/bias",
        ),
        (
            drawn(),
            {"start_names": (("model/.*", ""),), "start_resized": (("model/.*", "context/Dense_0/b"
             "ias"),)},
            r"train.start_resized: model/action/kernel is \(16,\) there and \(16, 4\) here",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_written(
    leaves: Any, settings: dict[str, Any], sentence: str, tmp_path: pathlib.Path
):
    path = tmp_path / "a" if leaves is None else folder(tmp_path / "a", leaves)
    with pytest.raises(UserError, match=sentence) as told:
        go(run(start=str(path), **settings), tmp_path / "run")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "run").exists()
