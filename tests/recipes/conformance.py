"""What every recipe is held to, at its tiny size; the recipes' tests bring the published rules.

a  the visibility table equals a rule written token by token
b  what a token may not see leaves it bit-equal
c  prefill, write and denoise equal one pass over the whole sequence
h  every declared input has a gradient
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from tests.weights import drawn_weights
from wamjax.model.layout import Layout, mask_of, seats
from wamjax.model.segments import Segment, token_table
from wamjax.model.tokens import Tokens
from wamjax.recipes.blueprint import Blueprint
from wamjax.recipes.network import network, shapes, values_shape
from wamjax.recipes.registry import find_recipe

# (query's segment, key's segment, same token) -> may the query see the key; `start` is the time of
# the token itself
Rule = Callable[[Segment, Segment, bool], bool]


@functools.cache
def tiny(name: str, form: str | None = None) -> Blueprint:
    build = find_recipe(name).build
    return build("tiny") if form is None else build("tiny", form)


@functools.cache
def weights(name: str, form: str | None = None):
    return drawn_weights(shapes(tiny(name, form)))


def filled(blueprint: Blueprint, layout: Layout, seed: int = 0, batch: int = 2):
    """(tokens, sigma) with random values; a level for every noisy segment."""
    rng = np.random.default_rng(seed)
    values = []
    for segment, (count, width) in zip(
        layout.segments, values_shape(blueprint, layout), strict=True
    ):
        words = blueprint.model.port(segment.stream).embed == "words"
        size = dict(blueprint.features)[segment.stream]
        made = (
            rng.integers(0, size, (batch, count, 1))
            if words
            else rng.normal(size=(batch, count, width))
        )
        values.append(jnp.asarray(made, jnp.float32))
    real = jnp.ones((batch, sum(s.count for s in layout.segments)), bool)
    counts = {
        stream: sum(s.copy == "noisy" for s in layout.segments if s.stream == stream)
        for stream in dict.fromkeys(s.stream for s in layout.segments if s.copy == "noisy")
    }
    sigma = {
        stream: jnp.asarray(rng.uniform(size=(batch, count)), jnp.float32)
        for stream, count in counts.items()
    }
    return Tokens(tuple(values), real, jnp.zeros(batch, jnp.int32)), sigma


def check_visibility(blueprint: Blueprint, layout: Layout, rule: Rule) -> None:
    """Law a, of the table that serves every stack without one of its own."""
    memories = {*blueprint.model.memories()}
    silent = {s.stream for s in layout.segments if blueprint.model.port(s.stream).into in memories}
    mask = mask_of(blueprint.model, layout)
    _check_mask(layout, mask, lambda q, k, same: q.stream not in silent and rule(q, k, same))


def check_own_visibility(blueprint: Blueprint, stack: str, rule: Rule) -> None:
    """Law a, of a stack with its own table; the rule tells of its tokens and memories alone."""
    layout, config = blueprint.training, blueprint.model
    assert stack in dict(layout.own)
    _check_mask(layout, mask_of(config, layout, config.stack(stack)), rule)


def _check_mask(layout: Layout, mask: np.ndarray, rule: Rule) -> None:
    owner = [
        dataclasses.replace(s, start=s.start + s.stride * (i // (s.rows * s.columns)))
        for s in layout.segments
        for i in range(s.count)
    ]
    for (q, query), (k, key) in itertools.product(enumerate(owner), repeat=2):
        assert mask[q, k] == rule(query, key, q == k), (q, k, query, key)


def reachable(blueprint: Blueprint, layout: Layout) -> np.ndarray:
    """Bool [S, S]: what is read out at segment q can depend on the values of segment k.

    Stack by stack: a segment starts from itself, or from what it was behind the stack that it is
    taken from; then any number of layers.
    """
    config, starts, count = blueprint.model, layout.starts(), len(layout.segments)
    whole = range(count)
    behind: dict[str, dict[int, np.ndarray]] = {}
    last = np.eye(count, dtype=bool)
    for stack in config.stacks:
        mask = mask_of(config, layout, stack)
        if stack.by_view and not stack.meet_every:
            view = token_table(layout.segments).view
            mask = mask & (view[:, None] == view[None, :])
        sees = np.array(
            [
                [mask[starts[q] : starts[q + 1], starts[k] : starts[k + 1]].any() for k in whole]
                for q in whole
            ]
        )
        places = seats(config, stack, layout, whole)
        depends: dict[int, np.ndarray] = {}
        for expert in stack.experts:
            depends |= {i: np.eye(count, dtype=bool)[i] for i in places.own[expert.name]}
            takes = [(n, take) for n, take in enumerate(stack.takes) if take.expert == expert.name]
            for place, take in takes:
                if not take.add:
                    depends |= {i: behind[take.stack][i].copy() for i in places.taken[place]}
            mine = [i for i in depends if i in places.own[expert.name]]
            mine += [i for place, take in takes if not take.add for i in places.taken[place]]
            for q in mine:
                for place, take in takes:
                    if take.add:
                        for i in places.taken[place]:
                            depends[q] = depends[q] | behind[take.stack][i]
                for cross in expert.reads.values():
                    source = behind.get(cross.memory)
                    feeds = config.feeds(cross.memory)
                    for k in whole:
                        if sees[q, k] and source is not None and k in source:
                            depends[q] = depends[q] | source[k]
                        elif sees[q, k] and layout.segments[k].stream in feeds:
                            depends[q] = depends[q] | np.eye(count, dtype=bool)[k]
        inside = sorted(depends)
        if stack.heads:
            for _ in inside:
                depends = {
                    q: np.any([depends[k] for k in inside if sees[q, k]] + [depends[q]], axis=0)
                    for q in inside
                }
        behind[stack.name] = depends
        for q in inside:
            before = config.port(layout.segments[q].stream).behind
            if before in ("", stack.name):
                last[q] = depends[q]
    return last


@functools.cache
def denoise(blueprint: Blueprint):
    """(params, layout, tokens, sigma, wanted) -> answers, as a program: one by one takes longer."""
    model = network(blueprint)

    def run(params, layout, tokens, sigma, wanted=None):
        given = {} if wanted is None else {"wanted": wanted}
        return model.apply({"params": params}, layout, tokens, sigma, method="denoise", **given)

    return jax.jit(run, static_argnums=(1, 4))


@functools.cache
def answered(name: str, form: str | None = None):
    """(values, params) -> (answers, slopes of the sum of their squares), in the training sequence.

    One program for laws b and h: to compile it takes nearly all of their time.
    """
    blueprint = tiny(name, form)
    layout, model = blueprint.training, network(blueprint)
    tokens, sigma = filled(blueprint, layout)

    def total(values, params):
        given = dataclasses.replace(tokens, values=values)
        out = model.apply({"params": params}, layout, given, sigma, method="denoise")
        return sum(jnp.square(x).sum() for x in out.values()), out

    def run(values, params):
        slopes, out = jax.grad(total, argnums=(0, 1), has_aux=True)(values, params)
        return out, slopes

    return jax.jit(run)


def check_leaks(name: str, form: str | None = None) -> int:
    """Law b, on the training sequence; how many pairs of segments were found independent."""
    blueprint = tiny(name, form)
    layout, params, run = blueprint.training, weights(name, form), answered(name, form)
    values = filled(blueprint, layout)[0].values
    before, _ = run(values, params)
    reach = reachable(blueprint, layout)
    independent = 0
    for k in range(len(layout.segments)):
        changed = [np.asarray(value) for value in values]
        words = blueprint.model.port(layout.segments[k].stream).embed == "words"
        changed[k] = np.zeros_like(changed[k]) if words else changed[k] + 1.0
        after, _ = run(tuple(changed), params)
        for stream in before:
            places = [
                i for i, s in enumerate(layout.segments) if s.stream == stream and s.predicted
            ]
            merge = blueprint.model.port(stream).merge
            ends = np.cumsum([layout.segments[i].count // merge for i in places])[:-1]
            pairs = zip(
                places,
                np.split(np.asarray(before[stream]), ends, axis=1),
                np.split(np.asarray(after[stream]), ends, axis=1),
                strict=True,
            )
            for q, old, new in pairs:
                if reach[q, k]:
                    continue
                independent += 1
                np.testing.assert_array_equal(old, new, err_msg=f"{q} depends on {k}")
    return independent


def check_cache(name: str, form: str | None = None) -> None:
    """Law c, for every phase of the sampler program."""
    blueprint = tiny(name, form)
    model, params = network(blueprint), weights(name, form)
    last = blueprint.sampling(len(blueprint.program) - 1)
    stored = filled(blueprint, dataclasses.replace(last, segments=last.segments), seed=1)[0]

    def part(values, segments):
        real = jnp.ones((2, sum(s.count for s in segments)), bool)
        return Tokens(tuple(values), real, stored.domain)

    @jax.jit
    def both(params):
        cache, given = None, list(blueprint.given)
        values = list(stored.values[: len(given)])
        pairs = []
        for place, phase in enumerate(blueprint.program):
            layout = blueprint.sampling(place)
            if cache is None and given:
                cache = model.apply(
                    {"params": params},
                    layout.first(len(given)),
                    part(values, given),
                    {s.stream: jnp.ones(2) for s in given if s.copy == "noisy"},
                    method="prefill",
                )
            made, sigma = filled(
                blueprint, dataclasses.replace(layout, segments=phase.segments), place + 2
            )
            fast = model.apply({"params": params}, layout, made, sigma, cache, method="denoise")
            held = {s.stream: jnp.ones(2) for s in given if s.copy == "noisy"}
            slow = model.apply(
                {"params": params},
                layout,
                part([*values, *made.values], layout.segments),
                # A stream whose given part is noisy stands at level 1 and is not walked here.
                {**sigma, **held},
                method="denoise",
            )
            pairs.append((fast, {name: slow[name][:, -fast[name].shape[1] :] for name in fast}))
            if phase.writes and place + 1 < len(blueprint.program):
                wrote, _ = filled(
                    blueprint, dataclasses.replace(layout, segments=phase.writes), place + 5
                )
                whole = dataclasses.replace(layout, segments=(*given, *phase.writes))
                told = {s.stream: jnp.ones(2) for s in phase.writes if s.copy == "noisy"}
                cache = model.apply({"params": params}, whole, wrote, cache, told, method="extend")
                given += list(phase.writes)
                values += list(wrote.values)
        return pairs

    for fast, slow in both(params):
        assert fast
        for stream in fast:
            np.testing.assert_allclose(fast[stream], slow[stream], rtol=0, atol=5e-5)


def check_gradients(name: str, form: str | None = None) -> None:
    """Law h, on the training sequence."""
    blueprint = tiny(name, form)
    layout = blueprint.training
    values, params = filled(blueprint, layout)[0].values, weights(name, form)
    _, slopes = answered(name, form)(values, params)
    by_value, by_weight = jax.device_get(slopes)
    reach = reachable(blueprint, layout)
    predicted = [place for place, segment in enumerate(layout.segments) if segment.predicted]
    for place, (segment, gradient) in enumerate(zip(layout.segments, by_value, strict=True)):
        if blueprint.model.port(segment.stream).embed != "words":
            # The last clean copy of a teacher-forced sequence has nobody behind it.
            assert (np.abs(gradient).max() > 0) == reach[predicted, place].any(), segment
    dead = [
        jax.tree_util.keystr(path[:-1])
        for path, leaf in jax.tree_util.tree_leaves_with_path(by_weight)
        if not np.abs(leaf).max() > 0
    ]
    assert {*dead} == unread(blueprint)


def unread(blueprint: Blueprint) -> set[str]:
    """Last norms, which published weights have, of tokens that nobody looks at behind them."""
    config = blueprint.model
    read = {take.stack for stack in config.stacks for take in stack.takes}
    read |= {e.cross.memory for stack in config.stacks for e in stack.experts if e.cross}
    homes = {config.port(s.stream).into for s in blueprint.training.segments if s.predicted}
    return {
        f"['stack_{stack.name}']['{expert.name}_norm_out']"
        for stack in config.stacks
        for expert in stack.experts
        if expert.norm_out and stack.name not in read and expert.name not in homes
    }
