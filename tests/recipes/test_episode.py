"""A cache that is kept from chunk to chunk, against everything anew for each chunk."""

import dataclasses
import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.recipes.conformance import tiny, weights
from wamjax.model.cache import without
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Walk
from wamjax.recipes.episode import (
    expected,
    foreseen,
    halves,
    meanwhile,
    observed,
    opened,
    pace_of,
)
from wamjax.recipes.network import network
from wamjax.recipes.program import noise_for, tokens_of, walk

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ROWS, CHUNKS = 2, 5
TOLD, GUIDED = Walk(), Walk(guidance=(("video", 3.0),))


def values(blueprint: Blueprint, segment: Segment, version: int = 0):
    """What stands at a segment; the same whenever it is asked for."""
    name = (segment.kind, segment.block, round(segment.start, 4), version)
    rng = np.random.default_rng(zlib.crc32(repr(name).encode()))
    shape = (ROWS, segment.count, dict(blueprint.features)[segment.stream])
    return jnp.asarray(rng.normal(size=shape), jnp.float32), jnp.ones(shape[:2], bool)


def later(blueprint: Blueprint, segment: Segment, chunks: int) -> Segment:
    """Where a segment of the first chunk's sequence stands for a later chunk."""
    pace = pace_of(blueprint)
    if segment in pace.context:
        return segment
    return dataclasses.replace(
        segment,
        start=segment.start + chunks * pace.time,
        block=segment.block + chunks * pace.blocks,
    )


def whole_history(blueprint: Blueprint, chunk: int) -> Blueprint:
    """The program of a later chunk, with all that was observed before it."""
    pace = pace_of(blueprint)

    def moved(segments):
        return tuple(later(blueprint, segment, chunk) for segment in segments)

    seen = tuple(later(blueprint, s, past) for past in range(chunk + 1) for s in pace.past)
    program = tuple(
        dataclasses.replace(phase, segments=moved(phase.segments), writes=moved(phase.writes))
        for phase in blueprint.program
    )
    return dataclasses.replace(blueprint, given=(*pace.context, *seen), program=program)


@pytest.mark.parametrize(
    ("form", "settings"),
    [
        ("paper", TOLD),
        pytest.param("async", TOLD, marks=pytest.mark.slow),
        *(pytest.param(form, GUIDED, marks=pytest.mark.slow) for form in ("release", "async")),
    ],
)
def test_chunks_with_a_kept_cache_equal_chunks_that_read_the_whole_history(form, settings):
    """As a scan, so with one program for all chunks; the window forgets the first of them."""
    blueprint, params = tiny("lingbot_va", form), weights("lingbot_va", form)
    pace, know = pace_of(blueprint), functools.partial(values, blueprint)
    assert pace.slots == 3 < CHUNKS - 1
    noise = noise_for(blueprint, dict(blueprint.features), ROWS, jax.random.key(0))
    # What is supplied for a chunk: what was observed, and of the program what it does not denoise.
    program = (s for phase in blueprint.program for s in (*phase.segments, *phase.writes))
    told = (*pace.past, *dict.fromkeys(s for s in program if s.copy != "noisy"))
    seen = [
        [know(later(blueprint, segment, chunk))[0] for segment in told] for chunk in range(CHUNKS)
    ]

    def chunk(caches, recorded):
        given = dict(zip(told, recorded, strict=True))

        def supply(segment):
            return given[segment], jnp.ones(given[segment].shape[:2], bool)

        caches = observed(blueprint, params, supply, caches)
        out = walk(blueprint, params, supply, noise, settings=settings, steps=1, held=caches)
        return caches, out

    @jax.jit
    def episode():
        caches = opened(blueprint, params, know, settings)
        return jax.lax.scan(chunk, caches, jax.tree.map(lambda *x: jnp.stack(x), *seen))

    caches, kept = episode()
    assert len(caches) == 1 + (settings is GUIDED)
    for number in (1, CHUNKS - 1):
        anew = jax.jit(
            functools.partial(
                walk, whole_history(blueprint, number), supply=know, settings=settings, steps=1
            )
        )(params=params, noise=noise)
        for stream, value in anew.items():
            np.testing.assert_allclose(kept[stream][number], value, rtol=0, atol=5e-5)
    assert np.abs(kept["action"][2] - kept["action"][1]).max() > 1e-3


def test_what_was_predicted_is_replaced_without_a_trace():
    blueprint, params = tiny("lingbot_va", "paper"), weights("lingbot_va", "paper")
    pace, model = pace_of(blueprint), network(blueprint)

    def extended(cache, segments, version, origin):
        before = () if cache is None else cache.segments
        layout = dataclasses.replace(blueprint.training, segments=(*before, *segments))
        tokens = tokens_of([values(blueprint, s, version) for s in segments])
        if cache is None:
            return model.apply({"params": params}, layout, tokens, method="prefill")
        return model.apply(
            {"params": params}, layout, tokens, cache, origin=origin, method="extend"
        )

    def ahead(chunk):
        return tuple(later(blueprint, segment, chunk) for segment in pace.past)

    @jax.jit
    def ways():
        context = extended(None, pace.context, 0, "context")
        past = extended(context, ahead(0), 0, "observed")
        predicted = extended(past, ahead(1), 1, "predicted")
        seen = extended(past, ahead(1), 0, "observed")
        return predicted, seen, extended(without(predicted, "predicted"), ahead(1), 0, "observed")

    predicted, seen, replaced = ways()
    assert jax.tree.structure(replaced) == jax.tree.structure(seen)
    jax.tree.map(np.testing.assert_array_equal, replaced, seen)
    change = predicted.keys["main"].key - seen.keys["main"].key
    count = sum(segment.count for segment in pace.past)
    assert not np.asarray(change)[:, :, :count].any()
    assert np.asarray(change)[:, :, count:].any()


