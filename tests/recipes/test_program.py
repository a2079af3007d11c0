"""The walk of a sampler program against a plain loop over whole sequences, without any cache."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import tiny, weights
from wamjax.model.wam import Tokens
from wamjax.recipes.blueprint import Blueprint, Walk
from wamjax.recipes.network import network
from wamjax.recipes.program import moved, noise_for, walk
from wamjax.recipes.registry import RECIPES

ROWS = 2
FORMS = [(name, form) for name, recipe in RECIPES.items() for form in recipe.forms or (None,)]
# Forms of one recipe share most of their program; the usual one and those with more phases do.
QUICK = {
    "pi0", "openvla_oft", "motus", "ge_act", "lingbot_va", "dreamzero", "fast_wam", "hidden",
}  # fmt: skip
EACH = [
    pytest.param(name, form, marks=[] if quick else pytest.mark.slow)
    for name, form in FORMS
    for quick in [name in QUICK and form in (None, *RECIPES[name].forms[:1])]
]
IMAGINED = ["fast_wam", "motus", "uwm", "ge_act", "hidden"]


def values(blueprint: Blueprint, segment):
    """Values of a segment that is not denoised; the same whenever it is asked for."""
    size = dict(blueprint.features)[segment.stream]
    words = blueprint.model.port(segment.stream).embed == "words"
    rng = np.random.default_rng(zlib.crc32(repr(segment).encode()))
    shape = (ROWS, segment.count, 1 if words else size)
    made = rng.integers(0, size, shape) if words else rng.normal(size=shape)
    return jnp.asarray(made, jnp.float32), jnp.ones((ROWS, segment.count), bool)


def plain(blueprint: Blueprint, params, noise, steps: int, *, imagine: bool):
    """Euler by hand: every step a pass over everything that is there."""
    model = network(blueprint)
    state, answers, written = dict(noise), {}, {}
    given = blueprint.known(imagine)

    @functools.partial(jax.jit, static_argnums=0)
    def run(layout, own, sigma):
        real = jnp.ones((ROWS, sum(s.count for s in layout.segments)), bool)
        tokens = Tokens(own, real, jnp.zeros(ROWS, jnp.int32))
        return model.apply({"params": params}, layout, tokens, sigma, method="denoise")

    def shares(segments):
        out, used = {}, {}
        for segment in (s for s in segments if s.copy == "noisy"):
            start = used.get(segment.stream, 0)
            out[segment] = state[segment.stream][:, start : start + segment.count]
            used[segment.stream] = start + segment.count
        return out

    for place, phase in enumerate(blueprint.phases(imagine)):
        layout = blueprint.sampling(place, imagine)
        standing = {s.stream: jnp.ones(ROWS) for s in given if s.copy == "noisy"}
        levels = {n: np.linspace(a, b, steps + 1, dtype=np.float32) for n, a, b in phase.levels}
        said = {}
        for step in range(steps if phase.levels else phase.steps):
            own = {**shares(given), **shares(phase.segments), **written}
            own |= said
            parts = tuple(own[s] if s in own else values(blueprint, s)[0] for s in layout.segments)
            sigma = {name: jnp.full(ROWS, grid[step]) for name, grid in levels.items()}
            out = run(layout, parts, {**standing, **sigma})
            for name in moved(phase):
                if not phase.levels:
                    answers[name] = out[name]
                    spoken = next(s for s in phase.segments if s.stream == name)
                    if spoken.count == phase.steps > step + 1:
                        words = said.get(spoken, values(blueprint, spoken)[0])
                        best = out[name][:, step].argmax(-1).astype(jnp.float32)
                        said[spoken] = words.at[:, step + 1, 0].set(best)
                    continue
                change = float(levels[name][step + 1] - levels[name][step])
                slope = out[name][:, -state[name].shape[1] :]
                state = {**state, name: state[name] + change * slope}
                answers[name] = state[name]
        source = [s for s in phase.segments if s.copy == "noisy"]
        written |= dict(
            zip(phase.writes, (shares(phase.segments)[s] for s in source), strict=False)
        )
    return answers


def both(name, form, *, imagine=False, steps=2):
    blueprint = tiny(name, form)
    params = weights(name, form)
    # Without conditions beside the values, which a caller may add, both widths are one.
    widths = {s: blueprint.model.port(s).out or w for s, w in blueprint.features}
    plainly = {s: w for s, w in blueprint.features if widths[s] == w}
    if plainly.keys() != widths.keys():
        pytest.skip("values beside the denoised ones: see test_learner")
    noise = noise_for(blueprint, widths, ROWS, jax.random.key(4), imagine)
    supply = functools.partial(values, blueprint)
    walked = jax.jit(
        lambda params, noise: walk(
            blueprint, params, supply, noise, imagine=imagine, settings=Walk(), steps=steps
        )
    )(params, noise)
    return walked, plain(blueprint, params, noise, steps, imagine=imagine)


def check(walked, wanted):
    assert walked.keys() == wanted.keys()
    for name, value in wanted.items():
        scale = float(jnp.abs(value).max())
        np.testing.assert_allclose(walked[name], value, rtol=0, atol=2e-5 * max(1.0, scale))


@pytest.mark.parametrize(("name", "form"), EACH)
def test_the_walk_equals_a_plain_loop_without_a_cache(name, form):
    check(*both(name, form))


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGINED)
def test_what_is_imagined_equals_a_plain_loop(name):
    check(*both(name, None, imagine=True))


def test_the_recipes_that_can_imagine_are_known():
    assert {name for name, form in FORMS if tiny(name, form).imagine} == {*IMAGINED}


def test_guidance_of_scale_one_costs_and_changes_nothing_and_another_scale_does():
    blueprint, params = tiny("lingbot_va"), weights("lingbot_va")
    noise = noise_for(blueprint, dict(blueprint.features), ROWS, jax.random.key(4))
    supply = functools.partial(values, blueprint)

    def sampled(scale):
        program = functools.partial(
            walk, blueprint, supply=supply, settings=Walk(), steps=1, guidance=scale
        )
        return jax.jit(lambda params, noise: program(params, noise=noise))(params, noise)["video"]

    without, almost, five = (sampled(scale) for scale in (1.0, 1.0 + 1e-6, 5.0))
    np.testing.assert_allclose(without, almost, atol=1e-4)
    assert jnp.abs(without - five).max() > 1e-3
    assert np.isfinite(five).all()


def test_every_phase_s_answer_is_there_and_nothing_else():
    for name, form in FORMS:
        blueprint = tiny(name, form)
        for imagine in (False, True):
            phases = blueprint.phases(imagine)
            assert all(moved(phase) for phase in phases), (name, form)
        assert {*blueprint.answers} <= {s for phase in blueprint.program for s in moved(phase)}


def test_a_shift_moves_the_grid_and_not_its_ends():
    blueprint, params = tiny("fast_wam"), weights("fast_wam")
    noise = noise_for(blueprint, dict(blueprint.features), ROWS, jax.random.key(4))
    supply = functools.partial(values, blueprint)
    settings = Walk(shifts=(("action", 5.0),))

    def sampled(settings, steps):
        program = functools.partial(walk, blueprint, supply=supply, settings=settings, steps=steps)
        return jax.jit(lambda params, noise: program(params, noise=noise))(params, noise)["action"]

    np.testing.assert_array_equal(sampled(Walk(), 1), sampled(settings, 1))
    assert jnp.abs(sampled(Walk(), 2) - sampled(settings, 2)).max() > 1e-4
