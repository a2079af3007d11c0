"""The walk of a sampler program against a plain loop over whole sequences, without any cache."""

import dataclasses
import functools
import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import tiny, weights
from wamjax.model.tokens import Tokens
from wamjax.recipes.blueprint import Blueprint, Walk
from wamjax.recipes.forms import predicted
from wamjax.recipes.network import network
from wamjax.recipes.program import finished, moved, noise_for, told_by, walk
from wamjax.recipes.registry import RECIPES
from wamjax.train.flops import count_flops

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ROWS = 2
PLAIN = Walk()
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

    left, stood = dict(noise), {}
    standing = {s: 1.0 for s in given if s.copy == "noisy"}

    def told(layout, phase, now):
        """The levels of all segments, by the names they go by, but of those that others lead."""
        sigma = {}
        for segment in layout.segments:
            walks = segment in phase.segments and segment.copy == "noisy"
            if not walks and model.config.port(segment.stream).level_of:
                continue
            level = now[segment.stream] if walks else standing.get(segment, 0.0)
            sigma.setdefault(told_by(segment), []).append(jnp.full(ROWS, level))
        return {name: jnp.stack(levels, axis=1) for name, levels in sigma.items()}

    for place, phase in enumerate(blueprint.phases(imagine)):
        for name in noise:
            mine = [s for s in phase.segments if (s.stream, s.copy) == (name, "noisy")]
            if mine and mine != stood.get(name):
                # Other places of the stream begin with what is left of its noise.
                left[name] = left[name][:, sum(s.count for s in stood.get(name, [])) :]
                stood[name] = mine
                state[name] = left[name][:, : sum(s.count for s in mine)]
        layout = blueprint.sampling(place, imagine)
        levels = {n: np.linspace(a, b, steps + 1, dtype=np.float32) for n, a, b in phase.levels}
        said = {}
        for step in range(steps if phase.levels else phase.steps):
            moving = {**shares(given), **shares(phase.segments), **written}
            own = {segment: wide(blueprint, segment, x) for segment, x in moving.items()}
            own |= said
            parts = tuple(own[s] if s in own else values(blueprint, s)[0] for s in layout.segments)
            out = run(layout, parts, told(layout, phase, {n: g[step] for n, g in levels.items()}))
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
                if name in finished(phase):
                    answers[name] = state[name]
        for name in state:
            source = [s for s in phase.segments if (s.stream, s.copy) == (name, "noisy")]
            kept = [s for s in phase.writes if s.stream == name]
            written |= dict(zip(kept, (shares(phase.segments)[s] for s in source), strict=False))
            if source:
                standing |= dict.fromkeys(kept, levels[name][-1])
    return answers


def wide(blueprint: Blueprint, segment, x):
    """Random numbers beside what is denoised, where the model reads more than that."""
    more = dict(blueprint.features)[segment.stream] - x.shape[-1]
    rng = np.random.default_rng(zlib.crc32(repr(segment).encode()))
    beside = rng.normal(size=(*x.shape[:2], more)).astype(np.float32)
    return jnp.concatenate([x, beside], axis=-1)


def drawn(blueprint: Blueprint, imagine: bool = False):
    """Noise as wide as what the heads predict."""
    widths = {s: blueprint.model.port(s).out or w for s, w in blueprint.features}
    return noise_for(blueprint, widths, ROWS, jax.random.key(4), imagine)


def program(blueprint: Blueprint, settings: Walk = PLAIN, **options):
    """The walk, jitted: (params, noise) -> answers."""
    supply, beside = functools.partial(values, blueprint), functools.partial(wide, blueprint)

    def run(params, noise):
        return walk(blueprint, params, supply, noise, settings=settings, wide=beside, **options)

    return jax.jit(run)


def both(name, form, *, imagine=False, steps=2):
    blueprint, params = tiny(name, form), weights(name, form)
    noise = drawn(blueprint, imagine)
    walked = program(blueprint, imagine=imagine, steps=steps)(params, noise)
    return walked, plain(blueprint, params, noise, steps, imagine=imagine)


def check(walked, wanted):
    assert walked.keys() == wanted.keys()
    for name, value in wanted.items():
        scale = float(jnp.abs(value).max())
        np.testing.assert_allclose(walked[name], value, rtol=0, atol=2e-5 * max(1.0, scale))


@pytest.mark.law("c")
@pytest.mark.parametrize(("name", "form"), EACH)
def test_the_walk_equals_a_plain_loop_without_a_cache(name, form):
    check(*both(name, form))


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGINED)
def test_what_is_imagined_equals_a_plain_loop(name):
    check(*both(name, None, imagine=True))


def test_the_recipes_that_can_imagine_are_known():
    able = {(name, form) for name, form in FORMS if tiny(name, form).imagine}
    apart = {("dreamzero", "flash"), ("lingbot_va", "deployed")}
    assert able - apart == {(name, form) for name, form in able if name in IMAGINED}
    assert apart <= able
    assert {name for name, _ in able - apart} == {*IMAGINED}


@pytest.mark.parametrize(("name", "form"), [("dreamzero", "flash"), ("lingbot_va", "deployed")])
def test_a_video_that_stops_halfway_is_no_answer(name, form):
    """Frames that are shown are walked to the end apart."""
    blueprint = tiny(name, form)
    assert "video" in {stream for phase in blueprint.program for stream in moved(phase)}
    assert not any("video" in finished(phase) for phase in blueprint.program)
    assert any("video" in finished(phase) for phase in blueprint.phases(imagine=True))
    assert "frames" in predicted(blueprint)


def test_one_step_is_one_evaluation_at_noise():
    walked, wanted = both("fast_wam", None, steps=1)
    check(walked, wanted)


