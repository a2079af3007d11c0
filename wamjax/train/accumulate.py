"""The gradient of a batch, part after part: the memory of a part, the gradient of the whole.

    loss, gradient = mean over parts of those of each part, its masked means divided as in the whole

The parts go through one loop inside the step (`optax.microbatching`), each example stays on the
device that has it. Every part has its own key, so the draws are others than those of a batch that
is taken at once; they follow the same laws.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr
from optax.microbatching import AccumulationType, microbatch

from wamjax.core.typing import Array, Key, Params, PyTree
from wamjax.flow.divisors import counting, divided_by

Loss = Callable[[Params, PyTree, Key], tuple[Array, Any]]
F = TypeVar("F", bound=Callable[..., Any])
Grade = Callable[[Params, PyTree, Key], tuple[tuple[Array, Any], Params]]


def graded(loss: Loss, parts: int, placed: Callable[[Params], Params]) -> Grade:
    """Value and gradient of `loss` (weights, batch [B, ...], key) -> (scalar, numbers by name).

    Args:
        loss: a mean over examples, or sums of `flow.loss.masked_mean`.
        parts: into how many parts the batch is split; B is a multiple of it.
        placed: says where a gradient lives.
    """
    grade = jax.value_and_grad(loss, has_aux=True)
    if parts == 1:
        return grade

    def run(weights: Params, batch: PyTree, key: Key) -> tuple[tuple[Array, Any], Params]:
        rows = jax.tree.leaves(batch)[0].shape[0]

        @without_dead_code
        def counted(batch: PyTree, place: Array) -> list[Array]:
            with counting() as counts:
                loss(weights, batch, jax.random.fold_in(key, place[0]))
            return counts

        def one(batch: PyTree, place: Array) -> tuple[tuple[Array, Any], Params]:
            with divided_by(counts, parts):
                found, gradient = grade(weights, batch, jax.random.fold_in(key, place[0]))
            return found, placed(gradient)

        walk = {"argnums": (0, 1), "microbatch_size": rows // parts}
        # The first example of a part tells the part.
        places = jnp.arange(rows)
        counts = microbatch(counted, accumulator=AccumulationType.SUM, **walk)(batch, places)
        return microbatch(one, accumulator=AccumulationType.MEAN, **walk)(batch, places)

    return run


def without_dead_code(function: F) -> F:
    """`function` of arrays without what its results do not depend on, so that it costs nothing."""

    def run(*arguments: Any) -> Any:
        whole, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        live, _ = dce_jaxpr(whole.jaxpr, [True] * len(whole.out_avals), instantiate=True)
        results = jaxpr_as_fun(ClosedJaxpr(live, whole.consts))(*jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return cast(F, run)
