"""What a task is: a record of scene, sampler, wording, success and expert.

Things have numbers, not colours: block 0 is the first that the instruction names, and the palette
(which colour number i has) is drawn from the seed, so pictures do not tell without the words.
"""

import dataclasses
from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.typing import Array, Float, Key, typed
from wamjax.sim.kinematics import Pose
from wamjax.sim.scene import SceneSpec

CANDIDATES = 64


@flax.struct.dataclass
class Layout:
    """Where things are at the start of an episode.

    Attributes:
        blocks: float32 [N, 3], x, y (m) and yaw (rad).
        marks: float32 [M, 2], m.
        fixtures: float32 [F, 3], x, y (m) and yaw (rad).
        tips: float32 [R, 3], m.
    """

    blocks: Array
    marks: Array
    fixtures: Array
    tips: Array


@flax.struct.dataclass
class Situation:
    """What an expert and a success test know: the true state, never pixels.

    Attributes:
        tips: measured poses of the tool points, [R].
        openings: float32 [R], 1 open, 0 closed.
        blocks: poses of the blocks, [N].
        marks: float32 [M, 2], m.
        fixtures: float32 [F, 3], x, y (m), yaw (rad).
        slides: float32 [S], m, how far drawers are out.
        option: int32 [], which of the task's options the instruction asks for.
        taste: float32 [2] in 0..1, drawn from the seed: what the expert prefers where several
            ways lead to the goal.
    """

    tips: Pose
    openings: Array
    blocks: Pose
    marks: Array
    fixtures: Array
    slides: Array
    option: Array
    taste: Array

    @property
    def tip(self) -> Pose:
        """Of the first arm."""
        return self.tips.at(0)

    @property
    def opening(self) -> Array:
        """Of the first gripper."""
        return self.openings[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: as on the command line.
        scene: what is on the table.
        horizon: control ticks after which an episode has failed.
        palette: how many things the instruction tells apart by colour.
        wordings: per option the clean instructions; {a}, {b}, {c} stand for the named things, such
            as "the red cube".
        reasons: per option five wordings that say the goal and not the action (R3).
        noun: what the first named thing is.
        sample: random key -> the layout of a world.
        distance: situation -> m, what is left to do.
        solved: situation -> bool, whether the goal is reached now.
        hold: control ticks in a row that it must stay reached.
        expert: situation -> action float32 [7 per arm] in the frame ee_delta.
        noise: factor on the noise of demonstrations that the expert copes with.
        modes: names of the ways to solve it.
        mode: situation -> which way is being taken, int32 index into modes, or -1 when it does not
            show; the first that shows counts.
    """

    name: str
    scene: SceneSpec
    horizon: int
    palette: int
    wordings: tuple[tuple[str, ...], ...]
    reasons: tuple[tuple[str, ...], ...]
    noun: str
    sample: Callable[[Key], Layout]
    distance: Callable[[Situation], Array]
    solved: Callable[[Situation], Array]
    hold: int
    expert: Callable[[Situation], Array]
    noise: float
    modes: tuple[str, ...]
    mode: Callable[[Situation], Array]


def misread(situation: Situation, options: int) -> list[Situation]:
    """As other instructions would have it: the blocks named the other way round, another option.

    Args:
        situation: the true state.
        options: how many the task has.
    """
    found = []
    if len(situation.blocks.position) > 1:
        blocks = jax.tree.map(lambda leaf: leaf[::-1], situation.blocks)
        found.append(dataclasses.replace(situation, blocks=blocks))
    if options > 1:
        found.append(dataclasses.replace(situation, option=(situation.option + 1) % options))
    return found


@typed
def first_valid(candidates: Float[Array, "n k"], valid: Array) -> Float[Array, "k"]:
    """The first candidate that is valid; the last one if none is."""
    index = jnp.argmax(valid.at[-1].set(True))
    return candidates[index]


def uniform_candidates(key: Key, low: tuple[float, ...], high: tuple[float, ...]) -> Array:
    """CANDIDATES points in a box, float32 [n, k]."""
    return jax.random.uniform(
        key, (CANDIDATES, len(low)), minval=jnp.array(low), maxval=jnp.array(high)
    )


def scattered(
    keys: list[Key],
    low: tuple[float, float],
    high: tuple[float, float],
    apart: float,
    allowed: Callable[[Array], Array] | None = None,
) -> Array:
    """One place per key in a box, each at least `apart` (m) from those before.

    Args:
        keys: one per place.
        low: m, corner of the box.
        high: m, corner of the box.
        apart: m.
        allowed: candidates [n, 2] -> bool [n], where nothing else stands.
    """
    taken, placed = jnp.zeros((0, 2)), []
    for key in keys:
        candidates = uniform_candidates(key, low, high)
        gaps = jnp.linalg.norm(candidates[:, None] - taken[None], axis=-1)
        may = jnp.ones(CANDIDATES, bool) if allowed is None else allowed(candidates)
        free = may & jnp.all(gaps > apart, axis=1)
        nearest = jnp.where(may, jnp.min(gaps, axis=1, initial=9.0), 0.0)
        place = jnp.where(
            jnp.any(free),
            first_valid(candidates, free),
            candidates[jnp.argmax(nearest)],
        )
        placed.append(place)
        taken = jnp.concatenate([taken, place[None]])
    return jnp.stack(placed)
