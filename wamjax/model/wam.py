"""The world action model: streams in, velocities (or other predictions) out.

    {text, feature, proprio, clean video} = context      {noisy video, noisy action} = targets
    the given segments stand first; a cache holds keys and values of the first ones

`denoise(context + targets)` in one pass equals `prefill(context)` followed by
`denoise(targets | cache)` whenever the visibility table lets the context see only itself; `extend`
adds further segments to a cache, one time block after another.
"""

import functools
import itertools
from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array
from wamjax.model.cache import Cache, Group, Origin, appended, blank_cache
from wamjax.model.config import Stack, WamConfig
from wamjax.model.entrance import Entrance, streams_of, width_of
from wamjax.model.layers import Linear
from wamjax.model.layout import Layout
from wamjax.model.modulation import Level, Noise, beside
from wamjax.model.ports import PortOut, needs_level, shift_and_scale
from wamjax.model.route import Route, Seated, led, levels_of, needed, shared_by
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens
from wamjax.model.transformer import Layered, Transformer, empty_cache
from wamjax.parallel.activations import constrain


class Wam(nn.Module):
    """The transformer with the ports of its streams.

    Attributes:
        config: stacks, experts and ports.
        layout: the largest layout; it decides which projections, tables and heads exist.
        features: stream -> width of its values.
    """

    config: WamConfig
    layout: Layout
    features: tuple[tuple[Stream, int], ...]

    def setup(self) -> None:
        c = self.config
        segments = self.layout.segments
        features = dict(self.features)
        self.transformers = {
            stack.name: Transformer(
                stack, c.ways, c.remat, c.scan_layers, name=f"stack_{stack.name}"
            )
            for stack in c.stacks
        }
        experts = {e.name: e for stack in c.stacks for e in stack.experts}
        streams = streams_of(self.layout)
        self.entrance = Entrance.made(self, c, self.layout, features)
        heads = {
            name: {c.port(s.stream).head for s in segments if c.port(s.stream).into == name}
            for name in experts
        }
        clocks = {n: expert for n, expert in experts.items() if needs_level(expert, heads[n])}
        clocks |= {
            c.clock(port.into, port.stream): experts[port.into]
            for port in c.ports
            if port.own_level and port.stream in streams
        }
        self.level = {name: Level(expert, name=f"level_{name}") for name, expert in clocks.items()}
        targets: list[Stream] = list(dict.fromkeys(s.stream for s in segments if s.predicted))
        self.head = {
            stream: [
                PortOut(
                    c.port(stream),
                    features[stream],
                    experts[c.port(stream).into],
                    name=f"head_{stream}" + (f"_{place}" if place else ""),
                )
                for place in range(c.port(stream).heads)
            ]
            for stream in targets
        }
        self.table = {
            port.shared_table: shift_and_scale(
                self, f"table_{port.shared_table}", width_of(c, port)
            )
            for port in {c.port(stream).shared_table: c.port(stream) for stream in targets}.values()
            if port.shared_table
        }
        self.take = {
            (stack.name, place): Linear(
                (experts[take.expert].width,),
                ("embed", None),
                name=f"take_{stack.name}_{take.stack}_{place}",
            )
            for stack in c.stacks
            for place, take in enumerate(stack.takes)
            if take.mapped
        }

    def prefill(
        self,
        layout: Layout,
        tokens: Tokens,
        sigma: Mapping[str, Array] | None = None,
        wanted: tuple[Stream, ...] | None = None,
    ) -> Cache:
        """The cache of a context; `layout` and `tokens` hold the context only.

        Args:
            sigma: noise levels, where something noisy is part of the context.
            wanted: streams that will be denoised; stacks that serve none of them are left out.
        """
        start = blank_cache(tokens.real.shape[0])
        return self._run(layout, tokens, sigma or {}, start, wanted)[1]

    def extend(
        self,
        layout: Layout,
        tokens: Tokens,
        cache: Cache,
        sigma: Mapping[str, Array] | None = None,
        wanted: tuple[Stream, ...] | None = None,
        origin: Origin = "predicted",
    ) -> Cache:
        """The cache with the segments of `layout` that stand behind it; `tokens` holds those.

        Args:
            origin: what the new group of the cache stands for, see model.cache.
        """
        return self._run(layout, tokens, sigma or {}, cache, wanted, origin)[1]

    def denoise(
        self,
        layout: Layout,
        tokens: Tokens,
        sigma: Mapping[str, Array],
        cache: Cache | None = None,
        wanted: tuple[Stream, ...] | None = None,
        step: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Predictions for the noisy and query segments of each stream, [B, count, features].

        Of a port with several heads, those of all heads side by side.

        Args:
            layout: the whole sequence.
            tokens: all of it, or only what stands behind the cached segments.
            sigma: stream -> noise level of its noisy tokens, [B], or [B, S] for the S noisy
                segments of the stream that are in `tokens`, or [B, N] for the N tokens of those;
                also "video/clean" -> those of what is given, where it is not clean after all.
            cache: from `prefill` or `extend`.
            wanted: predict these streams only; by default all.
            step: stream -> length of the jump that its prediction is for, shaped as its level or
                [B]; 0 by default. Only experts with a `jump` clock are told.
        """
        cache = blank_cache(tokens.real.shape[0]) if cache is None else cache
        route, _, levels = self._run(layout, tokens, sigma, cache, wanted, step=step)
        predictions: dict[str, Array] = {}
        for port in self.config.ports:
            if (stream := port.stream) not in self.head:
                continue
            found = {
                place: route.read(place)
                for place in route.spans[-1]
                if layout.segments[place].stream == stream and layout.segments[place].predicted
            }
            found = {place: read for place, read in found.items() if read is not None}
            if not found or (wanted is not None and stream not in wanted):
                continue
            x = jnp.concatenate(list(found.values()), axis=1)
            own = [levels[place] for place in found if place in levels]
            noise = beside(own or [Noise(jnp.zeros((x.shape[0], 0, 0)), None, ())])
            table = self.table.get(port.shared_table)
            read = [head(x, noise, tokens.domain, table) for head in self.head[stream]]
            predictions[stream] = jnp.concatenate(read, axis=-1) if len(read) > 1 else read[0]
        return predictions

    def _run(
        self,
        layout: Layout,
        tokens: Tokens,
        sigma: Mapping[str, Array],
        cache: Cache,
        wanted: tuple[Stream, ...] | None,
        origin: Origin = "context",
        step: Mapping[str, Array] | None = None,
    ) -> tuple[Route, Cache, dict[int, Noise]]:
        """Embed the new segments and run the stacks.

        Returns:
            The route with its outputs, the grown cache, and new segment -> its noise levels in its
            last expert.
        """
        c, batch = self.config, tokens.real.shape[0]
        new = range(len(cache.segments), len(layout.segments))
        assert layout.segments[: new.start] == cache.segments
        entering = layout.segments[new.start :]
        found = led(c, entering, levels_of(entering, sigma, batch), sigma)
        noise = dict(zip(new, found, strict=True))
        lengths = {name: jnp.zeros(batch) for name in sigma} | dict(step or {})
        jumps = led(c, entering, levels_of(entering, lengths, batch), sigma)
        marked = {
            i: (level, jnp.broadcast_to(jump, level.shape))
            for i, level, jump in zip(new, found, jumps, strict=True)
        }
        enter = self.entrance.tokens
        embedded = {
            (i, into): x
            for i, value in zip(new, tokens.values, strict=True)
            for into, x in enter(layout.segments[i], value, noise[i], tokens.domain).items()
        }
        embedded |= self.entrance.steered(layout, new, embedded, tokens.real)
        real = jnp.concatenate([cache.real, tokens.real], axis=1)
        route = Route(c, layout, cache, real, embedded)
        keys, memory = dict(cache.keys), dict(cache.memory)
        stands: dict[str, tuple[Segment, ...]] = {}
        fills: dict[str, int] = {}
        levels: dict[int, Noise] = {}
        for stack in needed(c, wanted):
            places = route.seats(stack)
            seated: dict[str, Seated] = {}
            given: dict[str, Array | Layered] = {}
            for expert in stack.experts:
                take = functools.partial(self._taken, stack)
                seat = route.seat(stack, expert, places[-1], take)
                read = {name: route.memory(cross) for name, cross in expert.reads.items()}
                fresh = {name: memory for name, memory in read.items() if memory is not None}
                if fresh:
                    given |= fresh
                    # Keys of a memory are made even where the expert has no tokens yet.
                    seat = seat or Seated(jnp.zeros((batch, 0, expert.width), c.dtype), ())
                if seat is not None:
                    seated[expert.name] = seat
            if not seated:
                continue
            marks = {
                name: self._levels(name, seat.segments, marked, layout, batch)
                for name, seat in seated.items()
            }
            keep = route.is_read_by_layer(stack)
            held = keys.get(stack.name, empty_cache(stack, batch, jnp.dtype(c.dtype)))
            reads = [name for expert in stack.experts for name in expert.reads]
            had = {name: memory[name] for name in reads if name in memory}
            x, own, stored, layers = self.transformers[stack.name](
                {name: seat.tokens for name, seat in seated.items()},
                held,
                given,
                had,
                marks,
                route.sight(stack, places),
                keep,
            )
            keys[stack.name] = appended(held, own)
            memory |= {name: appended(had.get(name), made) for name, made in stored.items()}
            if stack.heads:
                stands[stack.name] = tuple(layout.segments[i] for i in places[-1].order)
            fills |= {name: made.key.shape[2] for name, made in stored.items()}
            route.cut(stack, seated, x)
            if keep:
                route.everywhere[stack.name] = layers[stack.experts[0].name]
            for name, seat in seated.items():
                if seat.segments and marks[name].level.shape[-1]:
                    parts = marks[name].cut([noise[i].shape[1] for i in seat.segments])
                    levels |= dict(zip(seat.segments, parts, strict=True))
        group = Group(
            layout.segments[new.start :], origin, tuple(stands.items()), tuple(fills.items())
        )
        return route, Cache(keys, memory, real, (*cache.groups, group)), levels

    def _taken(self, stack: Stack, place: int, tokens: Array) -> Array:
        """Tokens of an earlier stack in this one's width."""
        if not stack.takes[place].mapped:
            return tokens
        return self.take[(stack.name, place)](tokens)

    def _levels(
        self,
        expert: str,
        segments: tuple[int, ...],
        marked: Mapping[int, tuple[Array, Array]],
        layout: Layout,
        batch: int,
    ) -> Noise:
        def clock(place: int) -> str:
            return self.config.clock(expert, layout.segments[place].stream)

        runs = [(name, tuple(run)) for name, run in itertools.groupby(segments, clock)]
        runs = runs or [(expert, ())]
        return beside([self._marks(name, run, marked, layout, batch) for name, run in runs])

    def _marks(
        self,
        expert: str,
        segments: tuple[int, ...],
        marked: Mapping[int, tuple[Array, Array]],
        layout: Layout,
        batch: int,
    ) -> Noise:
        each = [shared_by(marked[i][0], layout.segments[i].count) for i in segments]
        counts = tuple(itertools.chain(*each))
        if expert not in self.level:
            return Noise(jnp.zeros((batch, len(counts), 0)), None, counts)
        none = jnp.zeros((batch, 0))
        sigma, step = (
            jnp.concatenate([none, *(marked[i][place] for i in segments)], axis=1)
            for place in range(2)
        )
        views = [layout.segments[i].view for i in segments]
        view = np.repeat(np.array(views, int), [len(own) for own in each])
        level, shared = self.level[expert](sigma, step, view)
        level = constrain(level, "batch", None, None)
        if shared is not None:
            shared = constrain(shared, "batch", None, None, None)
        return Noise(level, shared, counts)
