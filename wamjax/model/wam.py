"""The world action model: streams in, velocities (or other predictions) out.

    {text, feature, proprio, clean video} = context      {noisy video, noisy action} = targets
    the given segments stand first; a cache holds keys and values of the first ones

`denoise(context + targets)` in one pass equals `prefill(context)` followed by
`denoise(targets | cache)` whenever the visibility table lets the context see only itself; `extend`
adds further segments to a cache, one time block after another.
"""

from collections.abc import Mapping

import flax.linen as nn
import flax.struct
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.core.typing import Array, Bool, Float, Int, typed
from wamjax.model.block import KeyValue, Noise, Sight
from wamjax.model.config import Clock, Cross, Expert, Port, Stack, WamConfig
from wamjax.model.layers import Linear, embedding
from wamjax.model.layout import Layout, Seats, angles_of, mask_of, seats
from wamjax.model.modulation import Level
from wamjax.model.ports import PortIn, PortOut, needs_level
from wamjax.model.segments import Segment, Stream
from wamjax.model.transformer import Layered, Transformer, empty_cache

AXES = {"action": "action", "proprio": "proprio", "text": "text"}


@flax.struct.dataclass
class Tokens:
    """One value per segment, in the order of the layout, and which tokens are real.

    Attributes:
        values: per segment [B, count, features]: what its port embeds.
        real: bool [B, N], False for padding (missing camera, text behind the end).
        domain: int [B], for models with weights per domain.
    """

    values: tuple[Array, ...]
    real: Array
    domain: Int[Array, " B"] | None = None


@flax.struct.dataclass
class Cache:
    """What the first segments of a sequence leave for those behind them.

    Attributes:
        keys: stack -> keys and values of its tokens, [depth, B, M, heads, head_dim].
        memory: expert -> keys and values of its memory, [depth, B, M_e, heads, head_dim].
        real: bool [B, M], all cached tokens in the order of the layout.
        groups: segments in each of the calls that filled it.
    """

    keys: dict[str, KeyValue]
    memory: dict[str, KeyValue]
    real: Bool[Array, "B M"]
    groups: tuple[int, ...] = flax.struct.field(pytree_node=False)


@typed
def tokens_from_latents(
    latents: Float[Array, "B L h w c"], patch: int
) -> Float[Array, "B N features"]:
    """Squares of `patch` x `patch` latents as tokens, in time, row, column order."""
    return rearrange(latents, "B L (h p) (w q) c -> B (L h w) (p q c)", p=patch, q=patch)


@typed
def latents_from_tokens(
    tokens: Float[Array, "B N features"], shape: tuple[int, int, int], patch: int
) -> Float[Array, "B L h w c"]:
    """The inverse of `tokens_from_latents`; `shape` is (L, rows, columns) of the token grid."""
    frames, rows, columns = shape
    return rearrange(
        tokens,
        "B (L h w) (p q c) -> B L (h p) (w q) c",
        L=frames,
        h=rows,
        w=columns,
        p=patch,
        q=patch,
    )


