import dataclasses
import io
import json
import os
import pathlib
import shutil
import signal
from typing import Any

import jax
import numpy as np
import pytest

from tests.train.toy import STATISTICS, TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.config import to_json
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.train.checkpoint import Checkpoints, load_for_inference
from wamjax.train.loop import train
from wamjax.train.metrics import Metrics, read_metrics
from wamjax.train.stages import stages_of
from wamjax.train.state import plan_stage

TWO_DEVICES = jax.devices()[:2]


class TerminatedLoader(ToyLoader):
    """Sends SIGTERM to its own process when it makes a certain batch."""

    def __init__(self, batch: int, at: int):
        super().__init__(batch)
        self.at = at

    def make(self, start: int) -> Any:
        if start == self.at * self.batch:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().make(start)


def run(**settings: Any) -> ToyRun:
    return ToyRun(train=dataclasses.replace(ToyRun().train, **settings))


def go(config: ToyRun, workdir: pathlib.Path, **arguments: Any) -> tuple[dict[str, Any], str]:
    stream = io.StringIO()
    given: dict[str, Any] = {
        "system": ToySystem(),
        "loader": ToyLoader(config.train.batch),
        "statistics": STATISTICS,
        "devices": TWO_DEVICES,
        "stream": stream,
    }
    return train(config, workdir, **{**given, **arguments}), stream.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, Any], str]:
    workdir = tmp_path_factory.mktemp("finished")
    seen: list[int] = []

    def evaluate(weights: Any, step: int) -> dict[str, float]:
        seen.append(step)
        return {"eval/parameters": float(sum(leaf.size for leaf in jax.tree.leaves(weights)))}

    final, said = go(run(stages=TWO_STAGES), workdir, evaluate=evaluate)
    assert seen == [5, 10, 15, 20]
    return workdir, final, said


def test_a_run_leaves_what_it_promises(finished: Any):
    workdir, final, said = finished
    assert json.loads((workdir / "final.json").read_text()) == final
    assert final["step"] == 20
    assert final["losses"].keys() == {"loss", "loss/action"}
    assert final["trained_parameters"]["behaviour"] == 16 * 4 + 4
    assert final["seconds"] > final["compile_seconds"] > 0
    assert final["train_flops"] > 0
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["15", "20"]
    assert list((workdir / "tensorboard").iterdir())
    assert "stage world (world)" in said
    assert "stage behaviour (behaviour)" in said


def test_a_row_has_every_figure_and_the_loss_falls(finished: Any):
    rows = [row for row in read_metrics(finished[0]) if "loss" in row]
    # Every 5 steps, and at the end of the first stage.
    assert [row["step"] for row in rows] == [5, 10, 12, 15, 20]
    wanted = "loss loss/video grad_norm learning_rate examples_per_second data_wait_share seconds"
    assert set(wanted.split()) < rows[0].keys()
    assert rows[2]["loss"] < rows[0]["loss"]
    assert all(0 <= row["data_wait_share"] <= 1 for row in rows)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    evaluated = [row for row in read_metrics(finished[0]) if "eval/parameters" in row]
    assert [row["step"] for row in evaluated] == [5, 10, 15, 20]


def test_inference_gets_the_averaged_weights_with_config_and_statistics(finished: Any):
    workdir, final, _ = finished
    config, statistics, weights, step = load_for_inference(workdir)
    assert config == to_json(run(stages=TWO_STAGES))
    assert statistics == {"action": {"mean": [0.0, 0.5]}}
    assert step == 20
    assert weights_sha256(weights) == final["weights_sha256"]
    assert weights_sha256(load_for_inference(workdir, 15)[2]) != final["weights_sha256"]
    with pytest.raises(UserError, match=r"no checkpoint of step 7 \(found: 15, 20\)"):
        load_for_inference(workdir, 7)
    with pytest.raises(UserError, match="train there first"):
        load_for_inference(workdir / "checkpoints")


