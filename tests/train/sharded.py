"""A published system's training state on a mesh: what it was declared to be, and what it is."""

import dataclasses
import functools
from typing import Any

import jax
from jax.sharding import Mesh

from tests.parallel.test_every_mesh import ROWS, drawn, system
from wamjax.parallel.shardings import batch_sharding, replicated
from wamjax.train.config import TrainConfig
from wamjax.train.stages import Stage
from wamjax.train.state import Plan, TrainState, init_state, plan_stage
from wamjax.train.step import make_step

CONFIG = TrainConfig(batch=ROWS)


@functools.cache
def boxed(name: str) -> Any:
    """Shapes of the weights with the axes they declare."""
    return jax.eval_shape(system(name).init, jax.random.key(0))


@dataclasses.dataclass(frozen=True)
class Sharded:
    """`fast_wam` at its tiny size on a mesh."""

    mesh: Mesh
    name: str = "fast_wam"

    @functools.cached_property
    def plan(self) -> Plan:
        one = system(self.name)
        lesson = one.blueprint.learning.lessons[-1]
        stage = Stage(name=lesson.name, start=0, end=10, objective=lesson.name, train=lesson.train)
        return plan_stage(stage, boxed(self.name), CONFIG, self.mesh)

    def fresh(self) -> TrainState:
        return init_state(system(self.name), self.plan, jax.random.key(0))

    @functools.cached_property
    def step(self) -> Any:
        rows = batch_sharding(self.mesh, ROWS)
        return make_step(system(self.name), self.plan, CONFIG.ema, rows, CONFIG.augment)

    def after(self, state: TrainState, steps: int) -> tuple[TrainState, list[dict[str, Any]]]:
        """The state after so many steps, and their metrics."""
        batch = jax.device_put(drawn(self.name)[1], batch_sharding(self.mesh, ROWS))
        key = jax.device_put(jax.random.key(3), replicated(self.mesh))
        told = []
        for _ in range(steps):
            state, metrics = self.step(state, batch, key)
            told.append(metrics)
        return state, told


def lies_as_declared(state: TrainState, plan: Plan) -> None:
    """Every weight, average, optimizer slot and count."""
    declared, there = jax.tree.leaves(plan.abstract), jax.tree.leaves(state)
    for wanted, leaf in zip(declared, there, strict=True):
        assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)
        assert (leaf.shape, leaf.dtype) == (wanted.shape, wanted.dtype)