def test_a_jitted_walk_is_compiled_once():
    blueprint, params = tiny("fast_wam"), weights("fast_wam")
    run = program(blueprint, blueprint.walk)
    first, again = (run(params, drawn(blueprint)) for _ in range(2))
    np.testing.assert_array_equal(first["action"], again["action"])
    assert run._cache_size() == 1


def guidance_of(scale):
    return Walk(guidance=(("video", scale),))


def test_guidance_of_scale_one_costs_and_changes_nothing():
    blueprint, params = tiny("lingbot_va"), weights("lingbot_va")
    noise = drawn(blueprint)
    traced = [
        program(blueprint, settings, steps=1).trace(params, noise)
        for settings in (Walk(), guidance_of(1.0), guidance_of(5.0))
    ]
    without, one, five = (count_flops(program.jaxpr) for program in traced)
    assert without == one < five


def test_guidance_is_the_rule_of_two_velocities():
    """v = without + scale (with - without); without is the walk that is told nothing."""
    blueprint, params = tiny("dreamzero"), weights("dreamzero")
    noise = drawn(blueprint)

    def told_nothing(segment):
        value, real = values(blueprint, segment)
        if segment.stream == "text":
            return jnp.zeros_like(value), jnp.zeros_like(real).at[:, 0].set(True)
        return value, real

    def run(supply, settings):
        beside = functools.partial(wide, blueprint)
        return walk(blueprint, params, supply, noise, settings=settings, steps=1, wide=beside)

    known = functools.partial(values, blueprint)
    # One step of Euler from 1 to 0: the velocity is the noise less the answer.
    with_text, without, guided = (
        {stream: noise[stream] - x for stream, x in out.items()}
        for out in jax.jit(
            lambda: (run(known, Walk()), run(told_nothing, Walk()), run(known, guidance_of(3.0)))
        )()
    )
    wanted = without["video"] + 3.0 * (with_text["video"] - without["video"])
    np.testing.assert_allclose(guided["video"], wanted, rtol=0, atol=5e-5)
    np.testing.assert_allclose(guided["action"], with_text["action"], rtol=0, atol=5e-5)
    assert jnp.abs(with_text["video"] - without["video"]).max() > 1e-3


@pytest.mark.parametrize("solver", ["unipc", "adams_bashforth", "ddpm"])
def test_a_stream_that_is_held_disturbs_no_solver(solver):
    blueprint, params = tiny("uwm"), weights("uwm")
    (phase,) = blueprint.program
    assert ("video", 1.0, 1.0) in phase.levels
    run = program(blueprint, Walk(solver=solver), steps=3, key=jax.random.key(0))
    out = run(params, drawn(blueprint))
    assert {*out} == {"action"}
    assert np.isfinite(out["action"]).all()


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in RECIPES])
def test_every_recipe_walks_by_its_own_settings(name):
    blueprint, params = tiny(name), weights(name)
    out = program(blueprint, blueprint.walk, key=jax.random.key(0))(params, drawn(blueprint))
    assert {*blueprint.answers} <= {*out}
    for value in out.values():
        assert np.isfinite(value).all()


def test_a_clean_prediction_mixed_with_the_first_noise_by_hand():
    """X-VLA: x' = (1 - sigma') clean + sigma' noise."""
    blueprint, params = tiny("x_vla"), weights("x_vla")
    noise = drawn(blueprint)
    layout, steps = blueprint.sampling(0), 2
    levels = np.linspace(1.0, 0.0, steps + 1, dtype=np.float32)

    @jax.jit
    def clean(x, level):
        parts = tuple(
            wide(blueprint, s, x) if s.copy == "noisy" else values(blueprint, s)[0]
            for s in layout.segments
        )
        real = jnp.ones((ROWS, sum(s.count for s in layout.segments)), bool)
        tokens = Tokens(parts, real, jnp.zeros(ROWS, jnp.int32))
        sigma = {"action": jnp.full(ROWS, level)}
        return network(blueprint).apply(
            {"params": params}, layout, tokens, sigma, method="denoise"
        )["action"]

    x = noise["action"]
    for now, after in itertools.pairwise(levels):
        x = (1 - after) * clean(x, now) + after * noise["action"]
    walked = program(blueprint, blueprint.walk, steps=steps)(params, noise)
    check(walked, {"action": x})


def test_an_answer_that_is_reused_is_a_longer_step():
    """Of four of Euler's steps on an even grid, two evaluated ones are two steps twice as long."""
    blueprint, params = tiny("fast_wam"), weights("fast_wam")
    (phase,) = blueprint.program
    reused = dataclasses.replace(
        blueprint, program=(dataclasses.replace(phase, steps=4, evaluated=(0, 2)),)
    )
    noise = drawn(blueprint)
    walked = program(reused)(params, noise)
    check(walked, program(blueprint, steps=2)(params, noise))
    assert reused.passes == 1 + 2


def test_every_phase_s_answer_is_there_and_nothing_else():
    for name, form in FORMS:
        blueprint = tiny(name, form)
        for imagine in (False, True):
            phases = blueprint.phases(imagine)
            assert all(moved(phase) for phase in phases), (name, form)
        assert {*blueprint.answers} <= {s for phase in blueprint.program for s in finished(phase)}


def test_a_shift_moves_the_grid_and_not_its_ends():
    blueprint, params = tiny("fast_wam"), weights("fast_wam")
    settings = Walk(shifts=(("action", 5.0),))

    def sampled(settings, steps):
        return program(blueprint, settings, steps=steps)(params, drawn(blueprint))["action"]

    np.testing.assert_array_equal(sampled(Walk(), 1), sampled(settings, 1))
    assert jnp.abs(sampled(Walk(), 2) - sampled(settings, 2)).max() > 1e-4
