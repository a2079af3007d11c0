"""The world action model: streams in, velocities (or clean predictions) out.

    {text, feature, proprio, clean video} = context      {noisy video, noisy action} = targets
    context tokens stand first, then target video, then action; `segments` lists them in that order

`denoise(context + targets)` in one pass equals `prefill(context)` followed by
`denoise(targets | cache)` whenever the visibility table lets the context see only itself.
"""

import dataclasses
from collections.abc import Mapping

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from wamjax.core.typing import Array, Bool, Float, typed
from wamjax.model.block import KeyValue
from wamjax.model.config import WamConfig
from wamjax.model.layers import Linear, embedding, norm, sigma_features
from wamjax.model.rotary import rotary_angles
from wamjax.model.segments import Segment, Stream, token_table
from wamjax.model.transformer import Transformer, empty_cache
from wamjax.model.visibility import Visibility, visibility_mask

# Streams whose tokens have no grid: their place is learned, not turned.
PLACED = ("action", "feature", "proprio")


@flax.struct.dataclass
class Tokens:
    """One value per segment, in the order of the layout, and which tokens are real.

    Attributes:
        values: per segment [B, count, features]: what `embed` projects.
        real: bool [B, N], False for padding (missing camera, text behind the end).
    """

    values: tuple[Array, ...]
    real: Array


@dataclasses.dataclass(frozen=True)
class Layout:
    """The segments of a sequence with its visibility table; hashable, so static under jit."""

    segments: tuple[Segment, ...]
    table: Visibility

    def context(self) -> "Layout":
        """The leading segments that are given, not denoised."""
        return Layout(self.segments[: self.context_count()], self.table)

    def context_count(self) -> int:
        noisy = [segment.copy == "noisy" for segment in self.segments]
        return noisy.index(True) if True in noisy else len(noisy)


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


