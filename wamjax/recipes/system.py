"""A system as functions of its weights: what it is trained by, and what it answers.

loss    context(h) ; sigma ~ levels ; x = corrupt(clean, noise, sigma) ;
        |v(x) - (noise - clean)|^2
sample  context(h) -> keys and values once ; noise -> sampler program -> actions (and frames)
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from wamjax.codec.autoencoder import reconstruction_loss
from wamjax.core.keys import named_keys
from wamjax.core.records import Batch
from wamjax.core.typing import Array, Bool, Float, Key, Params, UInt8, typed
from wamjax.flow.levels import draw_levels
from wamjax.flow.loss import masked_mean, velocity_loss
from wamjax.flow.path import corrupt, velocity
from wamjax.flow.sampler import SamplerConfig, Velocity, sample
from wamjax.model.wam import Tokens, tokens_from_latents
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.objectives import FINAL, PLANS, Objective, Plan
from wamjax.recipes.parts import Parts, call, pixels


@dataclasses.dataclass(frozen=True)
class System:
    """A world action model or a policy, from pixels to actions; see SystemConfig."""

    config: SystemConfig

    @functools.cached_property
    def parts(self) -> Parts:
        return Parts(self.config)

    def init(self, key: Key) -> Params:
        """Fresh weights, boxed with their logical axes."""
        return self.parts.init(key)

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
        past, _ = self.parts.latent_frames
        latents = [jax.lax.stop_gradient(latent) for latent in self.parts.encode(params, frames)]
        history, camera_mask = frames[:, :, : c.history], jnp.asarray(batch.camera_mask)
        proprio = jnp.where(batch.proprio_mask, batch.proprio, 0.0)
        text = jnp.asarray(batch.text)
        before = [latent[:, :past] for latent in latents]
        context, guess = self.parts.context_tokens(
            params, history, camera_mask, proprio, text, before
        )

        clean = {
            "video": jnp.concatenate(
                [
                    tokens_from_latents(self.parts.target(latent, past), c.model.patch)
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
        slopes = self.parts.velocity(params, plan, plan.targets, context, real=real)(noisy, sigma)
        weight = {"video": c.video_weight, "action": c.action_weight}
        parts = {
            f"loss/{name}": velocity_loss(
                slopes[name], velocity(clean[name], noise[name]), mask[name]
            )
            for name in plan.losses
        }
        if guess is not None and "action" in plan.losses:
            parts["loss/guess"] = masked_mean(jnp.square(guess - clean["action"]), mask["action"])
            weight["guess"] = c.context.guess_weight
        total = sum(
            (weight[name] * parts[f"loss/{name}"] for name in weight if f"loss/{name}" in parts),
            jnp.zeros(()),
        )
        return total, parts

    def _codec_loss(
        self, params: Params, frames: Array, batch: Batch
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        errors = []
        for view, latents in enumerate(self.parts.encode(params, frames)):
            real = jnp.asarray(batch.frame_mask) & jnp.asarray(batch.camera_mask)[:, view, None]
            again = self.parts.decode(params, latents)
            errors.append(reconstruction_loss(frames[:, view], latents, again, real))
        loss = sum(errors, jnp.zeros(())) / len(errors)
        return loss, {"loss/codec": loss}

    def _video_mask(self, batch: Batch) -> Bool[Array, "B N 1"]:
        """Which target video tokens stand for frames that exist, in the order of the segments."""
        c = self.config
        rows, columns, _ = self.parts.grid
        _, ahead = self.parts.latent_frames
        future = jnp.asarray(batch.frame_mask)[:, c.history :]
        # A latent frame is real if all its pixel frames are.
        future = future.reshape(future.shape[0], ahead, c.codec.temporal).all(-1)
        tokens = jnp.repeat(future, rows * columns, axis=1)
        views = [
            tokens & jnp.asarray(batch.camera_mask)[:, view : view + 1]
            for view in range(c.predicted_views)
        ]
        return jnp.concatenate(views, axis=1)[..., None]

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
        keys = named_keys(key, "solver")
        noise, slopes = self._noise_and_slopes(params, plan, targets, context, key, cached)
        return sample(sampler, slopes, noise, keys["solver"])

    def _noise_and_slopes(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        key: Key,
        cached: bool = True,
    ) -> tuple[dict[str, Array], Velocity]:
        """What a sampler program begins with, and the velocity given the context."""
        cache = None
        if cached:
            layout = self.parts.layout(plan, targets).context()
            cache = call(self.parts.model, params["model"], layout, context, method="prefill")
        keys = named_keys(key, "video", "action")
        batch = context.real.shape[0]
        rows, columns, width = self.parts.grid
        tokens = self.config.predicted_views * self.parts.latent_frames[1] * rows * columns
        shapes = {
            "video": (batch, tokens, width),
            "action": (batch, self.config.chunk, self.config.action_dim),
        }
        noise = {name: jax.random.normal(keys[name], shapes[name]) for name in targets}
        return noise, self.parts.velocity(params, plan, targets, context, cache)

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
        past = self.parts.encode(params, values)
        context, _ = self.parts.context_tokens(params, values, camera_mask, proprio, text, past)
        targets = plan.targets if video else plan.action_targets
        sampler = self.config.sampler(plan.program)
        out = self._sample(params, plan, targets, context, key, sampler, cached)
        result = {"action": out["action"]} if "action" in out else {}
        if "video" in out and video:
            result["frames"] = self.parts.predicted_frames(params, values, past, out["video"])
        return result

    def ready(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
    ) -> tuple[dict[str, Array], Velocity]:
        """What is sampled from when actions alone are wanted: (noise per stream, velocity)."""
        plan = PLANS[FINAL[self.config.training]]
        values = pixels(frames)
        past = self.parts.encode(params, values)
        context, _ = self.parts.context_tokens(params, values, camera_mask, proprio, text, past)
        return self._noise_and_slopes(params, plan, plan.action_targets, context, key)

    def sample_actions(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        frame_mask: Bool[Array, "B T"] | None = None,
    ) -> Float[Array, "B K A"]:
        """Normalised actions; see `sample`.

        Frames before the start repeat the first; training does not look at their mask either.
        """
        del frame_mask
        return self.sample(params, frames, camera_mask, proprio, text, key, video=False)["action"]

    def sample_future(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        frame_mask: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B K A"], UInt8[Array, "B W F H W 3"]]:
        """Normalised actions and the predicted frames; see `sample` and `sample_actions`."""
        del frame_mask
        out = self.sample(params, frames, camera_mask, proprio, text, key, video=True)
        return out["action"], out["frames"]

    @property
    def predicts_video(self) -> bool:
        """Whether sampling can show a predicted future."""
        return "video" in PLANS[FINAL[self.config.training]].targets
