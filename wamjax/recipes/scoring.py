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
from wamjax.model.tokens import Tokens
from wamjax.recipes.answers import chunk_of
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Walk
from wamjax.recipes.network import network
from wamjax.recipes.parts import call
from wamjax.recipes.reader import Reader
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.scene import Scene


@dataclasses.dataclass(frozen=True)
class Draws:
    """What the examples of a batch are drawn.

    Attributes:
        sigma: noise levels of each noisy stream, [B] or [B, segments].
        delay: actions that are under way, int [B].
        history: kind of given segments -> their noise levels, [B, S].
        roles: what roles speak of -> which examples are given it, bool [B].
    """

    sigma: dict[str, Array]
    delay: Array
    history: dict[str, Array]
    roles: dict[Segment, Array]


@dataclasses.dataclass(frozen=True)
class Noised:
    """A segment that is denoised: its values [B, N, width] at their levels, [B] or [B, N], what
    they are made of, and which numbers are scored."""

    x: Array
    clean: Array
    noise: Array
    level: Array
    mask: Array

    @property
    def marks(self) -> Array:
        """The level of each token, [B, N]."""
        return self.level if self.level.ndim == 2 else per_token(self.level, self.clean.shape[1])


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
        keys = named_keys(
            key, "levels", "video", "action", "delay", "codec", "history", "given", "role"
        )
        if lesson.codec is not None:
            part = self.reader.codec_loss(params, scene, lesson.codec, keys["codec"])
            return part, {"loss/dynamics": part}
        layout, draws = self.blueprint.training, self._draws(lesson, keys, scene.state.shape[0])
        values, present = [], []
        noised: dict[Stream, list[Noised]] = {}
        for segment in layout.segments:
            if segment.copy == "noisy":
                mine = noised.setdefault(segment.stream, [])
                mine.append(self._noised(scene, segment, draws, keys[segment.stream], len(mine)))
                given = draws.roles.get(segment)
                values.append(self.reader.wide(scene, segment, mine[-1].x, given))
                present.append(self.reader.present(scene, segment))
            else:
                value, real = self._given(params, scene, segment, draws, keys["given"])
                values.append(value)
                present.append(real)
        out: dict[Stream, Array] = call(
            network(self.blueprint),
            params["model"],
            layout,
            Tokens(tuple(values), jnp.concatenate(present, axis=1), scene.embodiment),
            draws.history | {stream: self._told(mine) for stream, mine in noised.items()},
            method="denoise",
            wanted=tuple(stream for stream, _ in lesson.losses),
        )
        parts, total = {}, jnp.zeros(())
        for stream, weight in lesson.losses:
            if stream not in out:
                continue
            if stream in noised:
                part = self._denoised_loss(stream, out[stream], noised[stream])
            else:
                part = self._read_loss(params, scene, stream, out[stream])
            parts[f"loss/{stream}"] = part
            total = total + weight * part
        return total, parts

    def _draws(self, lesson: Lesson, keys: dict[str, Key], rows: int) -> Draws:
        """What the examples are drawn."""
        told = self.told(keys["role"], rows)
        return Draws(
            sigma=self.levels(lesson, keys["levels"], rows),
            delay=draw_delays(keys["delay"], rows, self.config.delay),
            history=self._history_levels(keys["history"], rows),
            roles={} if told is None else dict(zip(self.subjects, told.T, strict=True)),
        )

    def _given(
        self, params: Params, scene: Scene, segment: Segment, draws: Draws, key: Key
    ) -> tuple[Array, Array]:
        """Values of a segment that is not denoised, with the noise of its history, and which of
        its tokens are real in the role of an example."""
        value, real = self.reader.values(params, scene, segment)
        if segment in draws.roles:
            real = real & draws.roles[segment][:, None]
        if segment.kind in draws.history:
            same = [s for s in self.blueprint.training.segments if s.kind == segment.kind]
            place = same.index(segment)
            noise = jax.random.normal(jax.random.fold_in(key, place), value.shape)
            value = corrupt(value, noise, draws.history[segment.kind][:, place])
        return value, real

    def _noised(self, scene: Scene, segment: Segment, draws: Draws, key: Key, place: int) -> Noised:
        """A segment that is denoised: `place` among those of its stream."""
        clean, mask = self.reader.clean(scene, segment)
        noise = jax.random.normal(jax.random.fold_in(key, place), clean.shape)
        level = draws.sigma[segment.stream]
        level = level if level.ndim == 1 else level[:, place]
        x = corrupt(clean, noise, level)
        continued = self.config.continued if self.config.delay else ()
        if segment in continued:
            before = sum(s.count for s in continued[: continued.index(segment)])
            decided = jnp.clip(draws.delay - before, 0, segment.count)
            x, level, scored = delayed(clean, noise, level, decided)
            mask = mask & scored
        given = draws.roles.get(segment)
        if given is not None:
            x = jnp.where(given[:, None, None], clean, x)
            level = jnp.where(given, 0.0, level)
            mask = mask & ~given[:, None, None]
        return Noised(x, clean, noise, level, mask)

    def _told(self, mine: list[Noised]) -> Array:
        """The levels that the model is told of a stream: [B, segments], or [B, tokens]."""
        if all(one.level.ndim == 1 for one in mine):
            return jnp.stack([one.level for one in mine], axis=1)
        return jnp.concatenate([one.marks for one in mine], axis=1)

    def _denoised_loss(self, stream: Stream, out: Array, mine: list[Noised]) -> Array:
        """Of what is predicted from noise."""
        clean, noise, level, mask = (
            jnp.concatenate(columns, axis=1)
            for columns in zip(*((m.clean, m.noise, m.marks, m.mask) for m in mine), strict=True)
        )
        if stream == "action" and self.learning.parts:
            return parts_loss(self.learning.parts, out, clean, mask)
        prediction = dict(self.settings.predictions).get(stream, "velocity")
        target = {"velocity": velocity(clean, noise), "clean": clean, "noise": noise}[prediction]
        weight = self.learning.weight if prediction == "velocity" else "none"
        shift = self.learning.laws.laws[stream].shift
        return velocity_loss(out, target, mask, loss_weight(weight, level[..., None], shift))

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
        law = {"share": noisy.share, "least": noisy.least, "most": noisy.most}
        return {kind: draw_history_levels(key, rows, count, **law)}
