"""The world action models and hybrids: published rules, caches, leaks, gradients, sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import (
    check_cache,
    check_gradients,
    check_leaks,
    check_own_visibility,
    check_visibility,
    denoise,
    filled,
    tiny,
    weights,
)
from wamjax.codec.paint import painted, read
from wamjax.model.segments import Segment
from wamjax.recipes.network import network
from wamjax.recipes.registry import RECIPES

pytestmark = pytest.mark.usefixtures("quick_to_compile")

NAMES = [
    *("fast_wam", "motus", "uwm", "ge_act", "hidden", "cosmos_policy", "lingbot_va", "dreamzero"),
    "vla_jepa",
]
FORMS = [(name, form) for name in NAMES for form in RECIPES[name].forms or (None,)]
# Beside the usual ones, without --slow: a form with a sequence of its own.
QUICK = {("lingbot_va", "paper")}
COMPILED = [
    pytest.param(name, form, marks=[] if quick else pytest.mark.slow)
    for name, form in FORMS
    for quick in [(name, form) in QUICK or form in (None, *RECIPES[name].forms[:1])]
]


def fast_wam(form: str):
    def rule(q: Segment, k: Segment, same: bool) -> bool:
        del same
        if k.stream == "proprio":
            # In the published weights it is a word of the text.
            return q.stream == "action" or form in ("release", "robotwin")
        if k.stream == "text":
            return True
        if q.stream == "action":
            if k.stream == "action" or k.copy == "clean":
                return True
            return (form, k.copy) in {("joint", "noisy"), ("idm", "cond")}
        if k.stream == "action":
            return False
        return k.copy in ("clean", q.copy)

    return rule


def motus(q: Segment, k: Segment, same: bool) -> bool:
    del same
    return q.stream == "video" if k.stream == "text" else True


def uwm(q: Segment, k: Segment, same: bool) -> bool:
    del same
    return q.copy == "noisy" or k.copy == "clean"


def ge_act(q: Segment, k: Segment, same: bool) -> bool:
    del same
    if k.stream == "text":
        return q.stream == "video"
    if q.stream == "video":
        return k.stream == "video"
    return True


def hidden(q: Segment, k: Segment, same: bool) -> bool:
    del same
    if k.stream == "text":
        return q.stream == "video"
    if q.stream == "video":
        return k.stream == "video" and (q.copy == "noisy" or k.copy == "clean")
    return True


def everything(q: Segment, k: Segment, same: bool) -> bool:
    del q, k, same
    return True


def lingbot_va(q: Segment, k: Segment, same: bool) -> bool:
    del same
    if k.stream == "text":
        return True
    near = abs(q.block - k.block) <= 6
    match q.copy, k.copy:
        case "noisy", "cond":
            return q.stream == "video" and k.block == q.block
        case "cond", "cond":
            return k.block == q.block
        case "cond", "clean":
            return near and k.block < q.block
        case "clean", "clean":
            return near and k.block <= q.block
        case "noisy", "clean":
            return near and k.block < q.block
        case "noisy", "noisy":
            return k.block == q.block
        case _:
            return False


def dreamzero(q: Segment, k: Segment, same: bool) -> bool:
    if k.stream in ("text", "image"):
        return True
    if q.stream == "proprio":
        return same
    if (q.stream, q.copy) == ("video", "clean"):
        return (k.stream, k.copy) == ("video", "clean") and k.block <= q.block
    if (k.stream, k.copy) == ("video", "clean"):
        return k.block < q.block
    return k.block == q.block


TOLD = {"image", "text", "word"}


def vla_jepa(q: Segment, k: Segment, same: bool) -> bool:
    """In the language model, on whose line every token has its place, and in the head."""
    del same
    if q.stream in TOLD:
        return k.stream in TOLD and k.start <= q.start
    if q.stream == "feature":
        # They stand in the predictor alone.
        return k.stream == "feature" and k.block <= q.block
    return k.stream not in TOLD | {"feature"} or k.kind == "word/cond"


def vla_jepa_predictor(q: Segment, k: Segment, same: bool) -> bool:
    del same
    here = {"feature/query", "word/clean"}
    return {q.kind, k.kind} <= here and k.block <= q.block


RULES = {
    "vla_jepa": vla_jepa,
    "motus": motus,
    "uwm": uwm,
    "ge_act": ge_act,
    "hidden": hidden,
    "cosmos_policy": everything,
    "lingbot_va": lingbot_va,
    "dreamzero": dreamzero,
}


# What is predicted here depends on everything that is there.
OPEN = {
    *((name, form) for name, form in FORMS if name in ("motus", "uwm", "cosmos_policy")),
    ("fast_wam", "no_video"),
}


@pytest.mark.law("a")
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_visibility_is_the_published_rule(name, form):
    rule = fast_wam(form) if name == "fast_wam" else RULES[name]
    blueprint = tiny(name, form)
    check_visibility(blueprint, blueprint.training, rule)


@pytest.mark.law("b")
@pytest.mark.parametrize(("name", "form"), COMPILED)
def test_what_is_hidden_changes_nothing(name, form):
    independent = check_leaks(name, form)
    print(f"{name} {form}: {independent} independent pairs")
    assert (independent > 0) == ((name, form) not in OPEN)


@pytest.mark.law("c")
@pytest.mark.parametrize(("name", "form"), COMPILED)
def test_a_cache_changes_nothing(name, form):
    check_cache(name, form)


@pytest.mark.law("h")
@pytest.mark.parametrize(("name", "form"), COMPILED)
def test_every_input_and_every_weight_matters(name, form):
    check_gradients(name, form)


@pytest.mark.law("c")
@pytest.mark.parametrize(
    ("name", "form"),
    [
        *(("lingbot_va", form) for form in ("release", "paper", "world_model")),
        ("dreamzero", None),
        pytest.param("dreamzero", "release", marks=pytest.mark.slow),
    ],
)
def test_teacher_forcing_equals_going_block_by_block(name, form):
    """The last block of the training sequence is what sampling sees behind clean blocks."""
    blueprint = tiny(name, form)
    run, params = denoise(blueprint), weights(name, form)
    layout = blueprint.training
    tokens, sigma = filled(blueprint, layout)
    # Executed actions beside the video are padding in the examples that are not told them.
    told = {s.kind for phase in blueprint.program for s in phase.segments if s.copy == "cond"}
    real = [s.copy != "cond" or s.kind in told for s in layout.segments for _ in range(s.count)]
    tokens = dataclasses.replace(tokens, real=jnp.broadcast_to(jnp.array(real), tokens.real.shape))
    whole = run(params, layout, tokens, sigma)
    places = {segment: place for place, segment in enumerate(layout.segments)}
    for phase in range(len(blueprint.program)):
        alone = blueprint.sampling(phase)
        chosen = [places[segment] for segment in alone.segments]
        levels = {}
        for stream in sigma:
            noisy = [s for s in layout.segments if s.stream == stream and s.copy == "noisy"]
            wanted = [s for s in alone.segments if s.stream == stream and s.copy == "noisy"]
            if wanted:
                places_of = [noisy.index(segment) for segment in wanted]
                levels[stream] = np.asarray(sigma[stream])[:, places_of]
        part = dataclasses.replace(
            tokens,
            values=tuple(tokens.values[place] for place in chosen),
            real=np.ones((2, sum(s.count for s in alone.segments)), bool),
        )
        out = run(params, alone, part, levels)
        assert out
        for stream, value in out.items():
            np.testing.assert_allclose(
                value, whole[stream][:, -value.shape[1] :], rtol=0, atol=5e-5
            )


@pytest.mark.law("b", "hidden dit4dit")
def test_the_tap_is_all_that_actions_need():
    """Without the video loss the layers above the tap do not run."""
    blueprint = tiny("hidden")
    run, params = denoise(blueprint), weights("hidden")
    tokens, sigma = filled(blueprint, blueprint.training)
    broken = params | {"stack_high": jax.tree.map(lambda x: x * jnp.nan, params["stack_high"])}
    layout = blueprint.training
    good, same = (run(p, layout, tokens, sigma, ("action",)) for p in (params, broken))
    assert set(good) == {"action"}
    np.testing.assert_array_equal(good["action"], same["action"])


@pytest.mark.law("a", "vla_jepa")
def test_the_predictor_is_causal_frame_by_frame():
    check_own_visibility(tiny("vla_jepa"), "predictor", vla_jepa_predictor)


@pytest.mark.law("b", "vla_jepa")
def test_later_frames_reach_neither_the_language_model_nor_the_actions():
    """VLA-JEPA's claim: what is to come is a target, never a context."""
    blueprint = tiny("vla_jepa")
    model, params, layout = network(blueprint), weights("vla_jepa"), blueprint.training
    tokens, sigma = filled(blueprint, layout)
    frames = [i for i, s in enumerate(layout.segments) if s.stream == "feature"]

    @jax.jit
    def run(values):
        given = dataclasses.replace(tokens, values=values)
        cache = model.apply({"params": params}, layout, given, sigma, method="prefill")
        out = model.apply({"params": params}, layout, given, sigma, method="denoise")
        return cache.keys["language"], out

    before, out = run(tokens.values)
    values = list(tokens.values)
    values[frames[-1]] = values[frames[-1]] + 1.0
    after, other = run(tuple(values))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    np.testing.assert_array_equal(out["action"], other["action"])
    last = layout.segments[frames[-1]].count
    earlier, later = np.split(np.asarray(out["feature"] != other["feature"]), [-last], axis=1)
    assert not earlier.any()
    assert later.any()


def test_actions_need_no_predictor():
    """Without the world loss it does not run; a video without actions needs no head."""
    blueprint = tiny("vla_jepa")
    run, params, layout = denoise(blueprint), weights("vla_jepa"), blueprint.training
    tokens, sigma = filled(blueprint, layout)
    good = run(params, layout, tokens, sigma)
    for stream, stack in (("action", "predictor"), ("feature", "head")):
        name = f"stack_{stack}"
        broken = params | {name: jax.tree.map(lambda x: x * jnp.nan, params[name])}
        same = run(broken, layout, tokens, sigma, (stream,))
        assert set(same) == {stream}
        np.testing.assert_allclose(good[stream], same[stream], rtol=0, atol=1e-6)


def test_painting_numbers_into_a_frame_and_reading_them_is_the_identity():
    values = jax.random.normal(jax.random.key(0), (3, 16 * 7))
    frame = painted(values, (28, 28, 16))
    assert frame.shape == (3, 28, 28, 16)
    np.testing.assert_allclose(read(frame, 16 * 7), values, atol=1e-5)
