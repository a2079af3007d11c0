"""A run on a mixture is sampled and evaluated as each of its data sets."""

import dataclasses
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from tests.cli.made_data import episodes
from wamjax.cli.main import main
from wamjax.core.config import from_json
from wamjax.core.files import read_json
from wamjax.core.records import Episode, Observation
from wamjax.data import DataConfig, Mixture, write_rlds
from wamjax.data.normalising.statistics import MixedStatistics
from wamjax.data.normalising.statistics import from_json as statistics_from
from wamjax.eval.trained_run import open_run
from wamjax.train.checkpoint import load_for_inference

pytestmark = pytest.mark.usefixtures("quick_to_compile", "one_device")
CARDS = pathlib.Path(__file__).resolve().parents[2] / "data" / "cards"

# Out of alphabetical order on purpose: places follow the mixture's order, not the names'.
MIXTURE = """
[desk]
source = "here"
weights = { reach = 1.0, push = 2.0, crane = 1.0 }
dirs = { reach = "one/tabletop", push = "two/tabletop" }
"""
CRANE = """
name = "crane"
names = ["crane"]
robot = "a crane"
embodiment = "crane"
control_hz = 10
gripper = "none"
instruction = "language_instruction"
citation = "here"
sources = ["here"]

[cameras]
wrist = "observation/wrist_image"

[raw]
action = 3
"observation/state" = 2
language_instruction = "text"

[action]
keys = ["action"]
layout = ["left position m base delta 2", "right position m base delta"]

[state]
keys = ["observation/state"]
layout = ["left position m base absolute 2"]
"""
CONFIG = '''"""A very small run on a mixture."""
import dataclasses

from tests.recipes.systems import SMALL
from wamjax.core.config import to_flags
from wamjax.data.config import DataConfig
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

CONFIG = RunConfig(
    name="desk",
    system=dataclasses.replace(SMALL, action_dim=10, proprio_dim=9),
    data=DataConfig(
        mixture="desk", cameras=("primary", "wrist"), image_size=16, chunk=4, text_length=24,
        action_width=10, proprio_width=9, rate_hz=10.0, holdout=0.4, prefetch=0,
    ),
    train=TrainConfig(steps=4, batch=8, save_every=4, log_every=2),
)


def get_config():
    return to_flags(CONFIG)
'''


def crane_episodes(count: int):
    draw = np.random.default_rng(0)
    for number in range(count):
        yield Episode(
            frames={"wrist": draw.integers(0, 255, (7, 16, 16, 3), dtype=np.uint8)},
            proprio=draw.normal(size=(7, 2)).astype(np.float32),
            actions=draw.normal(size=(7, 3)).astype(np.float32),
            instruction="lift the load",
            success=True,
            control_hz=10.0,
            metadata={"number": number},
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_device):
    """(flags that say where the data are, workdir of the run)."""
    folder = tmp_path_factory.mktemp("desk")
    root, cards = folder / "root", folder / "cards"
    cards.mkdir()
    for seed, (name, place) in enumerate((("reach", "one"), ("push", "two"))):
        write_rlds(root / place, "tabletop", "1.0.0", episodes(10, seed))
        text = (CARDS / "tabletop.toml").read_text()
        (cards / f"{name}.toml").write_text(text.replace('name = "tabletop"', f'name = "{name}"'))
    write_rlds(root, "crane", "1.0.0", crane_episodes(8))
    (cards / "crane.toml").write_text(CRANE)
    (folder / "mixtures.toml").write_text(MIXTURE)
    (folder / "desk.py").write_text(CONFIG)
    workdir = folder / "run"
    argv = [
        "train",
        f"--config={folder / 'desk.py'}",
        f"--config.data.mixtures={folder / 'mixtures.toml'}",
        f"--config.data.root={root}",
        f"--config.data.cards={cards}",
        f"--workdir={workdir}",
    ]
    assert main(argv) == 0
    return workdir


@pytest.fixture(scope="module")
def mixture(made):
    """The held-out windows of all data sets, as training would see them."""
    config = from_json(DataConfig, read_json(made / "config.json")["data"])
    statistics = statistics_from(load_for_inference(made)[1])
    assert isinstance(statistics, MixedStatistics)
    return Mixture(dataclasses.replace(config, part="heldout"), statistics)


def opened(workdir, name):
    return open_run(workdir, data_set=name, misfit=lambda seat, statistics: "")


def test_places_are_those_of_training(made, mixture):
    for seat, trained in zip(mixture.seating.seats, ("reach", "push", "crane"), strict=True):
        assert opened(made, trained).seat == seat
    crane = opened(made, "crane").seat
    assert crane is not None
    assert crane.action.at == (7, 8, 0)
    assert crane.views == (1,)
    assert [seat.embodiment for seat in mixture.seating.seats] == [0, 0, 1]


@pytest.mark.parametrize("name", ["reach", "push", "crane"])
def test_what_is_sampled_from_are_the_mixtures_rows(made, mixture, name):
    windows = opened(made, name).held_out()
    number = [member.name for member in mixture.members].index(name)
    assert len(windows) == len(mixture.windows[number])
    chosen = np.array([0, len(windows) - 1, 1])
    ours, theirs = windows.batch(chosen), mixture.batch(chosen + mixture.starts[number])
    for field in dataclasses.fields(theirs):
        if field.name != "index" and getattr(theirs, field.name) is not None:
            np.testing.assert_array_equal(
                getattr(ours, field.name), getattr(theirs, field.name), field.name
            )
    previous, recorded = windows.previous_actions(chosen)
    assert previous.shape == (3, 10)
    assert recorded.tolist() == [False, True, True]


