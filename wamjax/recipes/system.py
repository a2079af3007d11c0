"""A system: text encoder, codec, context encoder and transformer, assembled by a config.

    loss    context(h) ; sigma ~ levels ; x = corrupt(clean, noise, sigma) ;
            |v(x) - (noise - clean)|^2
    sample  context(h) -> keys and values once ; noise -> sampler program -> actions (and frames)

Weights are one tree {"text", "codec", "context", "model"}. What is denoised, who sees whom and how
actions are sampled comes from the objective's row in recipes.objectives; nothing here knows a
system by name.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, assert_never

import jax
import jax.numpy as jnp

from wamjax.codec.autoencoder import Autoencoder
from wamjax.codec.keypoints import KeypointEncoder
from wamjax.codec.patch import PatchCodec
from wamjax.codec.text import TextEncoder
from wamjax.core.keys import named_keys
from wamjax.core.records import Batch
from wamjax.core.typing import Array, Bool, Float, Key, Params, UInt8, typed
from wamjax.flow.levels import draw_levels
from wamjax.flow.loss import masked_mean, velocity_loss
from wamjax.flow.path import Prediction, corrupt, velocity, velocity_from_prediction
from wamjax.flow.sampler import SamplerConfig, Velocity, sample
from wamjax.model.block import KeyValue
from wamjax.model.segments import Segment
from wamjax.model.wam import Layout, Tokens, Wam, latents_from_tokens, tokens_from_latents
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.objectives import FINAL, PLANS, Objective, Plan


def pixels(frames: UInt8[Array, "*b"]) -> Float[Array, "*b"]:
    """uint8 to [-1, 1]."""
    return frames.astype(jnp.float32) / 127.5 - 1.0


def to_uint8(values: Float[Array, "*b"]) -> UInt8[Array, "*b"]:
    """[-1, 1] to uint8, clipped."""
    return jnp.clip(jnp.round((values + 1.0) * 127.5), 0, 255).astype(jnp.uint8)


@dataclasses.dataclass(frozen=True)
class System:
    """See the module's docstring; all methods are pure functions of the weights."""

    config: SystemConfig

    @functools.cached_property
    def text(self) -> TextEncoder:
        t = self.config.text
        return TextEncoder(width=t.width, words=t.words, hidden=t.hidden)

    @functools.cached_property
    def codec(self) -> PatchCodec | Autoencoder:
        c = self.config.codec
        match c.kind:
            case "patch":
                return PatchCodec(patch=c.patch, temporal=c.temporal)
            case "autoencoder":
                return Autoencoder(channels=c.channels, width=c.width, temporal=c.temporal)
            case _:
                assert_never(c.kind)

    @functools.cached_property
    def context(self) -> KeypointEncoder | None:
        c = self.config
        match c.context.kind:
            case "keypoints":
                return KeypointEncoder(
                    width=c.model.width,
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
        """The segments when `targets` are denoised, under the plan's visibility."""
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
        if "action" in targets:
            segments.append(Segment(stream="action", copy="noisy", frames=c.chunk, block=1))
        return Layout(tuple(segments), plan.table)

    @functools.cached_property
    def model(self) -> Wam:
        c = self.config
        features = [("text", c.text.width)]
        if self.context is not None:
            features.append(("feature", c.model.width))
        features += [
            ("proprio", c.proprio_dim),
            ("video", self.grid[2]),
            ("action", c.action_dim),
        ]
        # Every objective gets the same weights, so that stages and arms can hand them on.
        whole = self.layout(PLANS["joint"], ("video", "action"))
        return Wam(c.model, whole, tuple(features))

    def init(self, key: Key) -> Params:
        """Fresh weights, boxed with their logical axes."""
        c = self.config
        keys = named_keys(key, "text", "codec", "context", "model")
        size = (c.image_size, c.image_size, 3)
        weights: dict[str, Any] = {
            "text": self.text.init(keys["text"], jnp.zeros((1, c.text_length), jnp.uint8))
        }
        frames = jnp.zeros((1, c.history + c.future, *size))
        if c.codec.kind == "autoencoder":
            weights["codec"] = self.codec.init(keys["codec"], frames)
        if self.context is not None:
            weights["context"] = self.context.init(
                keys["context"],
                jnp.zeros((1, c.views, *size)),
                jnp.zeros((1, c.text.width)),
                jnp.ones((1, c.views), bool),
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

    def _codec_weights(self, params: Params) -> Params:
        return {"params": params["codec"]} if self.config.codec.kind == "autoencoder" else {}

    def encode(self, params: Params, frames: Float[Array, "B V T H W 3"]) -> list[Array]:
        """Latents [B, L, h, w, c] of each predicted view."""
        return [
            self.codec.apply(self._codec_weights(params), frames[:, view], method="encode")
            for view in range(self.config.predicted_views)
        ]

    def context_tokens(
        self,
        params: Params,
        frames: Float[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        latents: list[Array],
    ) -> Tokens:
        """The context segments of the history's `frames` and its predicted views' `latents`."""
        batch = proprio.shape[0]
        words, word_mask, pooled = self.text.apply({"params": params["text"]}, text)
        values, real = [words], [word_mask]
        if self.context is not None:
            weights = {"params": params["context"]}
            values.append(self.context.apply(weights, frames[:, :, -1], pooled, camera_mask))
            real.append(jnp.ones((batch, self.config.context.tokens), bool))
        values.append(proprio[:, None])
        real.append(jnp.ones((batch, 1), bool))
        for view, latent in enumerate(latents):
            tokens = tokens_from_latents(latent, self.config.model.patch)
            values.append(tokens)
            seen = camera_mask[:, view : view + 1]
            real.append(jnp.broadcast_to(seen, (batch, tokens.shape[1])))
        return Tokens(tuple(values), jnp.concatenate(real, axis=1))

    def loss(
        self, params: Params, batch: Batch, key: Key, objective: Objective
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The objective's loss over a batch, and its parts by name."""
        c = self.config
        frames = pixels(jnp.asarray(batch.frames))
        if objective == "codec":
            return self._codec_loss(params, frames, batch)
        plan = PLANS[objective]
        keys = named_keys(key, "levels", "video", "action", "imagined")
        past, _ = self.latent_frames
        latents = [jax.lax.stop_gradient(latent) for latent in self.encode(params, frames)]
        history, camera_mask = frames[:, :, : c.history], jnp.asarray(batch.camera_mask)
        proprio = jnp.where(batch.proprio_mask, batch.proprio, 0.0)
        text = jnp.asarray(batch.text)
        before = [latent[:, :past] for latent in latents]
        context = self.context_tokens(params, history, camera_mask, proprio, text, before)

        clean = {
            "video": jnp.concatenate(
                [
                    tokens_from_latents(self._target(latent, past), c.model.patch)
                    for latent in latents
                ],
                axis=1,
            ),
            "action": jnp.where(batch.action_mask, batch.actions, 0.0),
        }
        mask = {"video": self._video_mask(batch), "action": jnp.asarray(batch.action_mask)}
        sigma = draw_levels(c.levels, keys["levels"], clean["action"].shape[0])
        if plan.imagined:
            imagined = self._imagine(params, context, keys["imagined"])
            clean["video"] = jax.lax.stop_gradient(imagined)
            sigma["video"] = jnp.zeros_like(sigma["video"])
        noise = {name: jax.random.normal(keys[name], clean[name].shape) for name in plan.targets}
        noisy = {name: corrupt(clean[name], noise[name], sigma[name]) for name in plan.targets}
        # What is padding is not seen either: its content is arbitrary.
        real = {"video": mask["video"][..., 0], "action": mask["action"].any(-1)}
        if plan.imagined:
            real["video"] = jnp.ones_like(real["video"])
        slopes = self._velocity(params, plan, plan.targets, context, real=real)(noisy, sigma)
        weight = {"video": c.video_weight, "action": c.action_weight}
        parts = {
            f"loss/{name}": velocity_loss(
                slopes[name], velocity(clean[name], noise[name]), mask[name]
            )
            for name in plan.losses
        }
        total = sum((weight[name] * parts[f"loss/{name}"] for name in plan.losses), jnp.zeros(()))
        return total, parts

    def _newest(self, latents: Float[Array, "B L h w c"]) -> Float[Array, "B 1 h w c"]:
        """What the video target is counted from; `latents` are the history."""
        match self.config.video_target:
            case "frame":
                return jnp.zeros_like(latents[:, -1:])
            case "change":
                return latents[:, -1:]
            case _:
                assert_never(self.config.video_target)

    def _target(self, latents: Float[Array, "B L h w c"], past: int) -> Float[Array, "B F h w c"]:
        """The future latents as the flow sees them."""
        return (latents[:, past:] - self._newest(latents[:, :past])) * self.config.video_scale

    def _codec_loss(
        self, params: Params, frames: Array, batch: Batch
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        errors = []
        for view, latents in enumerate(self.encode(params, frames)):
            again = self.codec.apply(self._codec_weights(params), latents, method="decode")
            real = jnp.asarray(batch.frame_mask)[:, :, None, None, None]
            real = real & jnp.asarray(batch.camera_mask)[:, view, None, None, None, None]
            errors.append(masked_mean(jnp.square(again - frames[:, view]), real))
        loss = sum(errors, jnp.zeros(())) / len(errors)
        return loss, {"loss/codec": loss}

    def _video_mask(self, batch: Batch) -> Bool[Array, "B N 1"]:
        """Which target video tokens stand for frames that exist, in the order of the segments."""
        c = self.config
        rows, columns, _ = self.grid
        _, ahead = self.latent_frames
        future = jnp.asarray(batch.frame_mask)[:, c.history :]
        # A latent frame is real if all its pixel frames are.
        future = future.reshape(future.shape[0], ahead, c.codec.temporal).all(-1)
        tokens = jnp.repeat(future, rows * columns, axis=1)
        views = [
            tokens & jnp.asarray(batch.camera_mask)[:, view : view + 1]
            for view in range(c.predicted_views)
        ]
        return jnp.concatenate(views, axis=1)[..., None]

    def _prediction(self, stream: str) -> Prediction:
        return {"video": self.config.video_prediction, "action": self.config.action_prediction}[
            stream
        ]

    def _velocity(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        cache: KeyValue | None = None,
        real: Mapping[str, Bool[Array, "B N"]] | None = None,
    ) -> Velocity:
        """The velocity function of the flow, with everything but x and sigma bound.

        Args:
            cache: keys and values of the context.
            real: which target tokens of each stream are not padding; all, by default.
        """
        layout = self.layout(plan, targets)
        batch = context.real.shape[0]

        def slopes(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
            values, present = [], []
            for segment in layout.segments[layout.context_count() :]:
                start = segment.view * segment.count
                values.append(x[segment.stream][:, start : start + segment.count])
                if real is None:
                    present.append(jnp.ones((batch, segment.count), bool))
                else:
                    present.append(real[segment.stream][:, start : start + segment.count])
            if cache is None:
                values, present = [*context.values, *values], [context.real, *present]
            out = self.model.apply(
                {"params": params["model"]},
                layout,
                Tokens(tuple(values), jnp.concatenate(present, axis=1)),
                sigma,
                cache,
                None if cache is None else context.real,
                method="denoise",
            )
            return {
                name: velocity_from_prediction(
                    self._prediction(name), out[name], x[name], sigma[name]
                )
                for name in targets
            }

        return slopes

    def _sample(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        key: Key,
        sampler: SamplerConfig,
        cached: bool = True,
    ) -> dict[str, Array]:
        """Streams at the end of the sampler program, in token space."""
        cache = None
        if cached:
            layout = self.layout(plan, targets).context()
            cache = self.model.apply({"params": params["model"]}, layout, context, method="prefill")
        keys = named_keys(key, "video", "action")
        batch = context.real.shape[0]
        rows, columns, width = self.grid
        tokens = self.config.predicted_views * self.latent_frames[1] * rows * columns
        shapes = {
            "video": (batch, tokens, width),
            "action": (batch, self.config.chunk, self.config.action_dim),
        }
        noise = {name: jax.random.normal(keys[name], shapes[name]) for name in targets}
        return sample(sampler, self._velocity(params, plan, targets, context, cache), noise)

    def _imagine(self, params: Params, context: Tokens, key: Key) -> Array:
        """Future video tokens from the world model, without gradients."""
        frozen, context = jax.lax.stop_gradient((params, context))
        sampler = dataclasses.replace(
            self.config.sampler("video_only"), steps=self.config.imagined_steps
        )
        return self._sample(frozen, PLANS["world"], ("video",), context, key, sampler)["video"]

    @typed
    def sample(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        *,
        video: bool,
        cached: bool = True,
    ) -> dict[str, Array]:
        """Sample what follows an observation.

        Args:
            frames: the history. proprio: normalised.
            video: also denoise the video where actions could do without it.
            cached: compute keys and values of the context once (the same result, faster).

        Returns:
            "action" float32 [B, K, A], normalised (absent for a world model alone), and, if video
            was denoised, "frames" uint8 [B, predicted views, future, H, W, 3].
        """
        plan = PLANS[FINAL[self.config.training]]
        values = pixels(frames)
        past = self.encode(params, values)
        context = self.context_tokens(params, values, camera_mask, proprio, text, past)
        targets = plan.targets if video else plan.action_targets
        sampler = self.config.sampler(plan.program)
        out = self._sample(params, plan, targets, context, key, sampler, cached)
        result = {"action": out["action"]} if "action" in out else {}
        if "video" in out and video:
            result["frames"] = self._decoded(params, values, past, out["video"])
        return result

    def sample_actions(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
    ) -> Float[Array, "B K A"]:
        """Normalised actions; see `sample`."""
        return self.sample(params, frames, camera_mask, proprio, text, key, video=False)["action"]

    def sample_future(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
    ) -> tuple[Float[Array, "B K A"], UInt8[Array, "B W F H W 3"]]:
        """Normalised actions and the predicted frames; see `sample`."""
        out = self.sample(params, frames, camera_mask, proprio, text, key, video=True)
        return out["action"], out["frames"]

    @property
    def predicts_video(self) -> bool:
        """Whether sampling can show a predicted future."""
        return "video" in PLANS[FINAL[self.config.training]].targets

    def _decoded(
        self, params: Params, history: Array, past: list[Array], tokens: Array
    ) -> UInt8[Array, "B W F H W 3"]:
        rows, columns, _ = self.grid
        ahead = self.latent_frames[1]
        count = ahead * rows * columns
        views = []
        for view, before in enumerate(past):
            share = tokens[:, view * count : (view + 1) * count]
            target = latents_from_tokens(share, (ahead, rows, columns), self.config.model.patch)
            latents = target / self.config.video_scale + self._newest(before)
            # The decoder is causal in time: it needs what came before.
            whole = jnp.concatenate([before, latents], axis=1)
            frames = self.codec.apply(self._codec_weights(params), whole, method="decode")
            views.append(frames[:, history.shape[2] :])
        return to_uint8(jnp.stack(views, axis=1))
