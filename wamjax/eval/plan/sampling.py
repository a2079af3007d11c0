"""An action chunk as a plan's program: from what a policy is shown to its actions.

A recipe samples from the values that its encoders have made, with weights in the type of its
products, as a robot would load them; a run's system samples from frames, with float32 weights, as
it is evaluated.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding

from wamjax.core.errors import UserError
from wamjax.core.runtime import program_jit
from wamjax.core.typing import Array, Key, Params, PyTree
from wamjax.eval.bytes_read import bytes_read
from wamjax.eval.chunk_cost import passes
from wamjax.eval.chunk_time import chunk
from wamjax.eval.chunk_time import inputs as chunk_inputs
from wamjax.eval.plan.case import Placed, batch_of, blueprint_of, bytes_on, key_on, named, on
from wamjax.parallel.activations import spread_over
from wamjax.parallel.shardings import batch_sharding, param_shardings, unbox
from wamjax.recipes.assembly import assembled
from wamjax.recipes.blueprint import Recipe
from wamjax.recipes.forms import predicted
from wamjax.recipes.learner import Learner
from wamjax.recipes.network import initial
from wamjax.train.run_config import RunConfig


@dataclasses.dataclass(frozen=True)
class Sampling:
    """A chunk whose program is planned; see `eval.plan.case.Case`.

    Attributes:
        name: for people.
        act: (weights, given, key) -> actions, all of B rows.
        boxed: shapes of the weights with their logical axes.
        given: shapes of what a policy is shown.
        rows: chunks at once.
        counted: FLOPs of the passes, see `chunk_cost`; None for a run's config.
    """

    name: str
    act: Any
    boxed: Params
    given: PyTree
    rows: int
    counted: float | None

    @property
    def what(self) -> str:
        return "sample"

    @property
    def tokens(self) -> None:
        """They differ from pass to pass."""
        return None

    def placed(self, mesh: Mesh) -> Placed:
        """The program with weights split as in training."""
        rows, places = batch_sharding(mesh, self.rows), param_shardings(self.boxed, mesh)

        def sample(weights: Params, given: PyTree, key: Key) -> PyTree:
            with spread_over(mesh):
                return self.act(weights, given, key)

        weights = jax.tree.map(_at, unbox(self.boxed), places)
        arguments = (weights, on(self.given, rows), key_on(mesh))
        shardings = (places, rows, arguments[2].sharding)
        program = program_jit(sample, in_shardings=shardings, out_shardings=rows)
        parts = {"weights": bytes_on(weights), "batch": bytes_on(arguments[1])}
        count = sum(leaf.size for leaf in jax.tree.leaves(weights))
        return Placed(program, arguments, parts, count, 0)

    def walked(self, placed: Placed, mesh: Mesh) -> float:
        """Nothing is made anew: the program is the model's work."""
        del mesh
        return placed.flops

    def moved(self, placed: Placed, kept: float, mesh: Mesh) -> float:
        """The weights as often as they are read; cached keys and what is between are left out."""
        del kept
        words = ["weights"] * len(jax.tree.leaves(placed.arguments[0]))
        words += [None] * len(jax.tree.leaves(placed.arguments[1:]))
        jaxpr, left = placed.live
        read = bytes_read(jaxpr, [word for word, kept in zip(words, left, strict=True) if kept])
        return read["weights"] / mesh.shape["tensor"] + placed.parts["batch"]


def _at(leaf: Any, place: NamedSharding) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def sampling_of_config(config: RunConfig, rows: int) -> Sampling:
    """What `wamjax eval` asks a run's policy for.

    Raises:
        UserError: it predicts no actions.
    """
    system, data = assembled(config.system), config.data
    if isinstance(system, Learner) and "action" not in system.predicts:
        raise UserError(f"{config.name} samples no actions: plan its training alone.")
    batch = batch_of(data, config.system.action_dim, config.system.proprio_dim, rows)
    kept = jax.eval_shape(lambda batch: batch.frames[:, :, : data.history], batch)
    given = {"frames": kept, "camera_mask": batch.camera_mask, "proprio": batch.proprio}
    given["text"] = batch.text
    if data.past_actions:
        given["past"] = (batch.past_actions, batch.past_action_mask)
    if data.goal != "none":
        given["goal"] = (batch.goal, batch.goal_mask)

    def act(weights: Params, given: dict[str, Any], key: Key) -> Array:
        return system.sample_actions(weights, **given, key=key)

    boxed = jax.eval_shape(system.init, jax.random.key(0))
    return Sampling(config.name, act, boxed, given, rows, None)


def sampling_of_recipe(
    recipe: Recipe,
    rows: int,
    *,
    form: str | None = None,
    size: str = "full",
    dtype: str = "bfloat16",
) -> Sampling:
    """A recipe's sampler program, its own number of steps.

    Raises:
        UserError: the form samples no actions.
    """
    blueprint = blueprint_of(recipe, form, size, dtype, "none")
    if "action" not in predicted(blueprint):
        raise UserError(f"{named(recipe, form)} samples no actions: plan its training alone.")
    standing, given = given_of(blueprint, rows)

    def act(weights: Params, given: tuple[Any, Any], key: Key) -> dict[str, Array]:
        values, noise = given
        return chunk(blueprint, weights, values, noise, key, standing=standing)

    boxed = jax.eval_shape(functools.partial(initial, blueprint), jax.random.key(0))
    loaded = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype)), boxed)
    counted = sum(one.count * one.flops for one in passes(blueprint, rows))
    return Sampling(named(recipe, form), act, loaded, given, rows, counted)


def given_of(blueprint: Any, rows: int) -> tuple[Any, Any]:
    """(standing segments, shapes of their values and of the noise), without making them."""
    standing: list[Any] = []

    def shown() -> Any:
        segments, (values, noise, _) = chunk_inputs(blueprint, rows)
        standing.append(segments)
        return values, noise

    shapes = jax.eval_shape(shown)
    return standing[0], shapes
