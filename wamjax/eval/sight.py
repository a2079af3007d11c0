"""What a policy is shown at step t of an episode, of now and of the past.

    frames          what states[t + offset] look like, for the offsets it needs
    past actions    actions[t - P] ... actions[t - 1], raw, as they were executed
    masks           True where t + offset >= 0, or t - k >= 0

Before the start stands the first state, and no motion at all (zeros); both are masked, as in the
windows that the policy was trained on (`wamjax.data.windows.windows`). Memory is what an episode
carries for that from plan to plan.
"""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from wamjax.core.records import Observation
from wamjax.core.typing import Array, Bool, Float, PyTree
from wamjax.eval.worlds import Env
from wamjax.policy.base import Needs, Policy, check_observation, views_for


@flax.struct.dataclass
class Moment:
    """What there is to be shown, of one world or of E of them.

    Attributes:
        states: now; with a history [T, ...], the newest last.
        there: bool [T], the state lies inside the episode; None without a history.
        actions: float32 [P, A], executed before now, the newest last; None where none are shown.
        acted: bool [P], the action lies inside the episode.
    """

    states: PyTree
    there: Bool[Array, "*E T"] | None = None
    actions: Float[Array, "*E P A"] | None = None
    acted: Bool[Array, "*E P"] | None = None


# A moment -> what is seen of it
Observe = Callable[[Any], Observation]


@flax.struct.dataclass
class Memory:
    """What E episodes carry from plan to plan.

    Attributes:
        states: those of the last ticks, now among them, the newest last, [ticks, E, ...]; None
            where now is enough.
        actions: float32 [P, E, A], the last ones; None where none are shown.
    """

    states: PyTree
    actions: Float[Array, "P E A"] | None

    @classmethod
    def begun(cls, needs: Needs | None, states: PyTree, worlds: int) -> "Memory":
        """At the start, whose states are [E, ...]."""
        if needs is None:
            return cls(None, None)
        reach = 1 - int(needs.offsets[0])
        shape = (needs.past_actions, worlds, needs.action)
        return cls(
            repeated(states, reach) if reach > 1 else None,
            jnp.zeros(shape, jnp.float32) if needs.past_actions else None,
        )

    def later(self, states: PyTree, actions: Float[Array, "R E A"]) -> "Memory":
        """After R ticks with these actions, which led to these states [R, E, ...]."""

        def last(old: Array, new: Array) -> Array:
            return jnp.concatenate([old, new])[-old.shape[0] :]

        kept = None if self.states is None else jax.tree.map(last, self.states, states)
        return Memory(kept, None if self.actions is None else last(self.actions, actions))

    def moments(self, needs: Needs | None, states: PyTree, step: Array) -> Moment:
        """What there is to be shown of E worlds in these states [E, ...] at a control step."""
        there, actions, acted = None, None, None
        if needs is not None and self.states is not None:
            offsets = needs.offsets
            newest = -int(offsets[0])
            states = jax.tree.map(
                lambda leaf: jnp.swapaxes(leaf[newest + offsets], 0, 1), self.states
            )
            inside = step + offsets >= 0
            there = jnp.broadcast_to(inside, (jax.tree.leaves(states)[0].shape[0], len(offsets)))
        if self.actions is not None:
            count = self.actions.shape[0]
            actions = jnp.swapaxes(self.actions, 0, 1)
            acted = jnp.broadcast_to(step + jnp.arange(-count, 0) >= 0, actions.shape[:2])
        return Moment(states, there, actions, acted)


def repeated(tree: PyTree, times: int) -> PyTree:
    """Every leaf `times` times along a new first axis."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (times, *leaf.shape)), tree)


def viewer(policy: Policy, env: Env, variant: PyTree) -> tuple[Observe, Observation]:
    """What the policy sees of a moment, and its shapes: its cameras in its order, blank if blind.

    Args:
        policy: says what it needs.
        env: the environment.
        variant: one variant, or its shapes.

    Raises:
        UserError: a camera is missing or a shape differs; raised before anything is compiled.
    """
    needs = policy.needs
    if needs is None:
        blank = jax.eval_shape(lambda v: env.observe(env.reset_variant(v)), variant)
        return blank_view(blank), blank
    views = views_for(needs, env.cameras)

    def look(state: Any) -> Observation:
        seen = env.observe(state)
        # Slices by constants, not a gather: XLA then drops the drawing of unused cameras.
        return seen.replace(  # pyright: ignore
            frames=jnp.stack([seen.frames[view] for view in views]),
            camera_mask=jnp.stack([seen.camera_mask[view] for view in views]),
        )

    def recall(states: PyTree, there: Array) -> Observation:
        seen = jax.vmap(look)(states)
        newest = jax.tree.map(lambda leaf: leaf[-1], seen)
        return newest.replace(frames=jnp.moveaxis(seen.frames[:, :, 0], 0, 1), frame_mask=there)

    def observe(moment: Moment) -> Observation:
        there = moment.there
        seen = look(moment.states) if there is None else recall(moment.states, there)
        return seen.replace(past_actions=moment.actions, past_action_mask=moment.acted)  # pyright: ignore

    def first(variant: Any) -> Observation:
        start = repeated(env.reset_variant(variant), 1)
        moments = Memory.begun(needs, start, 1).moments(needs, start, jnp.zeros((), jnp.int32))
        return observe(jax.tree.map(lambda leaf: leaf[0], moments))

    shapes = jax.eval_shape(first, variant)
    check_observation(needs, shapes)
    return observe, shapes


def blank_view(shapes: Observation) -> Observe:
    """Zeros of these shapes, whatever the moment."""
    return lambda moment: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
