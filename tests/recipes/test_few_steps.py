"""Fewer passes of a system: jumps that are learned, velocities used again, a video left early, and
chunks that go on from actions under way. What is off changes nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.systems import SMALL, batch, small, weights
from wamjax.core.tree import leaves_by_path
from wamjax.flow.prefix import draw_delays
from wamjax.model.config import WamConfig
from wamjax.model.couplings import Size, coupled
from wamjax.recipes import system as system_file
from wamjax.recipes.chance import chance
from wamjax.recipes.parts import Parts
from wamjax.recipes.system import System

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)
CLOCK = "model/level_action/jump/kernel"
DATA = batch(4)
SEEN = tuple(map(jnp.asarray, (DATA.frames[:, :, :1], DATA.camera_mask, DATA.proprio, DATA.text)))


def jumping(training: str = "joint", steps: int = 1, **changes) -> System:
    return small(training, jump="shortcut", solver_steps=steps, **changes)


def objective(system: System) -> str:
    return "behaviour" if system.config.training == "two_stage" else system.config.training


def loss(system: System, params, data=DATA):
    return jax.jit(lambda p, b: system.loss(p, b, KEY, objective(system))[1])(params, data)


def without_clock(params):
    level = {name: part for name, part in params["model"]["level_action"].items() if name != "jump"}
    return params | {"model": params["model"] | {"level_action": level}}


def unmodulated() -> WamConfig:
    """A model whose action expert nothing tells the noise level."""
    model = SMALL.model
    (stack,) = model.stacks
    trunk, action = stack.experts
    blind = dataclasses.replace(
        stack, experts=(trunk, dataclasses.replace(action, modulation="none"))
    )
    ports = tuple(
        dataclasses.replace(port, head="plain") if port.stream == "action" else port
        for port in model.ports
    )
    return dataclasses.replace(model, stacks=(blind,), ports=ports)


def test_the_clock_of_jumps_is_the_only_new_weight():
    plain, told = (leaves_by_path(weights(s)) for s in (small(), jumping()))
    assert set(told) - set(plain) == {CLOCK}
    assert set(plain) < set(told)


def test_a_system_that_is_told_no_jump_is_the_plain_one(monkeypatch):
    """Without a sample that jumps the loss is flow matching, and no jump has length but theirs."""
    monkeypatch.setattr(system_file, "JUMP_SHARE", -1_000)
    told, plain = jumping(), small(solver_steps=1)
    params = weights(told)
    plainly = loss(plain, without_clock(params))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-6), loss(told, params), plainly
    )
    other = jax.tree.map(lambda leaf: leaf, params)
    other["model"]["level_action"]["jump"] = {"kernel": jnp.ones((64, 16))}
    assert loss(told, other) == loss(told, params)


@pytest.mark.parametrize("training", ["direct", "joint", "two_stage"])
def test_jumps_teach_the_clock(training):
    told = jumping(training)
    gradient = jax.jit(jax.grad(lambda p: told.loss(p, DATA, KEY, objective(told))[0]))
    moved = leaves_by_path(gradient(weights(told)))
    assert np.abs(moved[CLOCK]).max() > 0


def test_a_jump_is_compared_with_its_halves():
    """In the first samples the actions of the data are not the target: their noise is theirs."""
    told = jumping("direct")
    parts = loss(told, weights(told))
    assert np.isfinite(parts["loss/action"])
    plain = loss(small("direct", solver_steps=1), without_clock(weights(told)))
    assert parts["loss/action"] != plain["loss/action"]


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("training", ["direct", "joint"])
def test_a_chunk_takes_as_many_passes_as_jumps(training, steps, monkeypatch):
    told = jumping(training, steps)
    lengths = []
    real = Parts.velocity

    def noted(self, *args, step=None, **options):
        slopes = real(self, *args, step=step, **options)

        def counted(x, sigma):
            jax.debug.callback(
                lambda d, s: lengths.append((float(d), float(s))),
                step["action"][0],
                sigma["action"][0],
                ordered=True,
            )
            return slopes(x, sigma)

        return counted

    monkeypatch.setattr(Parts, "velocity", noted)
    out = jax.jit(lambda p: told.sample_actions(p, *SEEN, KEY))(weights(told))
    jax.effects_barrier()
    assert out.shape == (4, 4, 7)
    assert lengths == [(1 / steps, 1 - place / steps) for place in range(steps)]


@pytest.mark.parametrize("training", ["direct", "cotrain", "joint", "inverse", "two_stage"])
def test_the_actions_of_jumps_do_not_ask_whether_frames_are_wanted(training):
    told = jumping(training, 2)

    @functools.partial(jax.jit, static_argnums=(1, 2))
    def sampled(params, video, cached):
        return told.sample(params, *SEEN, KEY, video=video, cached=cached)

    params = weights(told)
    alone, shown = sampled(params, False, True), sampled(params, told.predicts_video, False)
    np.testing.assert_allclose(alone["action"], shown["action"], atol=2e-5)
    assert ("frames" in shown) == told.predicts_video


def test_the_expert_of_a_shared_trunk_can_be_told_too():
    size = Size(width=24, depth=1, heads=2, head_dim=12)
    told = jumping("joint", model=coupled("trunk", size, patch=2))
    assert "model/level_trunk/jump/kernel" in leaves_by_path(weights(told))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"jump": "shortcut", "solver_steps": 5}, "must be one of 1, 2, 4, 8, 16 under jump"),
        ({"jump": "shortcut", "evaluated": (0,)}, "evaluated has no meaning under jump"),
        ({"evaluated": (0, 2)}, "evaluated steps rise from 0 and stay below 2"),
        ({"evaluated": (0,), "solver": "heun"}, "cannot reuse a velocity"),
        ({"video_end": 1.0}, r"video_end lies in \[0, 1\)"),
        ({"jump": "shortcut", "model": unmodulated()}, "action reads no noise level"),
        ({"delay": 4}, "delay must lie between 1 and chunk - 1"),
        ({"delay": 0}, "delay must lie between 1 and chunk - 1"),
        (
            {
                "jump": "shortcut",
                "training": "two_stage",
                "model": coupled("trunk", Size(width=8, depth=1, heads=1, head_dim=8), patch=2),
            },
            "choose a coupling with an expert",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(SMALL, **changes)


def test_steps_between_evaluations_go_on_with_the_last_answer():
    """With one evaluation of a straight walk, more steps change nothing: fewer passes as well."""
    params = weights(small("direct"))

    def actions(**changes):
        own = small("direct", **changes)
        return jax.jit(lambda p: own.sample_actions(p, *SEEN, KEY))(params)

    once = actions(solver_steps=4, evaluated=(0,))
    np.testing.assert_allclose(once, actions(solver_steps=1), atol=1e-5)
    assert np.abs(once - actions(solver_steps=4)).max() > 1e-3


def test_a_video_that_is_left_early_keeps_its_noise():
    """Where nothing is predicted, the walk from noise ends at `video_end` times the noise."""
    plain, early = small("cotrain"), small("cotrain", video_end=0.5)
    params = jax.tree.map(jnp.zeros_like, weights(plain))
    whole, half = (
        jax.jit(lambda p, s=s: s.sample(p, *SEEN, KEY, video=True))(params) for s in (plain, early)
    )
    np.testing.assert_array_equal(whole["frames"][:, 0, 0], DATA.frames[:, 0, 0])
    assert (half["frames"][:, 0, 0] != DATA.frames[:, 0, 0]).mean() > 0.5
    np.testing.assert_array_equal(whole["action"], half["action"])


def test_actions_under_way_are_clean_and_not_scored(monkeypatch):
    """With the longest delay always, only actions behind it have a noise level and a loss."""
    monkeypatch.setattr(
        system_file, "draw_delays", lambda key, rows, longest: jnp.full(rows, longest)
    )
    levels, states = [], []
    real = Parts.velocity

    def noted(self, *args, **options):
        slopes = real(self, *args, **options)

        def seen(x, sigma):
            levels.append(sigma["action"])
            states.append(x["action"])
            return slopes(x, sigma)

        return seen

    monkeypatch.setattr(Parts, "velocity", noted)
    delayed = small("direct", delay=2)
    params = weights(delayed)

    def both(p, data):
        levels.clear()
        states.clear()
        parts = delayed.loss(p, data, KEY, "direct")[1]
        return parts, levels[0], states[0]

    _, level, state = jax.jit(both)(params, DATA)
    np.testing.assert_array_equal(level[:, :2], 0)
    assert (level[:, 2:] > 0).all()
    np.testing.assert_array_equal(state[:, :2], DATA.actions[:, :2])
    # A network that says nothing is scored by the velocities alone: by none of those under way.
    blank, moved = jax.tree.map(jnp.zeros_like, params), DATA.actions.copy()
    moved[:, :2] += 1
    other = DATA.replace(actions=moved)
    silent, again = (jax.jit(both)(blank, data)[0] for data in (DATA, other))
    assert silent["loss/action"] == again["loss/action"]
    assert silent["loss/guess"] != again["loss/guess"]


def test_delays_are_drawn_from_none_to_the_longest():
    assert set(np.asarray(draw_delays(KEY, 100, 2))) == {0, 1, 2}


@pytest.mark.parametrize("jump", [None, "shortcut"])
@pytest.mark.parametrize("training", ["direct", "joint"])
def test_a_chunk_goes_on_from_actions_under_way(training, jump):
    own = small(training, delay=2, jump=jump)
    params = weights(own)
    act = jax.jit(lambda p, a, d: own.sample_actions(p, *SEEN, KEY, under_way=(a, d)))
    actions, delay = jnp.asarray(DATA.actions) + 1.0, jnp.full(4, 2)
    out = act(params, actions, delay)
    np.testing.assert_array_equal(out[:, :2], actions[:, :2])
    np.testing.assert_array_equal(out, act(params, actions.at[:, 2:].add(1.0), delay))
    assert (out[:, 2:] != act(params, actions.at[:, 1].add(1.0), delay)[:, 2:]).all()
    free = jax.jit(lambda p: own.sample_actions(p, *SEEN, KEY))(params)
    np.testing.assert_allclose(act(params, actions, 0 * delay), free, atol=2e-5)


def test_without_delay_in_training_no_chunk_goes_on():
    with pytest.raises(ValueError, match="trained without delay"):
        jax.eval_shape(
            lambda p: small().sample_actions(
                p, *SEEN, KEY, under_way=(jnp.zeros((4, 4, 7)), jnp.ones(4, int))
            ),
            weights(small()),
        )


@pytest.mark.parametrize("changes", [{"jump": "shortcut"}, {"evaluated": (0,)}])
def test_what_jumps_or_reuses_has_no_log_probability(changes):
    with pytest.raises(ValueError, match="no log-probability"):
        chance(small("joint", **changes), 0.5)
