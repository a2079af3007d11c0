"""The state of training, where each part of it lives, and its sharded birth.

shapes -> shardings -> jitted init: no weight ever exists unsharded.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from wamjax.core.errors import UserError
from wamjax.core.runtime import once_jit
from wamjax.core.tree import count_parameters, leaves_by_path
from wamjax.core.typing import Array, Key, Params, PyTree
from wamjax.parallel.shardings import param_shardings, replicated, slot_sharding, unbox
from wamjax.train.config import TrainConfig
from wamjax.train.optimizer import decay_mask, learning_rate_schedule, make_optimizer
from wamjax.train.protocols import System
from wamjax.train.selection import part, trained_mask
from wamjax.train.spikes import Window, empty_window
from wamjax.train.stages import Stage


@flax.struct.dataclass
class TrainState:
    """All that a step changes.

    Attributes:
        step: int32 [], steps done over all stages.
        params: the weights.
        ema: the averaged weights, same structure and sharding.
        opt_state: optax state of the trained weights of the current stage.
        window: losses of the stage so far, where spikes are looked for (train.spikes).
    """

    step: Array
    params: Params
    ema: Params
    opt_state: PyTree
    window: Window | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A stage made concrete for one model on one mesh.

    Attributes:
        stage: its steps, objective and patterns.
        mesh: the device mesh.
        mask: True at trained weights.
        optimizer: over the trained half.
        schedule: learning rate by count within the stage.
        abstract: TrainState of ShapeDtypeStructs with shardings.
        window: steps over which spikes are looked for; None for not at all.
        trained: number of trained scalars.
        total: number of all scalars.
    """

    stage: Stage
    mesh: Mesh
    mask: PyTree
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    abstract: TrainState
    window: int | None
    trained: int
    total: int

    @property
    def shardings(self) -> TrainState:
        return jax.tree.map(lambda leaf: leaf.sharding, self.abstract)


def plan_stage(stage: Stage, boxed: Params, config: TrainConfig, mesh: Mesh) -> Plan:
    """Masks, optimizer and shardings of `stage`.

    Args:
        stage: which stage.
        boxed: `jax.eval_shape` of the system's init, boxed.
        config: the training config.
        mesh: the device mesh.

    Raises:
        UserError: a pattern matches nothing, or a large weight does not divide over the mesh.
    """
    shapes = unbox(boxed)
    mask = trained_mask(shapes, stage.train, config.only)
    schedule = learning_rate_schedule(config, stage.steps)
    optimizer = make_optimizer(config, schedule, part(decay_mask(boxed), mask, keep=True))
    places = param_shardings(boxed, mesh)
    whole = replicated(mesh)
    opt_state = jax.eval_shape(optimizer.init, part(shapes, mask, keep=True))
    weights = _placed(shapes, places)
    opt_places = optax.tree_map_params(
        optimizer,
        slot_sharding,
        opt_state,
        part(weights, mask, keep=True),
        transform_non_params=lambda _: whole,
    )
    window = jax.eval_shape(lambda: _window(config.window))
    count: Any = jax.ShapeDtypeStruct((), jnp.int32, sharding=whole)
    return Plan(
        stage=stage,
        mesh=mesh,
        mask=mask,
        optimizer=optimizer,
        schedule=schedule,
        abstract=TrainState(
            step=count,
            params=weights,
            ema=weights,
            opt_state=_placed(opt_state, opt_places),
            window=_placed(window, jax.tree.map(lambda _: whole, window)),
        ),
        window=config.window,
        trained=count_parameters(part(shapes, mask, keep=True)),
        total=count_parameters(shapes),
    )


def _placed(shapes: PyTree, places: PyTree) -> PyTree:
    def one(leaf: Any, place: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    return jax.tree.map(one, shapes, places)


def init_state(system: System, plan: Plan, key: Key) -> TrainState:
    """A fresh state, each weight made on the devices that keep it."""

    def init(key: Key) -> TrainState:
        params = unbox(system.init(key))
        return _begin(params, jnp.int32(0), plan)

    return once_jit(init, out_shardings=plan.shardings)(key)


def begun_with(state: TrainState, given: Mapping[str, Params], plan: Plan) -> TrainState:
    """A fresh state with the weights of some parts ("codec") as they are given, NumPy.

    Raises:
        UserError: they are not those of the model.
    """

    def placed(shape: Any, value: Any) -> Array:
        return jax.make_array_from_callback(shape.shape, shape.sharding, lambda at: value[at])

    found = dict(state.params), dict(state.ema)
    for name, weights in given.items():
        wanted = plan.abstract.params[name]
        shapes = [
            {path: leaf.shape for path, leaf in leaves_by_path(tree).items()}
            for tree in (wanted, weights)
        ]
        if shapes[0] != shapes[1]:
            raise UserError(f"the weights of {name} are not those of this model: train it anew.")
        for tree in found:
            # A buffer of its own for each: both are donated to the first step.
            tree[name] = jax.tree.map(placed, wanted, weights)
    params, ema = found
    return dataclasses.replace(state, params=params, ema=ema)


def begin_stage(state: TrainState, plan: Plan) -> TrainState:
    """The state with which the stage of `plan` starts, from the averages of the one before."""

    def begin(ema: Params, step: Array) -> TrainState:
        return _begin(ema, step, plan)

    return once_jit(begin, out_shardings=plan.shardings)(state.ema, state.step)


def _begin(params: Params, step: Array, plan: Plan) -> TrainState:
    return TrainState(
        step=step,
        params=params,
        # A buffer of its own: both are donated to the first step.
        ema=jax.tree.map(jnp.copy, params),
        opt_state=plan.optimizer.init(part(params, plan.mask, keep=True)),
        window=_window(plan.window),
    )


def _window(length: int | None) -> Window | None:
    return None if length is None else empty_window(length)