class Wam(nn.Module):
    """The transformer with its input projections and output heads.

    Attributes:
        config: widths and coupling.
        layout: the largest layout; it decides which projections and heads exist.
        features: stream -> width of its values.
    """

    config: WamConfig
    layout: Layout
    features: tuple[tuple[Stream, int], ...]

    def setup(self) -> None:
        c = self.config
        self.transformer = Transformer(c)
        widths = {name: c.experts()[c.expert_of(name)] for name, _ in self.features}
        axis = {name: "patch" for name, _ in self.features}
        axis |= {"action": "action", "proprio": "proprio", "text": "text"}
        self.embed = {
            name: Linear((widths[name],), (axis[name], "embed")) for name, _ in self.features
        }
        kinds = sorted({(s.kind, s.view, s.block) for s in self.layout.segments})
        self.kinds = {kind: place for place, kind in enumerate(kinds)}
        self.kind_embedding = {
            expert: embedding(self, f"kind_{expert}", (len(kinds), width), (None, "embed"))
            for expert, width in c.experts().items()
        }
        self.place = {
            name: embedding(
                self,
                f"place_{name}",
                (max(s.count for s in self.layout.segments if s.stream == name), widths[name]),
                (None, "embed"),
            )
            for name, _ in self.features
            if name in PLACED and any(s.stream == name for s in self.layout.segments)
        }
        self.level = {
            expert: (
                Linear((width,), (None, "embed"), name=f"level_{expert}_in"),
                Linear((width,), ("embed", None), name=f"level_{expert}_out"),
            )
            for expert, width in c.experts().items()
        }
        targets = {s.stream for s in self.layout.segments if s.copy == "noisy"}
        self.head = {
            name: Linear((width,), ("embed", "patch"), zero=True, name=f"head_{name}")
            for name, width in self.features
            if name in targets
        }
        self.head_modulation = {
            name: Linear(
                (2, widths[name]), ("embed", None, "mlp"), zero=True, name=f"head_{name}_modulation"
            )
            for name, _ in self.features
            if name in targets
        }

    def prefill(self, layout: Layout, tokens: Tokens) -> KeyValue:
        """Keys and values of the context; `layout` and `tokens` hold the context only."""
        batch = tokens.real.shape[0]
        none = jnp.zeros((batch, 0), bool)
        _, cache, _ = self._run(layout, 0, tokens, {}, empty_cache(self.config, batch), none)
        return cache

    def denoise(
        self,
        layout: Layout,
        tokens: Tokens,
        sigma: Mapping[str, Array],
        cache: KeyValue | None = None,
        cached_real: Bool[Array, "B M"] | None = None,
    ) -> dict[str, Array]:
        """Predictions for the noisy segments of each stream, [B, count, features].

        Args:
            layout: the whole sequence.
            tokens: all of it, or only what stands behind the context if a cache is given.
            sigma: stream -> noise level [B] of its noisy tokens.
            cache: from `prefill`; `cached_real` says which of its tokens are real.
        """
        batch = tokens.real.shape[0]
        skipped = 0
        if cache is None:
            cache, cached_real = empty_cache(self.config, batch), jnp.zeros((batch, 0), bool)
        else:
            skipped = layout.context_count()
        assert cached_real is not None
        outputs, _, levels = self._run(layout, skipped, tokens, sigma, cache, cached_real)
        predictions: dict[str, list[Array]] = {}
        for place, segment in enumerate(layout.segments[skipped:]):
            if segment.copy == "noisy":
                modulation = self.head_modulation[segment.stream](jax.nn.silu(levels[place]))
                shift, scale = modulation[:, None, 0], modulation[:, None, 1]
                h = norm(outputs[place]).astype(jnp.float32) * (1 + scale) + shift
                predictions.setdefault(segment.stream, []).append(self.head[segment.stream](h))
        return {name: jnp.concatenate(parts, axis=1) for name, parts in predictions.items()}

    def _run(
        self,
        layout: Layout,
        skipped: int,
        tokens: Tokens,
        sigma: Mapping[str, Array],
        cache: KeyValue,
        cached_real: Array,
    ) -> tuple[list[Array], KeyValue, list[Array]]:
        """Embed, run all layers, and cut the result into segments again."""
        segments = layout.segments[skipped:]
        batch, c = tokens.real.shape[0], self.config
        experts: dict[str, list[int]] = {}
        for place, segment in enumerate(segments):
            experts.setdefault(c.expert_of(segment.stream), []).append(place)
        order = [place for places in experts.values() for place in places]
        assert order == sorted(order), "segments of one expert must stand together, trunk first"

        zero = jnp.zeros(batch)
        levels = []
        for segment in segments:
            noise = sigma[segment.stream] if segment.copy == "noisy" else zero
            into, out = self.level[c.expert_of(segment.stream)]
            levels.append(out(jax.nn.silu(into(sigma_features(noise, 64)))))
        embedded = [
            self._embedded(segment, value)
            for segment, value in zip(segments, tokens.values, strict=True)
        ]
        mask = visibility_mask(layout.segments, layout.table)
        first = sum(s.count for s in layout.segments[:skipped])
        table = token_table(layout.segments)
        angles = rotary_angles(table.position, c.head_dim, c.rotary_base)[first:]
        real = jnp.concatenate([cached_real, tokens.real], axis=1)
        # A padded query sees itself, so that no row of the softmax is empty.
        own = np.eye(mask.shape[0], dtype=bool)[first:]
        visible = (jnp.asarray(mask[first:])[None] & real[:, None, :]) | own[None]

        outputs, cache = self.transformer(
            {
                name: jnp.concatenate([embedded[place] for place in places], axis=1)
                for name, places in experts.items()
            },
            cache,
            {
                name: jnp.stack([levels[place] for place in places], axis=1)
                for name, places in experts.items()
            },
            {
                name: tuple(segments[place].count for place in places)
                for name, places in experts.items()
            },
            angles,
            visible,
        )
        cut: list[Array] = []
        for name, places in experts.items():
            ends = np.cumsum([segments[place].count for place in places])[:-1]
            cut.extend(jnp.split(outputs[name], ends.tolist(), axis=1))
        return cut, cache, levels

    def _embedded(self, segment: Segment, value: Array) -> Array:
        expert = self.config.expert_of(segment.stream)
        kind = self.kinds[(segment.kind, segment.view, segment.block)]
        x = self.embed[segment.stream](value) + self.kind_embedding[expert][kind]
        if segment.stream in PLACED:
            x = x + self.place[segment.stream][: segment.count]
        return x.astype(jnp.dtype(self.config.dtype))