def test_behind_true_frames_the_next_chunk_is_the_synchronous_one():
    """And what was foreseen leaves without a trace, however long the episode."""
    blueprint, params = tiny("lingbot_va", "async"), weights("lingbot_va", "async")
    apart = tiny("lingbot_va", "paper")
    pace, know = pace_of(blueprint), functools.partial(values, blueprint)
    assert pace == pace_of(apart)
    front, behind = halves(blueprint)
    (phase,) = front.program
    noise = noise_for(apart, dict(blueprint.features), ROWS, jax.random.key(0))

    def supply(segments, recorded):
        given = dict(zip(segments, recorded, strict=True))
        return lambda segment: (given[segment], jnp.ones(given[segment].shape[:2], bool))

    def chunk(caches, recorded):
        ahead = expected(blueprint, params, supply(phase.writes, recorded), caches)
        early = walk(behind, params, know, noise, settings=TOLD, steps=1, held=ahead)
        seen = observed(apart, params, supply(pace.past, recorded), caches)
        replaced = observed(blueprint, params, supply(pace.past, recorded), ahead)
        late = walk(apart, params, know, noise, settings=TOLD, steps=1, held=seen)
        count = sum(segment.count for segment in phase.writes)
        assert ahead[0].real.shape[1] == caches[0].real.shape[1] + count
        assert jax.tree.structure(replaced) == jax.tree.structure(caches)
        return replaced, (early, late, replaced, seen)

    @jax.jit
    def episode():
        caches = opened(blueprint, params, know, TOLD)
        seen = [
            [know(later(blueprint, segment, chunk))[0] for segment in pace.past]
            for chunk in range(CHUNKS)
        ]
        return jax.lax.scan(chunk, caches, jax.tree.map(lambda *x: jnp.stack(x), *seen))[1]

    early, late, replaced, seen = episode()
    jax.tree.map(np.testing.assert_array_equal, replaced, seen)
    for stream, value in late.items():
        np.testing.assert_allclose(early[stream], value, rtol=0, atol=5e-5)
        assert np.abs(value[1:] - value[:-1]).max((1, 2, 3)).min() > 1e-4


def test_while_a_chunk_is_executed_the_next_one_is_sampled_in_one_program():
    """It is the walk of the whole program, hangs on the actions under way, and is compiled once."""
    blueprint, params = tiny("lingbot_va", "async"), weights("lingbot_va", "async")
    pace, know = pace_of(blueprint), functools.partial(values, blueprint)
    noise = noise_for(blueprint, dict(blueprint.features), ROWS, jax.random.key(0))
    options = {"settings": TOLD, "steps": 1}

    def acting(actions):
        """The actions under way in the place of those that `values` draws."""

        def supply(segment):
            value, real = know(segment)
            ahead = segment.stream == "action" and segment not in pace.past
            return (value + actions if ahead else value), real

        return supply

    @jax.jit
    def step(actions):
        held = observed(blueprint, params, know, opened(blueprint, params, know, TOLD))
        caches, answers = meanwhile(blueprint, params, acting(actions), noise, held, **options)
        again, imagined = foreseen(blueprint, params, acting(actions), noise, held, **options)
        return answers, imagined["video"], caches, again

    @jax.jit
    def whole(actions):
        return walk(blueprint, params, acting(actions), noise, **options)

    answers, imagined, caches, again = step(0.0)
    jax.tree.map(np.testing.assert_array_equal, caches, again)
    for stream, value in whole(0.0).items():
        np.testing.assert_allclose(answers[stream], value, rtol=0, atol=5e-5)
    other = step(0.5)
    assert np.abs(other[1] - imagined).max((1, 2)).min() > 1e-3
    assert np.abs(other[0]["action"] - answers["action"]).max((1, 2)).min() > 1e-4
    assert step._cache_size() == 1


def test_a_program_that_foresees_nothing_has_nothing_to_do_meanwhile():
    with pytest.raises(ValueError, match="foresees nothing"):
        halves(tiny("lingbot_va", "paper"))


@pytest.mark.parametrize("form", ["release", "paper", "async", "real_robot"])
def test_slots_reach_as_far_as_the_window(form):
    """One more is hidden from the next chunk, and the last of them is not."""
    blueprint = tiny("lingbot_va", form)
    pace, window = pace_of(blueprint), blueprint.training.window
    ahead = min(s.block for phase in blueprint.program for s in phase.segments)
    newest = [max(s.block for s in pace.past) - k * pace.blocks for k in range(pace.slots + 1)]
    assert window is not None
    assert ahead - newest[-2] <= window < ahead - newest[-1]


@pytest.mark.parametrize("name", ["fast_wam", "pi05"])
def test_a_recipe_that_writes_nothing_keeps_no_cache(name):
    with pytest.raises(ValueError, match="walk each chunk by itself"):
        pace_of(tiny(name))
