"""What is planned: a program with the shapes of all that enters it; here, a train step.

`eval.plan.sampling` has the other kind, an action chunk.
"""

import dataclasses
import functools
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import AbstractDevice, AbstractMesh, AxisType, Mesh, NamedSharding

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.core.typing import Params, PyTree
from wamjax.data.config import DataConfig
from wamjax.eval.bytes_read import live
from wamjax.eval.chunk_cost import in_type
from wamjax.eval.plan.flops import analytic_flops
from wamjax.model.backends import ways_in
from wamjax.model.config import Remat
from wamjax.parallel.shardings import batch_sharding, replicated
from wamjax.recipes.assembly import AnyConfig, assembled
from wamjax.recipes.blueprint import Blueprint, Recipe
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.learner import Learner
from wamjax.recipes.objectives import PLANS
from wamjax.recipes.on_values import OnValues
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.flops import count_flops
from wamjax.train.lora import adapted
from wamjax.train.run_config import RunConfig
from wamjax.train.stages import Stage
from wamjax.train.state import Plan, plan_stage
from wamjax.train.step import make_step

BYTES = {"bfloat16": 2, "float32": 4}


@dataclasses.dataclass(frozen=True)
class Placed:
    """A program on a mesh.

    Attributes:
        program: a jitted function.
        arguments: shapes with shardings, of all that it takes.
        parts: bytes a device of what stands in memory before and after.
        parameters, trained: weights.
    """

    program: Any
    arguments: tuple[Any, ...]
    parts: dict[str, float]
    parameters: int
    trained: int

    @functools.cached_property
    def traced(self) -> Any:
        """What `jax.jit` traces."""
        return self.program.trace(*self.arguments)

    @functools.cached_property
    def live(self) -> tuple[Any, list[bool]]:
        """The traced program without dead code, and which of the flat arguments are left."""
        return live(self.traced.jaxpr)

    @functools.cached_property
    def flops(self) -> float:
        """Of the program, by a walk over it."""
        return count_flops(self.live[0])


class Case(Protocol):
    """What `planned` needs to know.

    Attributes:
        name: for people.
        what: "train" or "sample".
        rows: examples that enter.
        tokens: of each; None where they are not known.
        counted: FLOPs of the model without the program; None where nobody counts them.
    """

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def counted(self) -> float | None: ...

    def placed(self, mesh: Mesh, /) -> Placed:
        """The program on a mesh."""
        ...

    def walked(self, placed: Placed, mesh: Mesh, /) -> float:
        """FLOPs of the model, by a walk over a program that makes nothing anew."""
        ...

    def moved(self, placed: Placed, kept: float, mesh: Mesh, /) -> float:
        """Bytes from and to a device's memory; `kept` are those of the temporaries."""
        ...


@dataclasses.dataclass(frozen=True)
class Training:
    """A training run whose step is planned.

    Attributes:
        name: for people.
        system: gives weights and loss.
        bare: the same without remat.
        dtype: of the products.
        boxed: shapes of the weights with their logical axes.
        batch: shapes of a batch.
        rows, tokens: examples in it, and the tokens of each (None where they are not known).
        train: optimizer and averages.
        stage: which stage's step.
        blueprint: of a recipe that is trained on values; None for a run's config.
    """

    name: str
    system: Any
    bare: Any
    dtype: str
    boxed: Params
    batch: PyTree
    rows: int
    tokens: int | None
    train: TrainConfig
    stage: Stage
    blueprint: Blueprint | None = None

    @property
    def what(self) -> str:
        return "train"

    @property
    def counted(self) -> float | None:
        """Model FLOPs of a step by counting, see `analytic_flops`."""
        return None if self.blueprint is None else analytic_flops(self.blueprint, self.rows)

    def placed(self, mesh: Mesh) -> Placed:
        """The stage's step."""
        return self._placed(mesh, self.system)

    def planned(self, mesh: Mesh) -> Plan:
        """The stage, made concrete on a mesh."""
        return plan_stage(self.stage, self.boxed, self.train, mesh)

    def _placed(self, mesh: Mesh, system: Any) -> Placed:
        plan = self.planned(mesh)
        rows = batch_sharding(mesh, self.rows, self.train.parts)
        step = make_step(
            system, plan, self.train.ema, rows, self.train.augment, parts=self.train.parts
        )
        arguments = (plan.abstract, on(self.batch, rows), key_on(mesh))
        state = plan.abstract
        parts = {
            "weights": bytes_on(state.params),
            "average": bytes_on(state.ema),
            "optimizer": bytes_on(state.opt_state),
            "batch": bytes_on(arguments[1]),
        }
        return Placed(step, arguments, parts, plan.total, plan.trained)

    def walked(self, placed: Placed, mesh: Mesh) -> float:
        """What remat or a kernel makes anew is not the model's work, nor blocks that are hidden."""
        kernels = {*ways_in(placed.traced.jaxpr).values()} - {"xla"}
        if self.bare is self.system and not kernels:
            return placed.flops
        return self._placed(on_cpus(mesh), self.bare).flops

    def moved(self, placed: Placed, kept: float, mesh: Mesh) -> float:
        """The state once in and once out, gathered weights once a pass, what is kept each way."""
        parts = placed.parts
        state = 2 * (parts["weights"] + parts["average"] + parts["optimizer"]) + parts["batch"]
        gathered = placed.parameters * BYTES[self.dtype] / mesh.shape["tensor"]
        return state + 3 * gathered + 2 * kept


