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
from wamjax.recipes.episode import observed, opened, pace_of
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
    [("paper", TOLD), pytest.param("release", GUIDED, marks=pytest.mark.slow)],
)
def test_chunks_with_a_kept_cache_equal_chunks_that_read_the_whole_history(form, settings):
    """As a scan, so with one program for all chunks; the window forgets the first of them."""
    blueprint, params = tiny("lingbot_va", form), weights("lingbot_va", form)
    pace, know = pace_of(blueprint), functools.partial(values, blueprint)
    assert pace.slots == 3 < CHUNKS - 1
    noise = noise_for(blueprint, dict(blueprint.features), ROWS, jax.random.key(0))
    seen = [
        [know(later(blueprint, segment, chunk))[0] for segment in pace.past]
        for chunk in range(CHUNKS)
    ]

    def chunk(caches, recorded):
        given = dict(zip(pace.past, recorded, strict=True))

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


@pytest.mark.parametrize("form", ["release", "paper", "real_robot"])
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
