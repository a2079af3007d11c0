"""What the objectives may look at, and one set of weights sampled in several ways."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.systems import SMALL, batch, small, weights
from wamjax.core.runtime import once_jit
from wamjax.flow.levels import LevelsConfig, draw_levels
from wamjax.recipes.chance import chance
from wamjax.recipes.parts import Parts
from wamjax.recipes.tabletop import sharing_levels, tabletop

pytestmark = pytest.mark.usefixtures("quick_to_compile")

KEY = jax.random.key(3)
DATA = batch()
SEEN = tuple(map(jnp.asarray, (DATA.frames[:, :, :1], DATA.camera_mask, DATA.proprio, DATA.text)))


def velocities(training: str):
    """The noise of both streams, and the velocity function at levels of 0.6 and 0.3."""
    system = small(training)
    noise = jax.jit(lambda p: system.ready(p, *SEEN, KEY)[0])(weights(system))

    @jax.jit
    def velocity(x, level):
        _, slopes = system.ready(weights(system), *SEEN, KEY)
        return slopes(x, {"video": jnp.full(3, 0.6), "action": jnp.full(3, level)})

    return noise, velocity


def test_of_inverse_dynamics_the_video_does_not_see_the_actions_and_they_see_it():
    noise, velocity = velocities("inverse")
    one = velocity(noise, 0.3)
    other = velocity(noise | {"action": noise["action"] + 1}, 0.8)
    np.testing.assert_array_equal(one["video"], other["video"])
    assert (one["action"] != other["action"]).any()
    shown = velocity(noise | {"video": noise["video"] + 1}, 0.3)
    assert (np.abs(shown["action"] - one["action"]).max((1, 2)) > 1e-4).all()


@functools.cache
def walked(training, **changes):
    """Levels of (video, action) at which the network is asked for a chunk, and the chunk."""
    system, levels = small(training, **changes), []
    real = Parts.velocity

    def noted(self, *args, **options):
        slopes = real(self, *args, **options)

        def counted(x, sigma):
            both = [sigma[name][0] for name in ("video", "action")]
            jax.debug.callback(lambda *at: levels.append([*map(float, at)]), *both, ordered=True)
            return slopes(x, sigma)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parts, "velocity", noted)
        actions = jax.jit(lambda p: system.sample_actions(p, *SEEN, KEY))(weights(system))
        jax.effects_barrier()
    return levels, np.asarray(actions)


PHASES = {
    "joint": [[1, 1], [0.75, 0.5]],
    "action_only": [[1, 1], [1, 0.5]],
    "video_then_action": [[1, 1], [0.75, 1], [0, 1], [0, 0.5]],
}


@pytest.mark.parametrize("program", PHASES)
def test_a_joint_model_is_sampled_as_asked(program):
    levels, actions = walked("joint", sampled=program)
    assert levels == PHASES[program]
    plain = walked("joint")[1]
    assert (actions == plain).all() == (program == "joint")


def test_of_inverse_dynamics_the_video_is_sampled_first():
    assert walked("inverse")[0] == PHASES["video_then_action"]


def test_actions_alone_are_those_of_a_sampler_that_holds_the_noise_of_the_video():
    system = small("joint", sampled="action_only")
    assert not system.predicts_video

    @jax.jit
    def by_hand(params):
        noise, slopes = system.ready(params, *SEEN, KEY)
        x = noise["action"]
        for now, after in ((1.0, 0.5), (0.5, 0.0)):
            level = {"video": jnp.ones(3), "action": jnp.full(3, now)}
            x = x + (after - now) * slopes({"video": noise["video"], "action": x}, level)["action"]
        return x

    _, actions = walked("joint", sampled="action_only")
    np.testing.assert_allclose(actions, by_hand(weights(system)), atol=2e-5)


def test_the_future_is_shown_by_the_program_that_acts():
    system = small("joint", sampled="video_then_action")
    sample = jax.jit(lambda p: system.sample_future(p, *SEEN, KEY))
    actions, frames = sample(weights(system))
    np.testing.assert_allclose(actions, walked("joint", sampled="video_then_action")[1], atol=2e-5)
    assert frames.shape == (3, 1, 2, 16, 16, 3)


def test_actions_alone_have_a_log_probability_and_two_walks_have_none():
    system = small("joint", sampled="action_only")
    drawn, _, _ = once_jit(chance(system, 1e-5).draw)(weights(system), SEEN, KEY)
    np.testing.assert_allclose(drawn, walked("joint", sampled="action_only")[1], atol=1e-3)
    for other in (small("joint", sampled="video_then_action"), small("inverse")):
        with pytest.raises(ValueError, match="two phases"):
            chance(other, 0.5)


SHARED = LevelsConfig(coupling="shared")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"training": "direct", "sampled": "joint"}, "denoises no video"),
        ({"training": "latent", "sampled": "video_then_action"}, "denoises no video"),
        ({"training": "cotrain", "sampled": "video_then_action"}, "never shows its actions the"),
        ({"training": "inverse", "sampled": "joint"}, "never shows its video the actions"),
        ({"training": "two_stage", "sampled": "action_only"}, "on an imagined video alone"),
        ({"training": "two_stage", "sampled": "joint"}, "never shows its video the actions"),
        ({"sampled": "video_only"}, "joint cannot be sampled as video_only: it is a policy"),
        ({"sampled": "action_only", "levels": SHARED}, "has trained shared noise levels alone"),
        ({"sampled": "video_then_action", "levels": SHARED}, "trained shared noise levels alone"),
        ({"training": "inverse", "levels": SHARED}, "has trained shared noise levels alone"),
        ({"sampled": "joint", "jump": "shortcut"}, "holds its video while actions jump"),
        ({"temperature": -0.5}, "temperature must not be negative"),
        (
            {
                "training": "latent",
                "context": dataclasses.replace(SMALL.context, kind="none"),
            },
            "predicts features of the context encoder",
        ),
    ],
)
def test_what_an_objective_was_not_trained_for_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize(
    ("training", "program"),
    [
        ("cotrain", "action_only"),
        ("inverse", "action_only"),
        ("two_stage", "video_then_action"),
        ("direct", "action_only"),
    ],
)
def test_what_it_was_trained_for_is_not(training, program):
    assert small(training, sampled=program).config.program == program


def test_shared_levels_are_one_level_in_training_and_while_sampling():
    shared = sharing_levels(tabletop("joint"))
    drawn = draw_levels(shared.levels, KEY, 64)
    np.testing.assert_array_equal(drawn["video"], drawn["action"])
    own = dataclasses.asdict(shared) | {"levels": None, "video_shift": None}
    plain = dataclasses.asdict(tabletop("joint")) | {"levels": None, "video_shift": None}
    assert own == plain
    # The coupling alone does not do it: the law of the video is shifted.
    coupled = dataclasses.replace(tabletop("joint").levels, coupling="shared")
    apart = draw_levels(coupled, KEY, 64)
    assert (apart["video"] > apart["action"]).all()
    levels, _ = walked("joint", levels=shared.levels, video_shift=shared.video_shift)
    assert levels == [[1, 1], [0.5, 0.5]]


def test_temperature_is_a_factor_of_the_noise_that_actions_start_from():
    whole, half = (small("joint", temperature=value) for value in (1.0, 0.5))
    ready = {
        system: jax.jit(lambda p, s=system: s.ready(p, *SEEN, KEY)[0])(weights(small()))
        for system in (small(), whole, half)
    }
    one, same, less = ready.values()
    for name in ("video", "action"):
        np.testing.assert_array_equal(one[name], same[name])
    np.testing.assert_array_equal(less["action"], 0.5 * one["action"])
    np.testing.assert_array_equal(less["video"], one["video"])
    still = small("direct", temperature=0.0)
    act = jax.jit(lambda p, key: still.sample_actions(p, *SEEN, key))
    drawn = [act(weights(still), jax.random.key(seed)) for seed in (1, 2)]
    np.testing.assert_array_equal(*drawn)


def test_without_proprio_nothing_depends_on_it_and_the_weights_are_the_same():
    system = small("joint", without="proprio")
    shapes = [
        jax.tree.map(lambda leaf: leaf.shape, weights(one)) for one in (small("joint"), system)
    ]
    assert shapes[0] == shapes[1]
    frames, mask, proprio, text = SEEN
    act = jax.jit(lambda p, state: system.sample_actions(p, frames, mask, state, text, KEY))
    drawn = [act(weights(system), state) for state in (proprio, proprio + 1)]
    np.testing.assert_array_equal(*drawn)
    loss = jax.jit(lambda p, data: system.loss(p, data, KEY, "joint")[0])
    losses = [
        loss(weights(system), data) for data in (DATA, DATA.replace(proprio=DATA.proprio + 1))
    ]
    np.testing.assert_array_equal(*losses)
    usual = small("joint")
    act = jax.jit(lambda p, state: usual.sample_actions(p, frames, mask, state, text, KEY))
    assert (act(weights(usual), proprio) != act(weights(usual), proprio + 1)).any()
