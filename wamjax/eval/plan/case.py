"""What is planned: a train step with the shapes of all that enters it."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from wamjax.core.records import Batch
from wamjax.core.typing import Params, PyTree
from wamjax.data.config import DataConfig
from wamjax.eval.chunk_cost import in_type
from wamjax.eval.plan.flops import analytic_flops
from wamjax.model.config import Remat
from wamjax.parallel.shardings import batch_sharding, replicated
from wamjax.recipes.assembly import assembled
from wamjax.recipes.blueprint import Blueprint, Recipe
from wamjax.recipes.on_values import OnValues
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig
from wamjax.train.stages import Stage
from wamjax.train.state import Plan, plan_stage
from wamjax.train.step import make_step


@dataclasses.dataclass(frozen=True)
class Case:
    """A training run whose step is planned.

    Attributes:
        name: for people.
        system: gives weights and loss.
        batch: shapes of a batch.
        rows: examples in it.
        train: optimizer and averages.
        stage: which stage's step.
        blueprint: of a recipe that is trained on values; None for a run's config.
    """

    name: str
    system: Any
    batch: PyTree
    rows: int
    train: TrainConfig
    stage: Stage
    blueprint: Blueprint | None = None

    @functools.cached_property
    def boxed(self) -> Params:
        """Shapes of the weights with their logical axes."""
        return jax.eval_shape(self.system.init, jax.random.key(0))

    @property
    def tokens(self) -> int | None:
        """Tokens of an example; None where the system does not tell."""
        return self.system.tokens if self.blueprint is not None else None

    @property
    def analytic(self) -> float | None:
        """Model FLOPs of a step by counting, see `analytic_flops`."""
        return None if self.blueprint is None else analytic_flops(self.blueprint, self.rows)

    def placed(self, mesh: Mesh) -> tuple[Plan, Any, tuple[Any, ...]]:
        """(the stage on a mesh, its jitted step, shapes of what the step takes)."""
        plan = plan_stage(self.stage, self.boxed, self.train, mesh)
        rows = batch_sharding(mesh, self.rows, self.train.parts)
        step = make_step(
            self.system, plan, self.train.ema, rows, self.train.augment, parts=self.train.parts
        )
        key = jax.eval_shape(lambda: jax.random.key(0))
        whole = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated(mesh))
        return plan, step, (plan.abstract, on(self.batch, rows), whole)


def on(shapes: PyTree, place: NamedSharding) -> PyTree:
    """The shapes, all with one sharding."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), shapes
    )


def batch_of(data: DataConfig, action: int, proprio: int, rows: int) -> Batch:
    """Shapes of a batch as the loader delivers it."""
    views, side = len(data.cameras), data.image_size
    sizes: dict[str, tuple[tuple[int, ...], Any]] = {
        "frames": ((views, data.frames, side, side, 3), jnp.uint8),
        "camera_mask": ((views,), jnp.bool_),
        "frame_mask": ((data.frames,), jnp.bool_),
        "actions": ((data.chunk, action), jnp.float32),
        "action_mask": ((data.chunk, action), jnp.bool_),
        "proprio": ((proprio,), jnp.float32),
        "proprio_mask": ((proprio,), jnp.bool_),
        "text": ((data.text_length,), jnp.uint8),
        "index": ((), jnp.int32),
    }
    if data.goal != "none":
        sizes["goal"] = ((views, side, side, 3), jnp.uint8)
        sizes["goal_mask"] = ((views,), jnp.bool_)
    if data.past_actions:
        sizes["past_actions"] = ((data.past_actions, action), jnp.float32)
        sizes["past_action_mask"] = ((data.past_actions, action), jnp.bool_)
    if data.value_discount is not None:
        sizes["next_proprio"] = ((proprio,), jnp.float32)
        sizes["next_proprio_mask"] = ((proprio,), jnp.bool_)
        sizes["value"] = ((), jnp.float32)
        sizes["value_mask"] = ((), jnp.bool_)
    struct: Any = jax.ShapeDtypeStruct
    return Batch(**{name: struct((rows, *shape), dtype) for name, (shape, dtype) in sizes.items()})


def case_of_config(config: RunConfig, rows: int | None = None) -> Case:
    """The last stage of a run; `rows` instead of its batch."""
    stage = config.stages[-1]
    count = config.train.batch if rows is None else rows
    system = config.system
    return Case(
        name=config.name,
        system=assembled(system),
        batch=batch_of(config.data, system.action_dim, system.proprio_dim, count),
        rows=count,
        train=config.train,
        stage=Stage(
            name=stage.name, start=0, end=1000, objective=stage.objective, train=stage.train
        ),
    )


def case_of_recipe(
    recipe: Recipe,
    rows: int,
    *,
    form: str | None = None,
    size: str = "full",
    dtype: str = "bfloat16",
    remat: Remat = "full",
    train: TrainConfig | None = None,
) -> Case:
    """The last lesson of a recipe, trained on values that its encoders have made."""
    blueprint = in_type(recipe.build(size, form) if form else recipe.build(size), dtype)
    model = dataclasses.replace(blueprint.model, remat=remat)
    blueprint = dataclasses.replace(blueprint, model=model)
    lesson = blueprint.learning.lessons[-1]
    system = OnValues(blueprint)
    return Case(
        name=recipe.name if form is None else f"{recipe.name} {form}",
        system=system,
        batch=system.batch(rows),
        rows=rows,
        train=TrainConfig() if train is None else train,
        stage=Stage(name=lesson.name, start=0, end=1000, objective=lesson.name, train=lesson.train),
        blueprint=blueprint,
    )
