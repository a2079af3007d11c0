"""Recipes that are trained on data: the tiny form learns from our own demonstrations.

Held-out actions beat the mean action, and a predicted video beats a still one in mean square
error: the mean over the future is what one pass from pure noise predicts.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.cli.demos import Demos, write_demos
from wamjax.cli.recipe_run import recipe_run
from wamjax.cli.train import run_training
from wamjax.data import Windows, read_episodes
from wamjax.eval.heldout import held_out, mean_action
from wamjax.eval.openloop import open_loop
from wamjax.eval.statistics import Interval, bootstrap_mean
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.recipes.forms import Known
from wamjax.recipes.learner import Learner
from wamjax.recipes.registry import RECIPES
from wamjax.train.stages import stages_of

# Minutes of training on two cores, twice that beside other work.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
STEPS = 600


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    out = tmp_path_factory.mktemp("demos")
    return write_demos(out, Demos(tasks=("reach", "push"), clean=160))


def windows_of(run: TrainedRun, *, push: bool) -> tuple[Windows, list]:
    """Held-out windows of `push`, whose instructions name the spot, or of `reach`; in batches."""
    config = dataclasses.replace(run.config.data, part="heldout")
    windows = Windows(config, run.statistics, read_episodes(config))
    batches = []
    for held in held_out(windows, 64, 384):
        told = np.array([(b"spot" in bytes(row)) == push for row in held.batch.text])
        batches.append(dataclasses.replace(held, episode=np.where(told, held.episode, -1)))
    return windows, batches


def squared_errors(run: TrainedRun, batches: list) -> tuple[float, float]:
    """Mean square error of the predicted frames, and of the newest one repeated, in 0 ... 1."""
    config = dataclasses.replace(run.config.system, solver_steps=1)
    learner, history = Learner(config), config.history

    @jax.jit
    def imagine(weights, batch, key):
        seen = jnp.asarray(batch.frames)[:, :, :history]
        state = jnp.where(batch.proprio_mask, batch.proprio, 0.0)
        given = (seen, jnp.asarray(batch.camera_mask), state, jnp.asarray(batch.text))
        keys = jax.random.split(key, 4)
        made = jax.lax.map(
            lambda key: learner.sample(weights, *given, key, video=True)["frames"] / 255.0, keys
        )
        return made.mean(0)

    ours, still, count = 0.0, 0.0, 0
    for place, held in enumerate(batches):
        made = np.asarray(imagine(run.weights, held.batch, jax.random.key(place)))
        views, ahead = made.shape[1:3]
        frames = np.asarray(held.batch.frames)[:, :views] / 255.0
        future, now = frames[:, :, history : history + ahead], frames[:, :, history - 1 : history]
        real = np.asarray(held.batch.frame_mask)[:, history : history + ahead]
        real = (real & (held.episode >= 0)[:, None])[:, None].repeat(views, 1)
        ours += np.square(made - future).mean((3, 4, 5))[real].sum()
        still += np.square(now - future).mean((3, 4, 5))[real].sum()
        count += real.sum()
    return ours / count, still / count


def value_correlation(run: TrainedRun, batches: list) -> tuple[float, Interval]:
    """Of the values of true futures with what came of them, over held-out windows whose future was
    recorded; and its 95 % interval, resampling episodes."""
    learner = Learner(run.config.system)
    planning, history = learner.learning.planning, run.config.system.history
    assert planning is not None
    judge = learner.in_form(planning.judge)

    @jax.jit
    def value(weights, batch, key):
        frames = jnp.asarray(batch.frames)
        state = jnp.where(batch.proprio_mask, batch.proprio, 0.0)
        seen = (frames[:, :, :history], jnp.asarray(batch.camera_mask), state)
        known = Known(
            frames=frames[:, :, history:],
            actions=jnp.where(batch.action_mask, batch.actions, 0.0),
            proprio=jnp.where(batch.next_proprio_mask, batch.next_proprio, 0.0),
        )
        given = (*seen, jnp.asarray(batch.text), key)
        return judge.sample(weights, *given, video=True, known=known)["value"]

    ours, true, episodes = [], [], []
    for place, held in enumerate(batches):
        made = value(run.weights, held.batch, jax.random.key(place))
        real = held.batch.value_mask & held.batch.frame_mask.all(1) & (held.episode >= 0)
        ours.append(np.asarray(made)[real])
        true.append(held.batch.value[real])
        episodes.append(held.episode[real])
    scored = [np.concatenate(part).astype(np.float64) for part in (ours, true)]
    both = np.prod([(part - part.mean()) / part.std() for part in scored], axis=0)
    interval = bootstrap_mean(both, np.ones_like(both), np.concatenate(episodes))
    return float(both.mean()), interval


@pytest.mark.law("i")
@pytest.mark.parametrize("name", RECIPES)
def test_the_tiny_form_learns_from_demonstrations(name, demos, tmp_path):
    config = recipe_run(name)
    # A later lesson on actions alone may spoil the video (GE-Act's trains all of its weights).
    stages = stages_of(config.stages, STEPS)
    lessons = {lesson.name: dict(lesson.losses) for lesson in config.system.learning.lessons}
    shown = max((s.end for s in stages if "video" in lessons[s.objective]), default=STEPS)
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, dir=str(demos), holdout=0.15),
        train=dataclasses.replace(config.train, steps=STEPS, save_every=shown, keep=9),
    )
    assert run_training(config, tmp_path, jax.devices()[:1])["finished"]
    run = open_run(tmp_path)
    learner, history = Learner(run.config.system), run.config.system.history

    @jax.jit
    def act(weights, batch, key):
        seen = jnp.asarray(batch.frames)[:, :, :history]
        state = jnp.where(batch.proprio_mask, batch.proprio, 0.0)
        given = (seen, jnp.asarray(batch.camera_mask), state, jnp.asarray(batch.text))
        keys = jax.random.split(key, 4)
        return jax.lax.map(lambda key: learner.sample_actions(weights, *given, key), keys).mean(0)

    windows, reach = windows_of(run, push=False)
    errors = open_loop(
        lambda batch, key: (act(run.weights, batch, key), None),
        reach,
        mean_action=mean_action(windows, run.statistics),
        history=history,
        key=jax.random.key(0),
    )
    ours, mean = errors["action_error"], errors["mean_action_error"]
    print(f"{name}: action error {ours:.3f} on reach, mean action {mean:.3f}")
    assert ours < mean
    if learner.predicts_video:
        ours, still = squared_errors(open_run(tmp_path, shown), windows_of(run, push=True)[1])
        print(f"{name}: square error of frames {ours:.5f} on push, repeated frame {still:.5f}")
        assert ours < still
    if config.system.value_discount is not None:
        found, (low, high) = value_correlation(run, windows_of(run, push=True)[1])
        print(f"{name}: correlation of values on push {found:.3f} ({low:.3f} to {high:.3f})")
        assert low > 0
