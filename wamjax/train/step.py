"""One optimizer step as one jitted program.

key = fold_in(run_key, step)      so a resumed run draws what the uninterrupted one draws
frames of the batch changed as `train.augment` says, then the loss
gradient of the loss with respect to the trained weights only; frozen ones pass through; of the
batch at once or of its parts one after the other (train.accumulate)
a step that would do harm leaves all but the count as it was (train.spikes)
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding

from wamjax.core.records import Batch
from wamjax.core.runtime import program_jit
from wamjax.core.typing import Array, Key, Params, PyTree
from wamjax.parallel.activations import spread_over
from wamjax.parallel.shardings import replicated
from wamjax.train.accumulate import graded
from wamjax.train.augment import AugmentConfig, augmented
from wamjax.train.optimizer import ema_update, steps_taken
from wamjax.train.protocols import System
from wamjax.train.selection import join, part
from wamjax.train.spikes import if_taken, judge
from wamjax.train.state import Plan, TrainState

# Folded into the step's key for the augmentation's draws, which the loss does not share.
AUGMENT = 0x617567

Step = Callable[[TrainState, Batch, Key], tuple[TrainState, dict[str, Array]]]


def make_step(
    system: System,
    plan: Plan,
    ema: float,
    rows: NamedSharding,
    change: AugmentConfig,
    sigmas: float | None = None,
    parts: int = 1,
) -> Any:
    """The jitted step (state, batch, run_key) -> (state, metrics); the state is donated.

    Args:
        system: gives the loss.
        plan: the stage, its mask, optimizer and shardings.
        ema: decay of the averaged weights.
        rows: sharding of every array of the batch.
        change: how frames are augmented.
        sigmas: what counts as a spike, where the state has a window of losses.
        parts: of the batch, whose gradients are taken one after the other.

    Returns:
        A `jax.jit` function. Metrics are float32 []: "loss", the loss's parts, "grad_norm"
        (before clipping), "learning_rate", "skipped" (1 where the step was not taken).
    """
    stage = plan.stage
    places = part(plan.shardings.params, plan.mask, keep=True)

    def placed(gradient: Params) -> Params:
        return jax.lax.with_sharding_constraint(gradient, places)

    def train_step(
        state: TrainState, batch: Batch, run_key: Key
    ) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(run_key, state.step)
        batch = augmented(change, batch, jax.random.fold_in(key, AUGMENT))
        trained = part(state.params, plan.mask, keep=True)
        frozen = part(state.params, plan.mask, keep=False)

        def loss_of(trained: Params, batch: Batch, key: Key) -> tuple[Array, Any]:
            with spread_over(plan.mesh):
                return system.loss(join(trained, frozen), batch, key, stage.objective)

        (loss, losses), gradient = graded(loss_of, parts, placed)(trained, batch, key)
        norm = optax.tree.norm(gradient)
        taken, window = judge(loss, norm, state.window, sigmas)
        count = state.step - stage.start

        def take(trained: Params, average: Params, opt_state: PyTree) -> tuple[Params, ...]:
            updates, opt_state = plan.optimizer.update(gradient, opt_state, trained)
            trained = optax.apply_updates(trained, updates)
            return trained, ema_update(average, trained, ema, count), opt_state

        average = part(state.ema, plan.mask, keep=True)
        trained, average, opt_state = if_taken(taken, take, trained, average, state.opt_state)
        metrics = {
            "loss": loss,
            **losses,
            "grad_norm": norm,
            "learning_rate": plan.schedule(steps_taken(state.opt_state)),
            "skipped": ~taken,
        }
        after = TrainState(
            step=state.step + 1,
            params=join(trained, frozen),
            ema=join(average, part(state.ema, plan.mask, keep=False)),
            opt_state=opt_state,
            window=window,
        )
        return after, {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}

    whole = replicated(plan.mesh)
    return program_jit(
        train_step,
        in_shardings=(plan.shardings, rows, whole),
        out_shardings=(plan.shardings, whole),
        donate_argnums=0,
    )
