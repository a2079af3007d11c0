"""A blueprint of any size, trained on what its encoders would have made of recordings.

    values of every segment -> noise on those that are denoised -> model -> one loss per stream

The step has the passes, weights and collectives of a full-size run behind frozen encoders that ran
before: what `wamjax plan` compiles and `wamjax bench train` times. Velocities are scored against
velocities; what is read in one pass is scored against zero, as its labels are none of ours.
"""

import dataclasses
import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import AnyArray, Array, Float, Key, Params
from wamjax.flow.levels import draw_levels
from wamjax.flow.loss import masked_mean, velocity_loss
from wamjax.flow.path import corrupt, velocity
from wamjax.model.segments import Stream
from wamjax.model.tokens import Tokens
from wamjax.recipes.blueprint import Blueprint, Lesson
from wamjax.recipes.network import initial, network, values_shape
from wamjax.recipes.parts import call


@flax.struct.dataclass
class Values:
    """What the encoders made of B windows.

    Attributes:
        values: per segment of the training sequence, float32 [B, tokens, width];
            words are integers.
        real: bool [B, N], False for padding.
        domain: int32 [B], for models with weights per domain.
    """

    values: tuple[AnyArray, ...]
    real: AnyArray
    domain: AnyArray


@dataclasses.dataclass(frozen=True)
class OnValues:
    """A system of `train.protocols.System` whose batches are `Values`."""

    blueprint: Blueprint

    def init(self, key: Key) -> Params:
        """Fresh weights, boxed with their logical axes."""
        return initial(self.blueprint, key)

    def lesson(self, name: str) -> Lesson:
        """The stage of training called `name`."""
        lessons = self.blueprint.learning.lessons
        return next(lesson for lesson in lessons if lesson.name == name)

    def batch(self, rows: int) -> Values:
        """The shapes of a batch, without its arrays."""
        layout = self.blueprint.training
        struct: Any = jax.ShapeDtypeStruct
        shapes = values_shape(self.blueprint, layout)
        values = tuple(struct((rows, *shape), jnp.float32) for shape in shapes)
        count = sum(segment.count for segment in layout.segments)
        return Values(values, struct((rows, count), jnp.bool_), struct((rows,), jnp.int32))

    @functools.cached_property
    def tokens(self) -> int:
        """Tokens of the training sequence."""
        return sum(segment.count for segment in self.blueprint.training.segments)

    def loss(
        self, params: Params, batch: Values, key: Key, objective: str
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The loss of a lesson, and its parts by stream."""
        blueprint, lesson = self.blueprint, self.lesson(objective)
        keys = named_keys(key, "levels", "noise")
        segments = blueprint.training.segments
        noisy = [segment.stream for segment in segments if segment.copy == "noisy"]
        rows = batch.real.shape[0]
        laws = blueprint.learning.levels
        sigma = draw_levels(laws, keys["levels"], rows, streams=tuple(dict.fromkeys(noisy)))
        values, targets = [], {}
        for place, (segment, given) in enumerate(zip(segments, batch.values, strict=True)):
            value = jnp.asarray(given)
            if segment.copy == "noisy":
                noise = jax.random.normal(jax.random.fold_in(keys["noise"], place), value.shape)
                targets.setdefault(segment.stream, []).append(velocity(value, noise))
                value = corrupt(value, noise, sigma[segment.stream])
            values.append(value)
        out: dict[Stream, Array] = call(
            network(blueprint),
            params,
            blueprint.training,
            Tokens(tuple(values), jnp.asarray(batch.real), jnp.asarray(batch.domain)),
            sigma,
            method="denoise",
        )
        parts: dict[str, Array] = {}
        total = jnp.zeros(())
        for stream, weight in lesson.losses:
            if stream not in out:
                continue
            read = out[stream]
            if stream in targets:
                # What stands beside the values of a stream is not denoised.
                wanted = jnp.concatenate(targets[stream], axis=1)
                part = velocity_loss(read, wanted[..., : read.shape[-1]], jnp.bool_(True))
            else:
                part = masked_mean(jnp.square(read), jnp.bool_(True))
            parts[f"loss/{stream}"] = part
            total = total + weight * part
        return total, parts