@pytest.mark.parametrize("name", ["push", "crane"])
def test_a_policy_shown_a_window_s_raw_numbers_does_what_the_system_does(made, mixture, name):
    run = opened(made, name)
    windows, seat = run.held_out(), run.seat
    assert seat is not None
    chosen = np.arange(3)
    batch = windows.batch(chosen)
    policy = run.policy(("wrist", "primary", "roof"))
    assert policy.needs is not None
    assert policy.needs.cameras == tuple(seat.cameras[view] for view in seat.views)
    assert policy.needs.proprio == len(seat.proprio.at)
    assert (policy.imagine is None) == (name == "crane")
    frames = np.asarray(batch.frames)[:, :, :1]
    seen = Observation(
        frames=frames[:, list(seat.views)],
        camera_mask=np.ones((3, len(seat.views)), bool),
        proprio=windows.episodes.proprio[windows.index.row[chosen]],
        text=np.asarray(batch.text),
    )
    key = jax.random.key(3)
    state = np.where(batch.proprio_mask, batch.proprio, 0.0).astype(np.float32)
    theirs = jax.jit(run.system.sample_actions)(
        run.weights, frames, batch.camera_mask, state, batch.text, key
    )
    raw = run.action_normaliser.invert(theirs)
    assert raw.shape == (3, 4, len(seat.action.at))
    np.testing.assert_allclose(jax.jit(policy.act)(run.weights, seen, key), raw, atol=1e-5)


def said(capsys, argv):
    assert main(argv) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Traceback" not in error
    return error


def test_which_data_set_must_be_said_in_one_sentence(made, capsys, tmp_path):
    here = ["--workdir", str(made)]
    several = said(capsys, ["sample", *here])
    assert "give --data-set one of reach, push, crane." in several
    # Only these robots could act there.
    assert "give --data-set one of reach, push." in said(capsys, ["eval", *here])
    wrong = said(capsys, ["eval", *here, "--data-set", "crane"])
    assert "crane does not fit: it has 3 numbers in an action where these worlds have 7" in wrong
    other = said(capsys, ["eval", *here, "--data-set", "reach", "--action", "joint_delta"])
    assert "reach does not fit: it acts by ee_delta where --action is joint_delta." in other
    none = said(capsys, ["eval", *here, "--tasks", "handover"])
    assert "none of the data sets" in none
    assert "reach has 7 numbers in an action where these worlds have 14" in none
    for verb in ("sample", "eval"):
        unknown = said(capsys, [verb, *here, "--data-set", "lift"])
        assert "not trained on 'lift': give --data-set one of reach, push, crane" in unknown
    rewarded = ["train", "--config=configs/ript_reach.py", f"--config.ript.start={made}"]
    assert "(reach, push, crane)" in said(capsys, [*rewarded, f"--workdir={tmp_path / 'w'}"])


def test_sampled_as_each_data_set(made, capsys):
    for name, sees in (("reach", True), ("crane", False)):
        argv = ["--data-set", name, "--limit", "8", "--show", "2", "--draws", "1"]
        assert main(["sample", "--workdir", str(made), *argv]) == 0
        errors = read_json(made / f"sample-{name}.json")
        assert errors["data_set"] == name
        assert errors["windows"] == min(8, len(opened(made, name).held_out()))
        # The crane has no camera whose future is predicted.
        assert (errors["frame_error"] is not None) == sees
        page = (made / f"sample-{name}.html").read_text()
        assert f"as {name}" in page
        assert f"--data-set {name}" in page
    capsys.readouterr()


def test_data_that_have_moved_alone_are_sampled(made, capsys, tmp_path, monkeypatch):
    config = read_json(made / "config.json")["data"]
    moved = shutil.copytree(pathlib.Path(config["root"]) / "crane", tmp_path / "crane")
    root = pathlib.Path(config["root"])
    away = root.with_name("away")
    root.rename(away)
    try:
        argv = ["sample", "--workdir", str(made), "--data-set", "crane", "--limit", "2"]
        argv += ["--show", "1", "--draws", "1", "--out", str(tmp_path / "s.html")]
        assert "set data.root" in said(capsys, argv)
        assert main([*argv, "--dir", str(moved)]) == 0
    finally:
        away.rename(root)


@pytest.mark.slow
def test_evaluated_as_each_robot_that_fits(made, capsys):
    argv = ["--tasks", "push", "--axes", "none", "--worlds", "2", "--batch", "2", "--physics", "c"]
    for name in ("reach", "push"):
        assert main(["eval", "--workdir", str(made), "--data-set", name, *argv]) == 0
        results = json.loads((made / f"eval-{name}" / "results.json").read_text())
        assert results["policies"]["trained"]["push"]["clean"]["episodes"] == 2
        assert f"as {name}" in (made / f"eval-{name}" / "report.html").read_text()
    capsys.readouterr()
