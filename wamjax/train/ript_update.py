"""One optimizer step of RL as one jitted program: PPO on a minibatch of rewarded plans.

    each epoch      the plans in a random order, those that count spread evenly over the minibatches
    each minibatch  weights <- AdamW(weights, -gradient of the clipped objective of train.reinforce)

A ratio belongs to one action of a chunk and one step of its walk (or to the one step of a head that
is read once): the sum over a whole chunk's walk, hundreds of Gaussians, would leave the clip's
range at the first update. Shapes are fixed; plans that do not count are masked.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from wamjax.core.runtime import program_jit
from wamjax.core.typing import Array, Key, Params
from wamjax.parallel.shardings import replicated
from wamjax.train.experience import Experience, LogProbs
from wamjax.train.optimizer import ema_update
from wamjax.train.reinforce import clipped_fraction, clipped_objective
from wamjax.train.ript_config import RiptConfig
from wamjax.train.selection import join, part
from wamjax.train.state import Plan, TrainState


def minibatch(key: Key, live: Array, place: Array, count: int) -> tuple[Array, Array]:
    """Rows of one of `count` minibatches of an epoch [size], and which of them are no filling.

    Args:
        key: of the epoch's order.
        live: bool [N], the rows that count; every minibatch gets its share of them.
        place: int32 [], which minibatch.
        count: of minibatches.
    """
    rows = live.shape[0]
    order = jax.random.permutation(key, rows)
    order = order[jnp.argsort(~live[order], stable=True)]
    places = place + count * jnp.arange(-(-rows // count))
    return order[jnp.minimum(places, rows - 1)], places < rows


def make_update(log_probs: LogProbs, plan: Plan, config: RiptConfig) -> Any:
    """The jitted step (state, experience, run_key) -> (state, metrics); the state is donated.

    `state.step` counts these steps: `config.updates` of them make an iteration.

    Args:
        log_probs: of recorded plans under the weights that learn.
        plan: which weights learn, their optimizer and shardings.
        config: epochs, minibatches, clip, averages.

    Returns:
        A `jax.jit` function. Metrics are float32 []: "loss" (minus the objective), "clipped" (the
        share of ratios outside the clip), "kl" (of the weights that drew from those that learn,
        estimated), "ratio" (their mean), "grad_norm" (before clipping), "learning_rate".
    """

    def one(params: Params, seen: Any, key: Array, drawn: Array) -> Array:
        alone = jax.tree.map(lambda leaf: leaf[None], seen)
        return log_probs(params, alone, jax.random.wrap_key_data(key), drawn[None])[0]

    # `data` is an Experience of device arrays.
    def objective(trained: Params, frozen: Params, data: Any) -> tuple[Array, dict[str, Array]]:
        params = join(trained, frozen)
        new = jax.vmap(one, in_axes=(None, 0, 0, 0))(params, data.seen, data.keys, data.drawn)
        old, mask, advantage = data.log_probs, data.mask, data.advantage[:, None, None]
        clips = (config.clip_low, config.clip_high)
        climbed = clipped_objective(new, old, advantage, mask, *clips)
        moved: Array = jnp.asarray(jnp.where(mask, new - old, 0.0))
        count = jnp.maximum(mask.sum(), 1)
        return -climbed, {
            "loss": -climbed,
            "clipped": clipped_fraction(new, old, mask, *clips),
            # exp(d) - 1 - d: never negative, and of little spread.
            "kl": (jnp.exp(moved) - 1.0 - moved).sum() / count,
            "ratio": jnp.exp(moved).sum(where=mask) / count,
        }

    def update(
        state: TrainState, data: Experience, run_key: Key
    ) -> tuple[TrainState, dict[str, Array]]:
        epoch, place = state.step // config.minibatches, state.step % config.minibatches
        live = jnp.asarray(data.mask).any((1, 2))
        order = jax.random.fold_in(run_key, epoch)
        rows, real = minibatch(order, live, place, config.minibatches)
        batch = jax.tree.map(lambda leaf: leaf[rows], data)
        batch = batch.replace(mask=batch.mask & real[:, None, None])

        trained = part(state.params, plan.mask, keep=True)
        frozen = part(state.params, plan.mask, keep=False)
        gradient, row = jax.grad(objective, has_aux=True)(trained, frozen, batch)
        updates, opt_state = plan.optimizer.update(gradient, state.opt_state, trained)
        trained = optax.apply_updates(trained, updates)
        average = ema_update(part(state.ema, plan.mask, keep=True), trained, config.ema, state.step)
        row |= {"grad_norm": optax.tree.norm(gradient), "learning_rate": plan.schedule(state.step)}
        after = TrainState(
            step=state.step + 1,
            params=join(trained, frozen),
            ema=join(average, part(state.ema, plan.mask, keep=False)),
            opt_state=opt_state,
        )
        return after, {name: jnp.asarray(value, jnp.float32) for name, value in row.items()}

    whole = replicated(plan.mesh)
    return program_jit(
        update,
        in_shardings=(plan.shardings, whole, whole),
        out_shardings=(plan.shardings, whole),
        donate_argnums=0,
    )
