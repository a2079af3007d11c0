"""Best of several chunks, by the value of what they lead to (Cosmos-Policy, arXiv 2601.16163).

    chunk    ~ policy(now)                     N of them
    future   ~ world model(now, chunk)         a few of each
    value    ~ value(now, chunk, future)       a few of each, in more and more solver steps
    answer     the chunk with the highest mean value

Latent frames go from one to the next as they were denoised.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp

from wamjax.codec.paint import read
from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Float, Key
from wamjax.model.segments import Segment

# Place in a painted sequence -> its latent frame [B, N, c]
Frames = Mapping[int, Array]
# (form, frames that it may be given, key, solver steps or its own) -> the frames it denoises
Draw = Callable[[str, Frames, Key, int | None], Frames]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planning:
    """How a recipe plans.

    Attributes:
        candidates: chunks, as published.
        futures: of each chunk.
        values: solver steps of each value of a future.
        policy, world, judge: the forms that draw chunks, futures and values.
    """

    candidates: int
    futures: int
    values: tuple[int, ...]
    policy: str
    world: str
    judge: str

    def judged(self, steps: int | None) -> tuple[int, ...]:
        """Solver steps of each value, none above `steps`."""
        return tuple(own if steps is None else min(own, steps) for own in self.values)

    def walks(self, candidates: int, steps: int | None) -> list[tuple[str, int | None, int]]:
        """Every walk of a plan: its form, its solver steps (None: its own), sequences at once."""
        futures = candidates * self.futures
        judged = [(self.judge, own, futures) for own in self.judged(steps)]
        return [(self.policy, steps, candidates), (self.world, steps, futures), *judged]


def apart(segments: Iterable[Segment], denoised: Float[Array, "B N c"]) -> dict[int, Array]:
    """Denoised tokens of a sequence, frame by frame."""
    frames, start = {}, 0
    for segment in (s for s in segments if s.copy == "noisy"):
        frames[round(segment.start)] = denoised[:, start : start + segment.count]
        start += segment.count
    return frames


def value_of(frame: Float[Array, "B N c"]) -> Float[Array, " B"]:
    """What a frame that holds a value says, in 0 ... 1; it is painted in -1 ... 1."""
    return jnp.clip((read(frame[:, None], 1)[:, 0] + 1.0) / 2.0, 0.0, 1.0)


def best_of(
    draw: Draw,
    planning: Planning,
    place: int,
    key: Key,
    *,
    candidates: int,
    steps: int | None = None,
) -> tuple[dict[int, Array], Float[Array, " B"]]:
    """The frames of the best chunk and its mean value; all candidates are drawn at once.

    Args:
        draw: from one observation.
        planning: how.
        place: of the frame that holds the value.
        key: of all draws.
        candidates: N.
        steps: of every walk instead of its own.
    """
    keys = named_keys(key, "candidates", "futures")

    def candidate(own: Key, ahead: Key) -> tuple[dict[int, Array], Array]:
        chunk = dict(draw(planning.policy, {}, own, steps))
        futures = jax.vmap(lambda key: judged(chunk, key))(
            jax.random.split(ahead, planning.futures)
        )
        return chunk, futures.mean((0, 1))

    def judged(chunk: Frames, key: Key) -> Float[Array, "M B"]:
        keys = named_keys(key, "future", "values")
        future = {**chunk, **draw(planning.world, chunk, keys["future"], steps)}
        values = [
            draw(planning.judge, future, jax.random.fold_in(keys["values"], turn), own)[place]
            for turn, own in enumerate(planning.judged(steps))
        ]
        return jnp.stack([value_of(frame) for frame in values])

    split = (jax.random.split(keys[name], candidates) for name in ("candidates", "futures"))
    drawn, values = jax.vmap(candidate)(*split)
    best = jnp.argmax(values, axis=0)
    rows = jnp.arange(best.shape[0])
    return {name: frames[best, rows] for name, frames in drawn.items()}, values[best, rows]