@functools.lru_cache(maxsize=4)
def boxed_of(system: Any) -> Params:
    """Shapes of a system's weights with their logical axes."""
    return jax.eval_shape(system.init, jax.random.key(0))


def tokens_of(system: Any, objective: str) -> int | None:
    """Tokens of an example's sequence; None where there is none (a codec's stage)."""
    if isinstance(system, Learner):
        segments = system.blueprint.training.segments
    elif objective in PLANS:
        segments = system.parts.layout(PLANS[objective], PLANS[objective].trained).segments
    else:
        return None
    return sum(segment.count for segment in segments)


def bytes_on(tree: PyTree) -> float:
    """Bytes of the arrays on one device, by their shardings."""
    total = 0
    for leaf in jax.tree.leaves(tree):
        shard = leaf.sharding.shard_shape(leaf.shape)
        size = 4 if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf.dtype.itemsize
        total += math.prod(shard) * size
    return float(total)


def on_cpus(mesh: Mesh) -> Any:
    """A mesh of the same lengths where no kernel is taken; nothing can be run there."""
    lengths, kind = tuple(mesh.shape.values()), AbstractDevice("cpu", num_cores=None)
    types = (AxisType.Auto,) * len(lengths)
    return AbstractMesh(lengths, tuple(mesh.shape), axis_types=types, abstract_device=kind)


def key_on(mesh: Mesh) -> Any:
    """The shape of a key, whole on every device."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated(mesh))


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


def with_remat(system: AnyConfig, remat: Remat) -> AnyConfig:
    """The config with another policy.

    Raises:
        UserError: it is a recipe's tiny form, which makes nothing anew.
    """
    if isinstance(system, SystemConfig):
        return dataclasses.replace(system, model=dataclasses.replace(system.model, remat=remat))
    if remat != "none":
        raise UserError(f"remat {remat!r} needs a config whose system has a model of its own.")
    return system


def case_of_config(
    config: RunConfig,
    rows: int | None = None,
    remat: Remat | None = None,
    stage: StageConfig | None = None,
) -> Training:
    """A stage of a run, by default its last.

    Args:
        config: of the run.
        rows: instead of its batch.
        remat: instead of its policy.
        stage: one of its stages.
    """
    stage = config.stages[-1] if stage is None else stage
    count = config.train.batch if rows is None else rows
    chosen = config.system if remat is None else with_remat(config.system, remat)
    bare = with_remat(chosen, "none")
    whole = assembled(chosen)
    system = adapted(whole, config.train)
    model = chosen.model if isinstance(chosen, SystemConfig) else chosen.blueprint.model
    return Training(
        name=config.name,
        system=system,
        bare=system if bare == chosen else adapted(assembled(bare), config.train),
        dtype=model.dtype,
        boxed=boxed_of(system),
        batch=batch_of(config.data, chosen.action_dim, chosen.proprio_dim, count),
        rows=count,
        tokens=tokens_of(whole, stage.objective),
        train=config.train,
        stage=Stage(
            name=stage.name, start=0, end=1000, objective=stage.objective, train=stage.train
        ),
    )


def blueprint_of(recipe: Recipe, form: str | None, size: str, dtype: str, remat: Remat) -> Any:
    """A recipe's blueprint with that type and policy."""
    built = in_type(recipe.build(size, form) if form else recipe.build(size), dtype)
    return dataclasses.replace(built, model=dataclasses.replace(built.model, remat=remat))


def case_of_recipe(
    recipe: Recipe,
    rows: int,
    *,
    form: str | None = None,
    size: str = "full",
    dtype: str = "bfloat16",
    remat: Remat = "full",
    train: TrainConfig | None = None,
) -> Training:
    """The last lesson of a recipe, trained on values that its encoders have made."""
    blueprint = blueprint_of(recipe, form, size, dtype, remat)
    lesson = blueprint.learning.lessons[-1]
    system = OnValues(blueprint)
    bare = OnValues(blueprint_of(recipe, form, size, dtype, "none"))
    return Training(
        name=named(recipe, form),
        system=system,
        bare=system if remat == "none" else bare,
        dtype=dtype,
        boxed=boxed_of(system),
        batch=system.batch(rows),
        rows=rows,
        tokens=system.tokens,
        train=TrainConfig() if train is None else train,
        stage=Stage(name=lesson.name, start=0, end=1000, objective=lesson.name, train=lesson.train),
        blueprint=blueprint,
    )


def named(recipe: Recipe, form: str | None) -> str:
    """A recipe and its form, for people."""
    return recipe.name if form is None else f"{recipe.name} {form}"