def _appended(held: KeyValue | None, new: KeyValue) -> KeyValue:
    if held is None:
        return new
    return KeyValue(
        jnp.concatenate([held.key, new.key], axis=2),
        jnp.concatenate([held.value, new.value], axis=2),
    )


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
        dtype = jnp.dtype(c.dtype)
        segments = self.layout.segments
        features = dict(self.features)
        self.transformers = {
            stack.name: Transformer(stack, dtype, c.remat, name=f"stack_{stack.name}")
            for stack in c.stacks
        }
        streams: dict[Stream, None] = dict.fromkeys(segment.stream for segment in segments)
        experts = {e.name: e for stack in c.stacks for e in stack.experts}
        self.ports = {
            (port.stream, port.into): PortIn(
                port,
                self._width(port),
                features[port.stream],
                AXES.get(port.stream, "patch"),
                experts[port.into].clock if port.into in experts else Clock(),
                name=f"embed_{port.stream}"
                + ("" if port is c.port(port.stream) else f"_{port.into}"),
            )
            for port in c.ports
            if port.stream in streams
        }
        marked = [s for s in segments if c.port(s.stream).kind]
        kinds = sorted({(s.kind, s.view, s.block) for s in marked})
        self.kinds = {kind: place for place, kind in enumerate(kinds)}
        homes = {c.port(s.stream).into: self._width(c.port(s.stream)) for s in marked}
        self.kind_embedding = {
            into: embedding(self, f"kind_{into}", (len(kinds), width), (None, "embed"))
            for into, width in homes.items()
        }
        self.place = {
            stream: embedding(
                self,
                f"place_{stream}",
                (
                    max(s.count for s in segments if s.stream == stream),
                    self._width(c.port(stream)),
                ),
                (None, "embed"),
            )
            for stream in streams
            if c.port(stream).place
        }
        heads = {
            name: {c.port(s.stream).head for s in segments if c.port(s.stream).into == name}
            for name in experts
        }
        self.level = {
            name: Level(expert, name=f"level_{name}")
            for name, expert in experts.items()
            if needs_level(expert, heads[name])
        }
        targets: list[Stream] = list(dict.fromkeys(s.stream for s in segments if s.predicted))
        self.head = {
            stream: PortOut(
                c.port(stream),
                features[stream],
                experts[c.port(stream).into].norm,
                name=f"head_{stream}",
            )
            for stream in targets
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

    def _width(self, port: Port) -> int:
        expert = self.config.expert(port.into)
        return port.width if expert is None else expert.width

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
        return self._run(layout, tokens, sigma or {}, None, wanted)[1]

    def extend(
        self,
        layout: Layout,
        tokens: Tokens,
        cache: Cache,
        sigma: Mapping[str, Array] | None = None,
        wanted: tuple[Stream, ...] | None = None,
    ) -> Cache:
        """The cache with the segments of `layout` that stand behind it; `tokens` holds those."""
        return self._run(layout, tokens, sigma or {}, cache, wanted)[1]

    def denoise(
        self,
        layout: Layout,
        tokens: Tokens,
        sigma: Mapping[str, Array],
        cache: Cache | None = None,
        wanted: tuple[Stream, ...] | None = None,
    ) -> dict[str, Array]:
        """Predictions for the noisy and query segments of each stream, [B, count, features].

        Args:
            layout: the whole sequence.
            tokens: all of it, or only what stands behind the cached segments.
            sigma: stream -> noise level of its noisy tokens, [B], or [B, S] for the S noisy
                segments of the stream that are in `tokens`.
            cache: from `prefill` or `extend`.
            wanted: predict these streams only; by default all.
        """
        outputs, _, levels = self._run(layout, tokens, sigma, cache, wanted)
        skipped = sum(cache.groups) if cache is not None else 0
        predictions: dict[str, Array] = {}
        for stream in self.head:
            places = [
                place
                for place, segment in enumerate(layout.segments[skipped:])
                if segment.stream == stream and segment.predicted and place in outputs
            ]
            if not places or (wanted is not None and stream not in wanted):
                continue
            counts = tuple(layout.segments[skipped + place].count for place in places)
            x = jnp.concatenate([outputs[place] for place in places], axis=1)
            level = [levels[place] for place in places if place in levels]
            stacked = jnp.stack(level, axis=1) if level else jnp.zeros((x.shape[0], 0, 0))
            predictions[stream] = self.head[stream](x, stacked, counts, tokens.domain)
        return predictions

    def _run(
        self,
        layout: Layout,
        tokens: Tokens,
        sigma: Mapping[str, Array],
        cache: Cache | None,
        wanted: tuple[Stream, ...] | None,
    ) -> tuple[dict[int, Array], Cache, dict[int, Array]]:
        """Embed, run the stacks, and cut the result into segments again.

        Returns:
            New segment -> its tokens behind its last stack, the cache, new segment -> its noise
            level's vector in its own expert.
        """
        c = self.config
        groups = cache.groups if cache is not None else ()
        skipped = sum(groups)
        new = range(skipped, len(layout.segments))
        batch = tokens.real.shape[0]
        noise = dict(zip(new, self._noise(layout.segments[skipped:], sigma, batch), strict=True))
        embedded = {
            (i, port.into): self._embedded(layout.segments[i], port, value, noise[i], tokens.domain)
            for i, value in zip(new, tokens.values, strict=True)
            for port in c.ports
            if port.stream == layout.segments[i].stream
        }
        real = tokens.real
        if cache is not None:
            real = jnp.concatenate([cache.real, real], axis=1)
        ends = np.cumsum([0, *groups, len(new)])
        spans = [range(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
        mask = mask_of(c, layout)

        keys: dict[str, KeyValue] = {}
        memory: dict[str, KeyValue] = {}
        final: dict[str, dict[int, Array]] = {}
        everywhere: dict[str, Array] = {}
        outputs: dict[int, Array] = {}
        levels: dict[int, Array] = {}
        for stack in self._needed(layout.segments[skipped:], wanted):
            seated = [seats(c, stack, layout, span) for span in spans]
            held = cache.keys.get(stack.name) if cache is not None else None
            held = empty_cache(stack, batch, jnp.dtype(c.dtype)) if held is None else held
            x, x_noise = self._seated(stack, seated[-1], embedded, final, noise, layout, levels)
            queries = seated[-1].tokens
            columns = np.concatenate([seat.tokens for seat in seated])
            given: dict[str, Array | Layered] = {}
            had: dict[str, KeyValue] = {}
            sees: dict[str, Array] = {}
            for expert in stack.experts:
                if expert.cross is None:
                    continue
                kept = cache.memory.get(expert.name) if cache is not None else None
                if kept is not None:
                    had[expert.name] = kept
                raw = self._memory(expert.cross, spans[-1], layout, embedded, final, everywhere)
                if raw is not None:
                    given[expert.name] = raw
                    # Keys of a memory are made even where the expert has no tokens yet.
                    x.setdefault(expert.name, jnp.zeros((batch, 0, expert.width), c.dtype))
                    x_noise.setdefault(expert.name, self._levels(expert, [], noise, layout, batch))
                places = np.concatenate(
                    [self._memory_places(expert.cross, layout, span) for span in spans]
                )
                own = queries[seated[-1].share[expert.name]]
                sees[expert.name] = (
                    jnp.asarray(mask[np.ix_(own, places)])[None] & real[:, None, places]
                )
            if not x:
                if cache is not None and stack.name in cache.keys:
                    keys[stack.name] = cache.keys[stack.name]
                memory |= had
                continue
            # A padded query sees itself, so that no row of the softmax is empty.
            itself = queries[:, None] == columns[None, :]
            visible = jnp.asarray(mask[np.ix_(queries, columns)])[None] & real[:, None, columns]
            sight = Sight(
                jnp.asarray(angles_of(c, stack, layout)[queries]), visible | itself[None], sees
            )
            keep = any(
                e.cross is not None and e.cross.memory == stack.name and e.cross.layer == "same"
                for later in c.stacks
                for e in later.experts
            )
            x, fresh, stored, kept_layers = self.transformers[stack.name](
                x, held, given, had, x_noise, sight, keep
            )
            keys[stack.name] = _appended(held, fresh)
            memory |= had
            memory |= {name: _appended(had.get(name), made) for name, made in stored.items()}
            final[stack.name] = self._cut(stack, seated[-1], x, layout, outputs)
            if keep:
                everywhere[stack.name] = kept_layers[stack.experts[0].name]
        return (
            {i - skipped: value for i, value in outputs.items()},
            Cache(keys, memory, real, (*groups, len(new))),
            {i - skipped: value for i, value in levels.items()},
        )

    def _needed(
        self, segments: tuple[Segment, ...], wanted: tuple[Stream, ...] | None
    ) -> list[Stack]:
        """The stacks that the wanted streams depend on, in order."""
        c = self.config
        if wanted is None:
            return list(c.stacks)
        into = {c.port(stream).into for stream in wanted}
        needed: set[str] = set()
        for stack in reversed(c.stacks):
            names = {expert.name for expert in stack.experts}
            if stack.name in needed or names & into:
                needed |= {stack.name} | {take.stack for take in stack.takes}
                needed |= {e.cross.memory for e in stack.experts if e.cross is not None}
        # A later stack that takes a wanted stream's tokens has its head's input.
        for stack in c.stacks:
            kinds = {kind.split("/")[0] for take in stack.takes for kind in take.kinds}
            if kinds & {*wanted}:
                needed.add(stack.name)
        return [stack for stack in c.stacks if stack.name in needed]

    def _noise(
        self, segments: tuple[Segment, ...], sigma: Mapping[str, Array], batch: int
    ) -> list[Array]:
        """The noise level [B] of each segment."""
        seen: dict[str, int] = {}
        out = []
        for segment in segments:
            if segment.copy != "noisy":
                out.append(jnp.zeros(batch))
                continue
            level = sigma[segment.stream]
            place = seen.get(segment.stream, 0)
            seen[segment.stream] = place + 1
            out.append(level if level.ndim == 1 else level[:, place])
        return out

    def _embedded(
        self, segment: Segment, port: Port, value: Array, sigma: Array, domain: Array | None
    ) -> Array:
        x = self.ports[(port.stream, port.into)](value, sigma, domain)
        if port is self.config.port(segment.stream):
            if port.kind:
                kind = self.kinds[(segment.kind, segment.view, segment.block)]
                x = x + self.kind_embedding[port.into][kind]
            if port.place:
                x = x + self.place[segment.stream][: segment.count]
        return x.astype(jnp.dtype(self.config.dtype))

    def _levels(
        self,
        expert: Expert,
        segments: list[int],
        noise: Mapping[int, Array],
        layout: Layout,
        batch: int,
    ) -> Noise:
        counts = tuple(layout.segments[i].count for i in segments)
        if expert.name not in self.level:
            return Noise(jnp.zeros((batch, len(segments), 0)), None, counts)
        sigma = (
            jnp.stack([noise[i] for i in segments], axis=1) if segments else jnp.zeros((batch, 0))
        )
        level, shared = self.level[expert.name](sigma)
        return Noise(level, shared, counts)

    def _seated(
        self,
        stack: Stack,
        seat: Seats,
        embedded: Mapping[tuple[int, str], Array],
        final: Mapping[str, Mapping[int, Array]],
        noise: Mapping[int, Array],
        layout: Layout,
        levels: dict[int, Array],
    ) -> tuple[dict[str, Array], dict[str, Noise]]:
        """The tokens with which the stack's experts begin, and their noise levels."""
        x: dict[str, Array] = {}
        x_noise: dict[str, Noise] = {}
        for expert in stack.experts:
            parts = [embedded[i, expert.name] for i in seat.own[expert.name]]
            segments = list(seat.own[expert.name])
            extra = None
            for place, take in enumerate(stack.takes):
                if take.expert != expert.name or not seat.taken[place]:
                    continue
                mapped = [final[take.stack][i] for i in seat.taken[place]]
                if take.mapped:
                    mapped = [self.take[(stack.name, place)](value) for value in mapped]
                if take.add:
                    mean = jnp.concatenate(mapped, axis=1).mean(axis=1, keepdims=True)
                    extra = mean if extra is None else extra + mean
                else:
                    parts += mapped
                    segments += list(seat.taken[place])
            if not parts:
                continue
            whole = jnp.concatenate([part.astype(self.config.dtype) for part in parts], axis=1)
            x[expert.name] = whole if extra is None else whole + extra.astype(whole.dtype)
            levelled = self._levels(expert, segments, noise, layout, whole.shape[0])
            x_noise[expert.name] = levelled
            if levelled.level.shape[-1]:
                levels |= {i: levelled.level[:, k] for k, i in enumerate(segments)}
        return x, x_noise

    def _memory(
        self,
        cross: Cross,
        span: range,
        layout: Layout,
        embedded: Mapping[tuple[int, str], Array],
        final: Mapping[str, Mapping[int, Array]],
        everywhere: Mapping[str, Array],
    ) -> Array | Layered | None:
        """The new tokens of a memory; None if there are none."""
        c = self.config
        source = c.stack(cross.memory)
        if source is None:
            parts = [
                embedded[i, cross.memory]
                for i in span
                if layout.segments[i].stream in c.feeds(cross.memory)
            ]
            return jnp.concatenate(parts, axis=1) if parts else None
        if cross.layer == "same":
            return Layered(everywhere[source.name]) if source.name in everywhere else None
        own = seats(c, source, layout, span).own[source.experts[0].name]
        parts = [final[source.name][i] for i in own] if source.name in final else []
        return jnp.concatenate(parts, axis=1) if parts else None

    def _memory_places(self, cross: Cross, layout: Layout, span: range) -> np.ndarray:
        """Place in the whole sequence of the memory's tokens in a group; of a stack, those of its
        first expert."""
        c = self.config
        source = c.stack(cross.memory)
        if source is not None:
            seat = seats(c, source, layout, span)
            return seat.tokens[seat.share[source.experts[0].name]]
        starts = layout.starts()
        places = [
            np.arange(starts[i], starts[i + 1])
            for i in span
            if layout.segments[i].stream in c.feeds(cross.memory)
        ]
        return np.concatenate([np.zeros(0, int), *places])

    def _cut(
        self,
        stack: Stack,
        seat: Seats,
        x: Mapping[str, Array],
        layout: Layout,
        outputs: dict[int, Array],
    ) -> dict[int, Array]:
        """Segment -> its tokens behind this stack; also noted as the segment's latest."""
        here: dict[int, Array] = {}
        for expert in stack.experts:
            if expert.name not in x:
                continue
            segments = list(seat.own[expert.name])
            for place, take in enumerate(stack.takes):
                if take.expert == expert.name and not take.add:
                    segments += list(seat.taken[place])
            ends = np.cumsum([layout.segments[i].count for i in segments])[:-1]
            here |= dict(
                zip(segments, jnp.split(x[expert.name], ends.tolist(), axis=1), strict=False)
            )
        outputs |= here
        return here