def test_a_finished_run_does_nothing_more(finished: Any):
    workdir, final, _ = finished
    before = (workdir / "metrics.jsonl").read_bytes()
    again, said = go(run(stages=TWO_STAGES), workdir, loader=None)
    assert again == final
    assert "nothing to do" in said
    assert (workdir / "metrics.jsonl").read_bytes() == before


def test_sigterm_saves_and_the_rest_gives_the_same_weights(finished: Any, tmp_path: pathlib.Path):
    # Free settings may change on the way; that they do not enter the numbers is tested here, too.
    config = run(stages=TWO_STAGES, log_every=1, save_every=100)
    handler = signal.getsignal(signal.SIGTERM)
    stopped, said = go(config, tmp_path, loader=TerminatedLoader(8, at=9))
    assert stopped["finished"] is False
    assert 0 < stopped["step"] <= 10
    assert "saved; the same command goes on" in said
    assert signal.getsignal(signal.SIGTERM) is handler
    assert not (tmp_path / "final.json").exists()
    # A row beyond the checkpoint and a line that was cut off, as a kill leaves them.
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 19, "loss": 7.0}\n{"step": 20, "lo')
    final, said = go(config, tmp_path)
    assert f"goes on from step {stopped['step']} of 20" in said
    steps = [row["step"] for row in read_metrics(tmp_path)]
    assert steps == list(range(1, 21))
    for name in ("weights_sha256", "state_sha256"):
        assert final[name] == finished[1][name]
    assert final["train_flops"] == finished[1]["train_flops"]


def test_a_checkpoint_is_of_its_step_though_training_went_on(finished: Any, tmp_path: pathlib.Path):
    """The state is donated to the next step while it is still being written."""
    early = run(stages=TWO_STAGES, save_every=100)
    stopped, _ = go(early, tmp_path, loader=TerminatedLoader(8, at=13))
    while stopped["step"] < 15:
        stopped, _ = go(early, tmp_path, loader=TerminatedLoader(8, at=stopped["step"]))
    assert stopped["step"] == 15
    ours = load_for_inference(tmp_path)[2]
    assert weights_sha256(ours) == weights_sha256(load_for_inference(finished[0], 15)[2])


def test_a_state_comes_back_exactly_on_another_mesh(finished: Any):
    workdir, final, _ = finished
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    config = run(stages=TWO_STAGES)
    boxed = jax.eval_shape(ToySystem().init, jax.random.key(0))
    stage = stages_of(config.stages, 20)[-1]
    abstract = plan_stage(stage, boxed, config.train, mesh).abstract
    with Checkpoints(workdir, keep=2) as checkpoints:
        state, place = checkpoints.restore(20, abstract)
    assert weights_sha256(state) == final["state_sha256"]
    assert place == {"next_example": 160, "fingerprint": {"data": "toy"}}
    split = jax.tree.map(lambda leaf, wanted: leaf.sharding == wanted.sharding, state, abstract)
    assert all(jax.tree.leaves(split))


def test_a_run_goes_on_under_another_mesh(finished: Any, tmp_path: pathlib.Path):
    config = run(stages=TWO_STAGES)
    stopped, _ = go(config, tmp_path, loader=TerminatedLoader(8, at=9))
    assert stopped["step"] < 20
    other = dataclasses.replace(config, mesh=MeshConfig(data=1, fsdp=2))
    go(other, tmp_path)
    theirs = leaves_by_path(load_for_inference(finished[0])[2])
    for path, leaf in leaves_by_path(load_for_inference(tmp_path)[2]).items():
        np.testing.assert_allclose(leaf, theirs[path], rtol=1e-3, atol=1e-5, err_msg=path)


def test_the_workdir_of_another_config_is_refused_with_the_difference(finished: Any):
    workdir, _, _ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    with pytest.raises(UserError, match=r"train\.learning_rate: 0\.01 there, 0\.5 here\); choose"):
        go(run(stages=TWO_STAGES, learning_rate=0.5), workdir)
    with pytest.raises(UserError, match=r"train\.steps: 20 there, 30 here"):
        go(run(stages=TWO_STAGES, steps=30), workdir)
    with pytest.raises(UserError, match="trained with other statistics"):
        go(run(stages=TWO_STAGES), workdir, statistics={"action": {"mean": [0.0, 0.6]}})
    after = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    changed = {path.name for path, when in after.items() if before[path] != when}
    assert changed <= {"config.json", workdir.name}


def test_the_checkpoint_of_another_run_is_refused_with_the_difference(
    finished: Any, tmp_path: pathlib.Path
):
    """`config.json` is this run's, the checkpoint is not: somebody copied it."""
    config = run(stages=TWO_STAGES, learning_rate=0.5, beta2=0.9)
    go(dataclasses.replace(config, name="other"), tmp_path, loader=TerminatedLoader(8, at=9))
    shutil.rmtree(tmp_path / "checkpoints")
    shutil.copytree(finished[0] / "checkpoints", tmp_path / "checkpoints")
    wanted = (
        r"the checkpoint of step 20 in .* belongs to another config "
        r"\(name: 'toy' there, 'other' here; train\.beta2: 0\.99 there, 0\.9 here; "
        r"train\.learning_rate: 0\.01 there, 0\.5 here\)"
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=wanted):
        go(dataclasses.replace(config, name="other"), tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_run_that_keeps_one_checkpoint_is_refused(tmp_path: pathlib.Path):
    with pytest.raises(
        UserError, match=r"train\.keep is 1, but if the newest checkpoint is broken"
    ):
        go(run(keep=1), tmp_path)


def test_checkpoints_without_a_config_are_refused(tmp_path: pathlib.Path):
    (tmp_path / "checkpoints" / "5").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no config\.json"):
        go(run(), tmp_path)


def test_a_run_refused_before_its_first_step_leaves_the_workdir_free(tmp_path: pathlib.Path):
    typo = (dataclasses.replace(TWO_STAGES[0], fraction=1.0, train=("contxt/.*",)),)
    with pytest.raises(UserError, match="match no weight"):
        go(run(stages=typo), tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="actions in the first batch are not finite"):
        go(run(learning_rate=0.5), tmp_path, loader=ToyLoader(8, poison=3))
    stopped, _ = go(run(stages=TWO_STAGES), tmp_path, loader=TerminatedLoader(8, at=1))
    assert stopped["finished"] is False


def test_a_run_stopped_before_its_first_step_has_nothing_to_save(tmp_path: pathlib.Path):
    class Early(ToyLoader):
        def state(self) -> dict[str, Any]:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().state()

    stopped, said = go(run(), tmp_path, loader=Early(8))
    assert stopped == {"finished": False, "step": 0}
    assert "stopped at step 0 of 20, before its first step" in said
    assert not list((tmp_path / "checkpoints").iterdir())
    assert go(run(), tmp_path)[0]["step"] == 20


def test_a_run_killed_before_its_last_word_says_it(finished: Any, tmp_path: pathlib.Path):
    shutil.copytree(finished[0], tmp_path / "copy")
    (tmp_path / "copy" / "final.json").unlink()
    final, _ = go(run(stages=TWO_STAGES), tmp_path / "copy")
    for name in ("step", "losses", "train_flops", "weights_sha256", "state_sha256"):
        assert final[name] == finished[1][name]


def test_what_the_loader_raises_is_raised(tmp_path: pathlib.Path):
    class Broken(ToyLoader):
        def make(self, start: int) -> Any:
            if start == 3 * 8:
                raise UserError("shard 3 is truncated.")
            return super().make(start)

    class Short(ToyLoader):
        def __iter__(self) -> Any:
            yield from [self.make(0), self.make(8)]

    with pytest.raises(UserError, match="shard 3 is truncated"):
        go(run(), tmp_path / "broken", loader=Broken(8))
    with pytest.raises(UserError, match="ran out of batches"):
        go(run(), tmp_path / "short", loader=Short(8))


def test_metrics_refuse_numbers_that_json_does_not_have(tmp_path: pathlib.Path):
    with Metrics(tmp_path, 0) as metrics, pytest.raises(ValueError, match="JSON"):
        metrics.write(1, {"loss": float("nan")})
