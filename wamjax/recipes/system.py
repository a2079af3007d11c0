"""A system as functions of its weights: what it is trained by, and what it answers.

loss    context(h) ; sigma ~ levels ; x = corrupt(clean, noise, sigma) ;
        |v(x) - (noise - clean)|^2
sample  context(h) -> keys and values once ; noise -> sampler program -> actions (and frames)

With `jump` a quarter of the batch learns jumps of the actions (flow.shortcut), the video beside
them held; actions are sampled by flow.jumps, and frames by the plain flow given the actions.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.records import Batch
from wamjax.core.typing import Array, Bool, Float, Key, Params, UInt8, typed
from wamjax.flow.jumps import sample_jumps
from wamjax.flow.levels import draw_levels
from wamjax.flow.loss import masked_mean, velocity_loss
from wamjax.flow.path import corrupt, velocity
from wamjax.flow.prefix import continued, draw_delays, hold
from wamjax.flow.prefix import under_way as under_way_of
from wamjax.flow.sampler import SamplerConfig, Velocity, phases, sample
from wamjax.flow.shortcut import draw_jumps, shortcut_target
from wamjax.model.tokens import Tokens, tokens_from_latents
from wamjax.recipes.config import FEATURE_WEIGHT, HALVINGS, SystemConfig
from wamjax.recipes.foresight import foresee
from wamjax.recipes.objectives import PLANS, Objective, Plan
from wamjax.recipes.parts import Parts, call, pixels
from wamjax.recipes.program import UnderWay
from wamjax.recipes.supervision import codec_loss, video_mask

JUMP_SHARE = 4
"""One sample in so many learns a jump (arXiv 2410.12557)."""

# stream -> how far its velocity will be followed, [B]
Lengths = Mapping[str, Array]


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
            return codec_loss(self.parts, params, frames, batch)
        plan = PLANS[objective]
        keys = named_keys(key, "levels", "video", "action", "imagined", "jump", "delay")
        past, _ = self.parts.latent_frames
        latents = self._latents(params, frames, batch)
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
        mask = {"video": video_mask(self.parts, batch), "action": jnp.asarray(batch.action_mask)}
        rows = clean["action"].shape[0]
        sigma = draw_levels(c.levels, keys["levels"], rows)
        jumps, step = 0, None
        if c.jump is not None and "action" in plan.losses:
            jumps = -(-rows // JUMP_SHARE)
            level, length = draw_jumps(keys["jump"], rows, jumps, HALVINGS)
            sigma["action"] = jnp.concatenate([level[:jumps], sigma["action"][jumps:]])
            step = {"action": length}
        if plan.imagined:
            imagined = self._imagine(params, context, keys["imagined"])
            clean["video"] = jax.lax.stop_gradient(imagined)
            sigma["video"] = jnp.zeros_like(sigma["video"])
        noise = {name: jax.random.normal(keys[name], clean[name].shape) for name in plan.targets}
        noisy = {name: corrupt(clean[name], noise[name], sigma[name]) for name in plan.targets}
        if plan.imagined:
            # It was denoised no further.
            sigma["video"] = jnp.full_like(sigma["video"], c.video_end or 0.0)
        # What is padding is not seen either: its content is arbitrary.
        real = {"video": mask["video"][..., 0], "action": mask["action"].any(-1)}
        if plan.imagined:
            real["video"] = jnp.ones_like(real["video"])
        scored = dict(mask)
        delay = None
        if c.delay is not None and "action" in plan.losses:
            delay = draw_delays(keys["delay"], rows, c.delay)
            scored["action"] &= ~under_way_of(delay, c.chunk)[..., None]

        def slopes_of(
            params: Params, x: dict[str, Array], level: dict[str, Array], step: Lengths | None
        ) -> dict[str, Array]:
            """Of the first samples, as many as there are in x."""
            first = functools.partial(jax.tree.map, lambda leaf: leaf[: len(level["action"])])
            slopes = self.parts.velocity(
                params, plan, plan.trained, first(context), real=first(real), step=step
            )
            if delay is not None:
                slopes = continued(slopes, first(clean["action"]), first(delay))
            return slopes(x, level)

        target = {name: velocity(clean[name], noise[name]) for name in plan.targets}
        figures: dict[str, Array] = {}
        if "feature" in plan.queries:
            foreseen = foresee(self.parts, params, frames[:, :, c.history :], batch)
            target["feature"], scored["feature"], figures["feature_std"] = foreseen
        if step is not None:
            frozen = jax.lax.stop_gradient(params)

            def guide(x: Array, level: Array, length: Array) -> Array:
                seen, at = jax.tree.map(lambda leaf: leaf[:jumps], (noisy, sigma))
                out = slopes_of(
                    frozen, seen | {"action": x}, at | {"action": level}, {"action": length}
                )
                return out["action"]

            target["action"] = shortcut_target(
                guide,
                noisy["action"],
                target["action"],
                sigma["action"],
                step["action"],
                jumps=jumps,
                smallest=2.0**-HALVINGS,
            )
        slopes = slopes_of(params, noisy, sigma, step)
        weight = {
            "video": c.video_weight,
            "action": c.action_weight,
            "feature": FEATURE_WEIGHT if c.feature_weight is None else c.feature_weight,
        }
        parts = {
            f"loss/{name}": velocity_loss(slopes[name], target[name], scored[name])
            for name in plan.losses
        }
        if guess is not None and "action" in plan.losses:
            parts["loss/guess"] = masked_mean(jnp.square(guess - clean["action"]), mask["action"])
            weight["guess"] = c.context.guess_weight
        total = sum(
            (weight[name] * parts[f"loss/{name}"] for name in weight if f"loss/{name}" in parts),
            jnp.zeros(()),
        )
        return total, parts | figures

    def _latents(self, params: Params, frames: Array, batch: Batch) -> list[Array]:
        """Latents [B, L, h, w, c] of each predicted view, without gradients."""
        if batch.latents is None:
            latents = self.parts.encode(params, frames)
        else:
            before = jnp.asarray(batch.latents, jnp.float32)
            latents = [before[:, view] for view in range(self.config.predicted_views)]
        return [jax.lax.stop_gradient(latent) for latent in latents]

    def _sample(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        key: Key,
        sampler: SamplerConfig,
        cached: bool = True,
        under_way: UnderWay | None = None,
    ) -> dict[str, Array]:
        """Streams at the end of the sampler program, in token space."""
        keys = named_keys(key, "solver")
        noise, slopes = self._noise_and_slopes(
            params, plan, targets, context, key, cached, under_way
        )
        return sample(sampler, slopes(None), noise, keys["solver"])

    def _jump(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        key: Key,
        *,
        video: bool,
        cached: bool,
        under_way: UnderWay | None,
    ) -> dict[str, Array]:
        """Actions by jumps while the video is held, and then the video, in token space."""
        keys = named_keys(key, "solver")
        noise, slopes = self._noise_and_slopes(
            params, plan, targets, context, key, cached, under_way
        )
        rows = context.real.shape[0]
        out = {name: noise[name] for name in targets if name != "action"}
        level = {name: jnp.ones(rows) for name in out}
        first = len(phases(self.config.program)) > 1
        if first:
            walked = sample(self._video_sampler(), slopes(None), noise, keys["solver"])
            out["video"] = walked["video"]
            level["video"] = jnp.full(rows, self.config.video_end or 0.0)

        def mean(x: Array, sigma: Array, step: Array) -> Array:
            velocity = slopes({"action": step})
            return velocity(out | {"action": x}, level | {"action": sigma})["action"]

        actions = sample_jumps(mean, noise["action"], self.config.solver_steps)
        if video and "video" in out and not first:

            def given_actions(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
                known = {"action": jnp.zeros(rows)}
                return {"video": slopes(None)(x | {"action": actions}, sigma | known)["video"]}

            future = {"video": noise["video"]}
            out |= sample(self._video_sampler(), given_actions, future, keys["solver"])
        return out | {"action": actions}

    def _noise_and_slopes(
        self,
        params: Params,
        plan: Plan,
        targets: tuple[str, ...],
        context: Tokens,
        key: Key,
        cached: bool = True,
        under_way: UnderWay | None = None,
    ) -> tuple[dict[str, Array], Callable[[Lengths | None], Velocity]]:
        """What a sampler program begins with, and the velocity given the context (and jumps)."""
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
        if self.config.temperature is not None and "action" in noise:
            noise["action"] *= self.config.temperature

        def slopes(step: Lengths | None) -> Velocity:
            free = self.parts.velocity(params, plan, targets, context, cache, step=step)
            return free if under_way is None else continued(free, *under_way)

        return noise, slopes

    def _video_sampler(self) -> SamplerConfig:
        """For a future that is sampled apart from the actions."""
        sampler = self.config.sampler("video_only")
        return dataclasses.replace(sampler, steps=self.config.imagined_steps, evaluated=())

    def _imagine(self, params: Params, context: Tokens, key: Key) -> Array:
        """Future video tokens from the world model, without gradients."""
        frozen, context = jax.lax.stop_gradient((params, context))
        sampler = self._video_sampler()
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
        under_way: UnderWay | None = None,
    ) -> dict[str, Array]:
        """Sample what follows an observation.

        Args:
            frames: the history. proprio: normalised.
            video: also denoise the video where actions could do without it.
            cached: compute keys and values of the context once (the same result, faster).
            under_way: what the robot executes meanwhile: actions [B, K, A], normalised, the first
                of them now, and how many of them [B], 0 ... `config.delay`. The chunk begins with
                those and goes on from there.

        Returns:
            "action" float32 [B, K, A], normalised (absent for a world model alone), and, if video
            was denoised, "frames" uint8 [B, predicted views, future, H, W, 3].

        Raises:
            ValueError: actions are under way, and no delay was part of the training.
        """
        if under_way is not None and self.config.delay is None:
            raise ValueError(
                "a system that was trained without delay cannot go on from actions under way"
            )
        plan, video = self.config.plan, video and self.predicts_video
        values = pixels(frames)
        past = self.parts.encode(params, values)
        context, _ = self.parts.context_tokens(params, values, camera_mask, proprio, text, past)
        targets = plan.targets if video else plan.action_targets
        if self.config.jump is None:
            sampler = self.config.sampler(self.config.program)
            out = self._sample(params, plan, targets, context, key, sampler, cached, under_way)
        else:
            out = self._jump(
                params,
                plan,
                targets,
                context,
                key,
                video=video,
                cached=cached,
                under_way=under_way,
            )
        if under_way is not None:
            out["action"] = hold(out["action"], *under_way)
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
        plan = self.config.plan
        values = pixels(frames)
        past = self.parts.encode(params, values)
        context, _ = self.parts.context_tokens(params, values, camera_mask, proprio, text, past)
        noise, slopes = self._noise_and_slopes(params, plan, plan.action_targets, context, key)
        return noise, slopes(None)

    def sample_actions(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        under_way: UnderWay | None = None,
        frame_mask: Bool[Array, "B T"] | None = None,
    ) -> Float[Array, "B K A"]:
        """Normalised actions; see `sample`.

        Frames before the start repeat the first; training does not look at their mask either.
        """
        del frame_mask
        given = (frames, camera_mask, proprio, text, key)
        return self.sample(params, *given, video=False, under_way=under_way)["action"]

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
        """Whether sampling can show a predicted future; a video that is held shows none."""
        c = self.config
        moved = any(start != end for start, end in (p["video"] for p in phases(c.program)))
        return moved and "video" in c.plan.targets
