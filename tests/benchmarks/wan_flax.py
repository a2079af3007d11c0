"""The programs of a Flax model, ours or another: what differs is told, the rest is the same."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

from tests.benchmarks.turns import Player
from tests.benchmarks.wan_work import BETAS, DECAY, EPS, RATE, STEPS, Work, in_order, started

Predict = Callable[[Any, jax.Array, jax.Array, jax.Array], jax.Array]


def player(
    work: Work,
    predict: Predict,
    jit: Callable[..., Any],
    weights: Any,
    numbers: Any,
    *,
    last: bool = False,
) -> Player:
    """A contestant.

    Args:
        work: what to do.
        predict: (weights, latents, text, sigma) -> the prediction.
        jit: the compiler.
        weights, numbers: of the model, in its own tree.
        last: whether channels stand last in its latents, or first as diffusers has them.
    """
    inputs = work.inputs()
    if last:
        inputs = {k: np.moveaxis(x, 1, -1) if x.ndim == 5 else x for k, x in inputs.items()}
    *given, target = (jax.device_put(inputs[k]) for k in ("latents", "text", "sigma", "target"))
    optimizer = optax.adamw(RATE, b1=BETAS[0], b2=BETAS[1], eps=EPS, weight_decay=DECAY)

    def train_step(weights: Any, state: Any, given: list[jax.Array], target: jax.Array) -> Any:
        def loss_of(weights: Any) -> jax.Array:
            return jax.numpy.square(predict(weights, *given) - target).mean()

        loss, slopes = jax.value_and_grad(loss_of)(weights)
        change, state = optimizer.update(slopes, state, weights)
        return optax.apply_updates(weights, change), state, loss

    def fresh() -> list[Any]:
        copied = jax.tree.map(jax.numpy.array, weights)
        return [copied, jax.jit(optimizer.init)(copied), None]

    forward, step = jit(predict), jit(train_step, donate_argnums=(0, 1))
    held = fresh()

    def run_forward() -> None:
        jax.block_until_ready(forward(held[0], *given))

    def run_step() -> None:
        held[:] = jax.block_until_ready(step(*held[:2], given, target))

    def predicted() -> Mapping[str, np.ndarray]:
        out = np.asarray(forward(held[0], *given))
        return {"output": np.moveaxis(out, -1, 1) if last else out}

    def trained() -> Mapping[str, np.ndarray]:
        held[:] = fresh()
        losses = []
        for _ in range(STEPS):
            run_step()
            losses.append(float(held[2]))
        values = in_order(jax.tree.leaves(held[0]), jax.tree.leaves(numbers))
        return {"loss": np.array(losses), "weights": values}

    run, examples = {"forward": (run_forward, predicted), "train step": (run_step, trained)}[
        work.program
    ]
    return started(run, examples, len(target), ("jax", "jaxlib", "flax", "optax"))
