"""The parts of a system, assembled by a config: text encoder, codec, context encoder, transformer.

Frames, words and numbers go in and become tokens; the velocity function of the flow comes out. What
is denoised and who sees whom comes from the objective's row in recipes.objectives; nothing here
knows a system by name. Weights are one tree {"text", "language", "codec", "context", "model"}.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, assert_never

import flax.linen as nn
import jax.numpy as jnp

from wamjax.codec.bert import MINILM_L6
from wamjax.codec.intent import Intent
from wamjax.codec.keypoints import KeypointEncoder
from wamjax.codec.sentence import TRUNK, SentenceEncoder
from wamjax.codec.text import TextEncoder
from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Bool, Float, Key, Params, UInt8
from wamjax.flow.path import Prediction, velocity_from_prediction
from wamjax.flow.sampler import Velocity
from wamjax.model.cache import Cache
from wamjax.model.config import WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.model.tokens import Tokens, latents_from_tokens, tokens_from_latents
from wamjax.model.wam import Wam
from wamjax.pretrained.minilm import installed_minilm
from wamjax.recipes.additions import read_out, told_jumps
from wamjax.recipes.codecs import AnyCodec, codec_of
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.objectives import PLANS, WHOLE, Plan


def pixels(frames: UInt8[Array, "*b"]) -> Float[Array, "*b"]:
    """uint8 to [-1, 1]."""
    return frames.astype(jnp.float32) / 127.5 - 1.0


def to_uint8(values: Float[Array, "*b"]) -> UInt8[Array, "*b"]:
    """[-1, 1] to uint8, clipped."""
    return jnp.clip(jnp.round((values + 1.0) * 127.5), 0, 255).astype(jnp.uint8)


def call(module: nn.Module, weights: Params, *args: Any, **options: Any) -> Any:
    """The module as a function of its weights."""
    return module.apply({"params": weights}, *args, **options)


@dataclasses.dataclass(frozen=True)
class Parts:
    """See the module's docstring; all methods are pure functions of the weights."""

    config: SystemConfig

    @functools.cached_property
    def text(self) -> TextEncoder | SentenceEncoder:
        t = self.config.text
        match t.kind:
            case "bytes":
                return TextEncoder(width=t.width, words=t.words, hidden=t.hidden)
            case "minilm":
                vocabulary = installed_minilm().vocabulary
                return SentenceEncoder(vocabulary, MINILM_L6, width=t.width, words=t.words)
            case _:
                assert_never(t.kind)

    def told(self, params: Params, text: UInt8[Array, "B X"]) -> tuple[Array, Array, Array]:
        """Tokens of instructions, which of them are real, and one vector each."""
        weights = params["text"]
        if self.config.text.kind == "minilm":
            weights = {**weights, TRUNK: params["language"]}
        return call(self.text, weights, text)

    @functools.cached_property
    def codec(self) -> AnyCodec:
        return codec_of(self.config.codec)

    @functools.cached_property
    def context(self) -> KeypointEncoder | None:
        c = self.config
        match c.context.kind:
            case "keypoints":
                return KeypointEncoder(
                    width=self.feature_width,
                    tokens=c.context.tokens,
                    channels=c.context.channels,
                    kernels=c.context.kernels,
                    strides=c.context.strides,
                )
            case "none":
                return None
            case _:
                assert_never(c.context.kind)

    @functools.cached_property
    def feature_width(self) -> int:
        """Width of the context encoder's tokens: that of the expert that reads them."""
        model = self.config.model
        expert = model.expert(model.port("feature").into)
        assert expert is not None, "features stand in a sequence, not in a memory"
        return expert.width

    @functools.cached_property
    def intent(self) -> Intent:
        c = self.config
        return Intent(
            width=self.feature_width,
            tokens=c.context.tokens,
            chunk=c.chunk,
            actions=c.action_dim,
            hidden=c.context.hidden,
        )

    @functools.cached_property
    def grid(self) -> tuple[int, int, int]:
        """Rows and columns of the video tokens of a frame, and the width of a token."""
        c = self.config
        _, h, w, channels = self.codec.latent_shape(c.history, c.image_size, c.image_size)
        patch = c.model.patch
        return h // patch, w // patch, channels * patch * patch

    @functools.cached_property
    def latent_frames(self) -> tuple[int, int]:
        """Latent frames of the history and of the future."""
        c = self.config
        return 1 + (c.history - 1) // c.codec.temporal, c.future // c.codec.temporal

    def layout(self, plan: Plan, targets: tuple[str, ...]) -> Layout:
        """The segments when `targets` are predicted, under the plan's visibility."""
        c = self.config
        rows, columns, _ = self.grid
        past, ahead = self.latent_frames
        stride = float(c.frame_stride * c.codec.temporal)
        segments = [Segment(stream="text", frames=c.text.words, stride=0.0)]
        if self.context is not None:
            segments.append(Segment(stream="feature", frames=c.context.tokens, stride=0.0))
        segments.append(Segment(stream="proprio"))
        for view in range(c.predicted_views):
            segments.append(
                Segment(
                    stream="video",
                    frames=past,
                    rows=rows,
                    columns=columns,
                    start=-(past - 1) * stride,
                    stride=stride,
                    view=view,
                )
            )
        if "video" in targets:
            for view in range(c.predicted_views):
                segments.append(
                    Segment(
                        stream="video",
                        copy="noisy",
                        frames=ahead,
                        rows=rows,
                        columns=columns,
                        start=stride,
                        stride=stride,
                        view=view,
                        block=1,
                    )
                )
        if "feature" in targets:
            for frame in range(1, c.future + 1):
                segments.append(
                    Segment(
                        stream="feature",
                        copy="query",
                        frames=c.context.tokens,
                        start=frame * float(c.frame_stride),
                        stride=0.0,
                        # Each frame has a learned query: that of its time block.
                        block=frame,
                    )
                )
        if "action" in targets:
            segments.append(Segment(stream="action", copy="noisy", frames=c.chunk, block=1))
        return Layout(tuple(segments), plan.table)

    @functools.cached_property
    def whole(self) -> WamConfig:
        """The transformer's config, with what the objective or `jump` adds to it."""
        c = self.config
        model = c.model if c.jump is None else told_jumps(c.model)
        return read_out(model, c.plan.queries)

    @functools.cached_property
    def model(self) -> Wam:
        c = self.config
        features: list[tuple[Stream, int]] = [("text", c.text.width)]
        if self.context is not None:
            features.append(("feature", self.feature_width))
        features.append(("proprio", c.proprio_dim))
        features.append(("video", self.grid[2]))
        features.append(("action", c.action_dim))
        # Every objective gets the same weights, so that stages and arms can hand them on; only
        # queries have some of their own.
        targets = (*c.plan.queries, *PLANS["joint"].targets)
        largest = dataclasses.replace(self.layout(PLANS["joint"], targets), table=WHOLE)
        return Wam(self.whole, largest, tuple(features))

    def init(self, key: Key) -> Params:
        """Fresh weights, boxed with their logical axes."""
        c = self.config
        keys = named_keys(key, "text", "codec", "context", "intent", "model")
        size = (c.image_size, c.image_size, 3)
        weights: dict[str, Any] = {
            "text": self.text.init(keys["text"], jnp.zeros((1, c.text_length), jnp.uint8))
        }
        if c.text.kind == "minilm":
            # A part of its own: it begins with the published weights and stays as it is.
            weights["language"] = {"params": weights["text"]["params"].pop(TRUNK)}
        frames = jnp.zeros((1, c.history + c.future, *size))
        if c.codec.has_weights:
            weights["codec"] = self.codec.init(keys["codec"], frames)
        if self.context is not None:
            weights["context"] = self.context.init(
                keys["context"],
                jnp.zeros((1, c.views, *size)),
                jnp.zeros((1, c.text.width)),
                jnp.ones((1, c.views), bool),
            )
            weights["intent"] = self.intent.init(
                keys["intent"],
                jnp.zeros((1, c.context.tokens, self.feature_width)),
                jnp.zeros((1, c.proprio_dim)),
                jnp.zeros((1, c.text.width)),
            )
        layout = self.model.layout
        widths = dict(self.model.features)
        values = tuple(jnp.zeros((1, s.count, widths[s.stream])) for s in layout.segments)
        real = jnp.ones((1, sum(s.count for s in layout.segments)), bool)
        sigma = {"video": jnp.zeros(1), "action": jnp.zeros(1)}
        weights["model"] = self.model.init(
            keys["model"], layout, Tokens(values, real), sigma, method="denoise"
        )
        return {name: part["params"] for name, part in weights.items()}

    def _codec(self, params: Params, values: Array, method: str) -> Array:
        weights = params["codec"] if self.config.codec.has_weights else {}
        return call(self.codec, weights, values, method=method)

    def encode(self, params: Params, frames: Float[Array, "B V T H W 3"]) -> list[Array]:
        """Latents [B, L, h, w, c] of each predicted view."""
        return [
            self._codec(params, frames[:, view], "encode")
            for view in range(self.config.predicted_views)
        ]

    def decode(self, params: Params, latents: Float[Array, "B L h w c"]) -> Array:
        """Frames [B, T, H, W, 3] in [-1, 1] of one view."""
        return self._codec(params, latents, "decode")

    def context_tokens(
        self,
        params: Params,
        frames: Float[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        latents: list[Array],
    ) -> tuple[Tokens, Float[Array, "B K A"] | None]:
        """The context segments of the history's `frames` and its predicted views' `latents`.

        Returns:
            The tokens, and the context encoder's own guess at the actions if there is one.
        """
        batch = proprio.shape[0]
        if self.config.without == "proprio":
            proprio = jnp.zeros_like(proprio)
        words, word_mask, pooled = self.told(params, text)
        values, real, guess = [words], [word_mask], None
        if self.context is not None:
            newest = frames[:, :, -1]
            found = call(self.context, params["context"], newest, pooled, camera_mask)
            features, guess = call(self.intent, params["intent"], found, proprio, pooled)
            values.append(features)
            real.append(jnp.ones((batch, self.config.context.tokens), bool))
        values.append(proprio[:, None])
        real.append(jnp.ones((batch, 1), bool))
        for view, latent in enumerate(latents):
            tokens = tokens_from_latents(latent, self.config.model.patch)
            values.append(tokens)
            seen = camera_mask[:, view : view + 1]
            real.append(jnp.broadcast_to(seen, (batch, tokens.shape[1])))
        return Tokens(tuple(values), jnp.concatenate(real, axis=1)), guess

    def newest(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B 1 h w c"]:
        """What the video target is counted from; `latents` are the history."""
        match self.config.video_target:
            case "frame":
                return jnp.zeros_like(latents[:, -1:])
            case "change":
                return latents[:, -1:]
            case _:
                assert_never(self.config.video_target)

    def target(self, latents: Float[Array, "B L h w c"], past: int) -> Float[Array, "B F h w c"]:
        """The future latents as the flow sees them."""
        return (latents[:, past:] - self.newest(latents[:, :past])) * self.config.video_scale

    def _prediction(self, stream: str) -> Prediction:
        c = self.config
        table: dict[str, Prediction] = {
            "video": c.video_prediction,
            "action": c.action_prediction,
        }
        return table[stream]

    def velocity(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        cache: Cache | None = None,
        real: Mapping[str, Bool[Array, "B N"]] | None = None,
        step: Mapping[str, Float[Array, " B"]] | None = None,
    ) -> Velocity:
        """The velocity function of the flow, with everything but x and sigma bound.

        Of a stream that is predicted by queries it gives the prediction.

        Args:
            cache: of the context.
            real: which target tokens of each stream are not padding; all, by default.
            step: how far the velocity of a stream will be followed; 0 by default.
        """
        layout = self.layout(plan, targets)
        batch, widths = context.real.shape[0], dict(self.model.features)

        def slopes(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
            values, present = [], []
            for segment in layout.segments[layout.context_count() :]:
                if segment.copy == "query":
                    values.append(jnp.zeros((batch, segment.count, widths[segment.stream])))
                    present.append(jnp.ones((batch, segment.count), bool))
                    continue
                start = segment.view * segment.count
                values.append(x[segment.stream][:, start : start + segment.count])
                if real is None:
                    present.append(jnp.ones((batch, segment.count), bool))
                else:
                    present.append(real[segment.stream][:, start : start + segment.count])
            if cache is None:
                values, present = [*context.values, *values], [context.real, *present]
            out = call(
                self.model,
                params["model"],
                layout,
                Tokens(tuple(values), jnp.concatenate(present, axis=1)),
                sigma,
                cache,
                step=step,
                method="denoise",
            )

            def answer(name: str) -> Array:
                if name in plan.queries:
                    return out[name]
                kind = self._prediction(name)
                return velocity_from_prediction(kind, out[name], x[name], sigma[name])

            return {name: answer(name) for name in targets}

        return slopes

    def predicted_frames(
        self, params: Params, history: Array, past: list[Array], tokens: Array
    ) -> UInt8[Array, "B W F H W 3"]:
        rows, columns, _ = self.grid
        ahead = self.latent_frames[1]
        count = ahead * rows * columns
        views = []
        for view, before in enumerate(past):
            share = tokens[:, view * count : (view + 1) * count]
            target = latents_from_tokens(share, (ahead, rows, columns), self.config.model.patch)
            latents = target / self.config.video_scale + self.newest(before)
            # The decoder is causal in time: it needs what came before.
            whole = jnp.concatenate([before, latents], axis=1)
            frames = self.decode(params, whole)
            views.append(frames[:, history.shape[2] :])
        return to_uint8(jnp.stack(views, axis=1))
