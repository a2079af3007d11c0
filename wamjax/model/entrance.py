"""Where streams enter: the values of a segment become tokens of every expert and memory it feeds.

    value -> (through: another stream's width) -> port -> + kind + place -> (film) -> tokens
                                                                   (learned or fixed)

The modules and tables stand in the model itself, which makes this in its setup; their names are
embed_STREAM, embed_STREAM_EXPERT, embed_STREAM_as_OTHER, film_STREAM, kind_EXPERT, place_STREAM.
"""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array
from wamjax.model.config import Clock, Port, WamConfig
from wamjax.model.layers import embedding
from wamjax.model.layout import Layout
from wamjax.model.ports import Edge, Film, PortIn
from wamjax.model.segments import Segment, Stream, token_table
from wamjax.parallel.activations import constrain

AXES = {"action": "action", "proprio": "proprio", "text": "text"}
Kind = tuple[str, int, int]
"""Of a segment: kind, view, block."""


def width_of(config: WamConfig, port: Port) -> int:
    """The width of the tokens that a port makes."""
    expert = config.expert(port.into)
    return port.width if expert is None else expert.width


def streams_of(layout: Layout) -> dict[Stream, None]:
    """The streams of a layout, in the order in which they come."""
    return dict.fromkeys(segment.stream for segment in layout.segments)


def fixed_places(segment: Segment, width: int) -> np.ndarray:
    """Sines, then cosines, of the time of each token: float32 [count, width]."""
    time = token_table((segment,)).position[:, :1].astype(np.float64)
    angle = time * 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Entrance:
    """The ports of a model and what is added behind them.

    Attributes:
        config: of the model.
        through: (stream, other) -> the map into the other's width.
        ports: (stream, where it enters) -> its port.
        film: (stream, where it enters) -> what scales and shifts it by another stream.
        kinds: kind, view and block of a segment -> its row of the tables of kinds.
        kind: where it enters -> table of kinds, [kinds, width].
        place: stream -> table of places, [tokens, width].
    """

    config: WamConfig
    through: Mapping[tuple[Stream, Stream], Edge]
    ports: Mapping[tuple[Stream, str], PortIn]
    film: Mapping[tuple[Stream, str], Film]
    kinds: Mapping[Kind, int]
    kind: Mapping[str, Array]
    place: Mapping[Stream, Array]

    @classmethod
    def made(
        cls, model: nn.Module, config: WamConfig, layout: Layout, features: Mapping
    ) -> "Entrance":
        """Called in the setup of `model`, whose modules and weights they become.

        Args:
            features: stream -> width of its values.
        """
        c, segments, streams = config, layout.segments, streams_of(layout)
        experts = {e.name: e for stack in c.stacks for e in stack.experts}
        through: dict[tuple[Stream, Stream], Port] = {
            (port.stream, port.through): port
            for port in c.ports
            if port.through and port.stream in streams
        }
        entered = {*streams, *(by for _, by in through)}
        as_they_are = {pair for pair, port in through.items() if port.embed == "as_is"}
        for stream, by in as_they_are:
            if features[stream] != features[by]:
                raise ValueError(
                    f"{stream} enters as it is through {by}, which is {features[by]} wide, "
                    f"not {features[stream]}"
                )
        marked = [s for s in segments if c.port(s.stream).kind]
        kinds = sorted({(s.kind, s.view, s.block) for s in marked})
        homes = {c.port(s.stream).into: width_of(c, c.port(s.stream)) for s in marked}
        counts: dict[Stream, int] = {
            stream: max(s.count for s in segments if s.stream == stream)
            for stream in streams
            if c.port(stream).place
        }
        return cls(
            c,
            through={
                (stream, by): Edge(
                    features[by],
                    (AXES.get(stream, "patch"), AXES.get(by, "patch")),
                    port.domains,
                    bias=port.bias,
                    name=f"embed_{stream}_as_{by}",
                )
                for (stream, by), port in through.items()
                if (stream, by) not in as_they_are
            },
            ports={
                (port.stream, port.into): PortIn(
                    port,
                    width_of(c, port),
                    features[port.stream],
                    AXES.get(port.stream, "patch"),
                    experts[port.into].clock if port.into in experts else Clock(),
                    name=f"embed_{port.stream}"
                    + ("" if port is c.port(port.stream) else f"_{port.into}"),
                )
                for port in c.ports
                if port.stream in entered and not port.through
            },
            film={
                (port.stream, port.into): Film(name=f"film_{port.stream}")
                for port in c.ports
                if port.film and port.stream in streams
            },
            kinds={kind: place for place, kind in enumerate(kinds)},
            kind={
                into: embedding(model, f"kind_{into}", (len(kinds), width), (None, "embed"))
                for into, width in homes.items()
            },
            place={
                stream: embedding(
                    model,
                    f"place_{stream}",
                    (count, width_of(c, c.port(stream))),
                    (None, "embed"),
                )
                for stream, count in counts.items()
            },
        )

    def tokens(
        self, segment: Segment, value: Array, sigma: Array, domain: Array | None
    ) -> dict[str, Array]:
        """Tokens of a segment, by where they enter."""
        ports = [port for port in self.config.ports if port.stream == segment.stream]
        values: dict[str, Array] = {"": value}
        others: dict[Stream, None] = dict.fromkeys(port.through for port in ports if port.through)
        for by in others:
            mapped = self.through.get((segment.stream, by))
            values[by] = value if mapped is None else mapped(value, domain)
        return {
            port.into: self._embedded(segment, port, values[port.through], sigma, domain)
            for port in ports
        }

    def _embedded(
        self, segment: Segment, port: Port, value: Array, sigma: Array, domain: Array | None
    ) -> Array:
        x = self.ports[(port.through or port.stream, port.into)](value, sigma, domain)
        if port is self.config.port(segment.stream):
            if port.kind:
                kind = self.kinds[(segment.kind, segment.view, segment.block)]
                x = x + self.kind[port.into][kind]
            if port.place:
                x = x + self.place[segment.stream][: segment.count]
            if port.fixed_place:
                x = x + fixed_places(segment, x.shape[-1])
        return constrain(x.astype(jnp.dtype(self.config.dtype)), "batch", None, None)

    def steered(
        self,
        layout: Layout,
        new: range,
        embedded: Mapping[tuple[int, str], Array],
        real: Array,
    ) -> dict[tuple[int, str], Array]:
        """The tokens of the ports that another stream scales and shifts.

        Args:
            layout: the whole sequence.
            new: the segments of it that enter now.
            embedded: (segment, where it enters) -> its tokens.
            real: bool [B, N], which tokens of the new segments are real.
        """
        ends = np.cumsum([layout.segments[i].count for i in new])[:-1].tolist()
        there = dict(zip(new, jnp.split(real, ends, axis=1), strict=True))
        steered: dict[tuple[int, str], Array] = {}
        for (i, into), x in embedded.items():
            stream = layout.segments[i].stream
            port = next(p for p in self.config.ports if (p.stream, p.into) == (stream, into))
            by = port.film
            if by == "":
                continue
            home = self.config.port(by).into
            told = [j for j in new if layout.segments[j].stream == by]
            assert told, f"{stream} is scaled and shifted by {by}, which must enter with it"
            words = jnp.concatenate([embedded[(j, home)] for j in told], axis=1)
            heard = jnp.concatenate([there[j] for j in told], axis=1)
            steered[(i, into)] = self.film[(stream, into)](x, words, heard)
        return steered
