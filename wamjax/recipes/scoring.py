"""What a lesson of a recipe scores.

sigma ~ the recipe's laws ; x = corrupt(values, noise, sigma) ;
mean square of model(x) - what it predicts (velocity, clean values or noise), weighted by sigma
where the recipe's velocities are
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Bool, Float, Key, Params
from wamjax.flow.levels import draw_history_levels, draw_levels
from wamjax.flow.loss import velocity_loss
from wamjax.flow.losses import (
    absolute_loss,
    laplace_law,
    laplace_loss,
    parts_loss,
    token_loss,
)
from wamjax.flow.path import corrupt, per_token, velocity
from wamjax.flow.prefix import delayed, draw_delays
from wamjax.flow.weights import loss_weight
from wamjax.model.segments import Segment, Stream
from wamjax.model.wam import Tokens
from wamjax.recipes.answers import chunk_of
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Walk
from wamjax.recipes.network import network
from wamjax.recipes.parts import call
from wamjax.recipes.reader import Reader
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.scene import Scene


@dataclasses.dataclass(frozen=True)
class Scoring:
    """The losses of a recipe's lessons.

    Attributes:
        config: whose.
        reader: from recordings to values.
        settings: what the network predicts.
    """

    config: RecipeConfig
    reader: Reader
    settings: Walk

    @property
    def blueprint(self) -> Blueprint:
        return self.config.blueprint

    @property
    def learning(self) -> Learning:
        return self.config.learning

    def loss(
        self, params: Params, scene: Scene, lesson: Lesson, key: Key
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The loss of a lesson over what was recorded, and its parts by name."""
        layout, rows = self.blueprint.training, scene.state.shape[0]
        keys = named_keys(
            key, "levels", "video", "action", "delay", "codec", "history", "given", "role"
        )
        if lesson.codec is not None:
            part = self.reader.codec_loss(params, scene, lesson.codec, keys["codec"])
            return part, {"loss/dynamics": part}
        sigma = self.levels(lesson, keys["levels"], rows)
        delay = draw_delays(keys["delay"], rows, self.config.delay)
        continued = self.config.continued if self.config.delay else ()
        history = self._history_levels(keys["history"], rows)
        sigma |= history
        told = self.told(keys["role"], rows)
        roles = {} if told is None else dict(zip(self.subjects, told.T, strict=True))
        apart: dict[Stream, list[Array]] = {}

        values, present = [], []
        marks: dict[Stream, list[Array]] = {}
        truth: dict[Stream, list[tuple[Array, ...]]] = {}
        for segment in layout.segments:
            if segment.copy != "noisy":
                value, real = self.reader.values(params, scene, segment)
                if segment in roles:
                    real = real & roles[segment][:, None]
                if segment.kind in history:
                    place = [s for s in layout.segments if s.kind == segment.kind].index(segment)
                    own = jax.random.fold_in(keys["given"], place)
                    noise = jax.random.normal(own, value.shape)
                    value = corrupt(value, noise, history[segment.kind][:, place])
            else:
                clean, mask = self.reader.clean(scene, segment)
                real = self.reader.present(scene, segment)
                mine = truth.setdefault(segment.stream, [])
                place = jax.random.fold_in(keys[segment.stream], len(mine))
                noise = jax.random.normal(place, clean.shape)
                level = sigma[segment.stream]
                level = level if level.ndim == 1 else level[:, len(mine)]
                x = corrupt(clean, noise, level)
                if segment in continued:
                    before = sum(s.count for s in continued[: continued.index(segment)])
                    decided = jnp.clip(delay - before, 0, segment.count)
                    x, level, scored = delayed(clean, noise, level, decided)
                    mask = mask & scored
                given = roles.get(segment)
                if given is not None:
                    x = jnp.where(given[:, None, None], clean, x)
                    level = jnp.where(given, 0.0, level)
                    mask = mask & ~given[:, None, None]
                    apart.setdefault(segment.stream, []).append(level)
                marks.setdefault(segment.stream, []).append(
                    level if level.ndim == 2 else per_token(level, clean.shape[1])
                )
                mine.append((clean, noise, mask))
                value = self.reader.wide(scene, segment, x, given)
            values.append(value)
            present.append(real)
        if continued:
            sigma["action"] = jnp.concatenate(marks["action"], axis=1)
        sigma |= {stream: jnp.stack(levels, axis=1) for stream, levels in apart.items()}
        out: dict[Stream, Array] = call(
            network(self.blueprint),
            params["model"],
            layout,
            Tokens(tuple(values), jnp.concatenate(present, axis=1), scene.embodiment),
            sigma,
            method="denoise",
            wanted=tuple(stream for stream, _ in lesson.losses),
        )
        parts, total = {}, jnp.zeros(())
        predictions = dict(self.settings.predictions)
        for stream, weight in lesson.losses:
            if stream not in out:
                continue
            if stream not in truth:
                part = self._read_loss(params, scene, stream, out[stream])
            else:
                columns = zip(*truth[stream], strict=True)
                clean, noise, mask = (jnp.concatenate(c, axis=1) for c in columns)
                target = {"velocity": velocity(clean, noise), "clean": clean, "noise": noise}
                prediction = predictions.get(stream, "velocity")
                if stream == "action" and self.learning.parts:
                    part = parts_loss(self.learning.parts, out[stream], clean, mask)
                else:
                    weight_of = self.learning.weight if prediction == "velocity" else "none"
                    level = jnp.concatenate(marks[stream], axis=1)[..., None]
                    shift = self.learning.laws.laws[stream].shift
                    by_level = loss_weight(weight_of, level, shift)
                    part = velocity_loss(out[stream], target[prediction], mask, by_level)
            parts[f"loss/{stream}"] = part
            total = total + weight * part
        return total, parts

    def _read_loss(self, params: Params, scene: Scene, stream: Stream, read: Array) -> Array:
        """Of what is read in one pass, without noise."""
        if stream == "word":
            return token_loss(read, *self.reader.latent_words(params, scene))
        if stream == "feature":
            return absolute_loss(read, *self.reader.next_features(scene))
        assert scene.actions is not None
        assert scene.action_mask is not None
        if self.learning.read == "laplace":
            mean, log_scale = (chunk_of(self.blueprint, part) for part in laplace_law(read))
            return laplace_loss(mean, log_scale, scene.actions, scene.action_mask)
        return absolute_loss(chunk_of(self.blueprint, read), scene.actions, scene.action_mask)

    def levels(self, lesson: Lesson, key: Key, rows: int) -> dict[str, Array]:
        """Noise levels of the noisy streams in training, [B] or [B, segments]."""
        learning = self.learning
        noisy = [s.stream for s in self.blueprint.training.segments if s.copy == "noisy"]
        counts = {stream: noisy.count(stream) for stream in dict.fromkeys(noisy)}
        segments = counts if learning.apart else {}
        sigma = draw_levels(learning.laws, key, rows, streams=tuple(counts), segments=segments)
        for stream, level in lesson.pins:
            sigma[stream] = jnp.full_like(sigma[stream], level)
        return sigma

    @functools.cached_property
    def subjects(self) -> tuple[Segment, ...]:
        """What roles speak of: painted frames that are denoised, and given segments they name."""
        named = {name for role in self.learning.roles for name in role.given}
        return tuple(
            segment
            for segment in self.blueprint.training.segments
            if segment.kind in named or (segment.copy == "noisy" and self.reader.content(segment))
        )

    def told(self, key: Key, rows: int) -> Bool[Array, "B S"] | None:
        """Which of the subjects each example is given, by the role it draws."""
        roles = self.learning.roles
        if not roles:
            return None
        names = [{s.kind, self.reader.content(s)} for s in self.subjects]
        table = [[bool(name & {*role.given}) for name in names] for role in roles]
        shares = jnp.asarray([role.share for role in roles])
        return jnp.asarray(table)[jax.random.choice(key, len(roles), (rows,), p=shares)]

    def _history_levels(self, key: Key, rows: int) -> dict[str, Array]:
        """Kind of given segments -> their noise levels, [B, S]; nothing where all are clean."""
        noisy = self.learning.noisy_history
        if noisy is None:
            return {}
        kind = f"{noisy.stream}/clean"
        count = sum(segment.kind == kind for segment in self.blueprint.training.segments)
        return {kind: draw_history_levels(key, rows, count, share=noisy.share, most=noisy.most)}
