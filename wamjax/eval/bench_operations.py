"""Operations of an evaluation episode, counted on the programs, and what they imply for devices.

    episode = ticks (physics steps, control, success) + plans (V pictures + the policy)
    policy  = 2 parameters tokens,  tokens = those read once + those of every solver step

Loops count as often as they can turn: Newton's iterations and the line search at their limits, so
physics are counted from above. Products of the small matrices in physics run on vector units, the
looks of the pictures and the policy on matrix units, in bfloat16. The bound takes both kinds of
units at full rate and at once, and data movement, comparisons and launches as free: an episode's
physics are a chain of thousands of dependent small operations, so no device comes near it without
very many worlds at once.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from wamjax.eval.bench_case import Case
from wamjax.sim.render.operations import CEILINGS, NONE, Ceiling, Operations, count
from wamjax.sim.scene import ITERATIONS
from wamjax.train.flops import count_flops

MATRIX_RATES = {"NVIDIA H200": 989e12, "TPU v5e": 197e12}
"""FLOP/s of bfloat16 products without sparsity, from the makers' data sheets."""
PATCH = 16
"""Pixels on a side of one token of the stated large policy."""
WORDS, SOLVER_STEPS = 8, 5
STATED_PARAMETERS = 20_000_000
EPISODES = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Episode:
    """Floating-point operations of one episode, by part.

    Attributes:
        physics: all ticks, on vector units.
        vector: of the pictures, on vector units.
        matrix: of the pictures, on matrix units.
        policy: on matrix units.
    """

    physics: float
    vector: float
    matrix: float
    policy: float


def counted(jaxpr: Any) -> Operations:
    """Operations of a jaxpr with loops; a `while` is MuJoCo's solver and turns ITERATIONS times.

    Raises:
        ValueError: a loop whose count is not known.
    """
    total = NONE
    for equation in jaxpr.eqns:
        total = total + _one(jaxpr, equation)
    return total


def _one(jaxpr: Any, equation: Any) -> Operations:
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        return counted(params["jaxpr"].jaxpr).times(params["length"])
    if name == "while":
        return counted(params["body_jaxpr"].jaxpr).times(ITERATIONS)
    if name == "cond":
        return counted(params["branches"][-1].jaxpr)
    if name in ("cholesky", "triangular_solve", "lu"):
        size = equation.invars[0].aval.shape[-1]
        columns = equation.invars[-1].aval.shape[-1]
        work = {"cholesky": size**3 / 3, "lu": 2 * size**3 / 3}
        return Operations(work[name] if name in work else size**2 * columns, 0.0, 0.0)
    inner = [getattr(value, "jaxpr", value) for value in params.values()]
    inner = [value for value in inner if hasattr(value, "eqns")]
    if inner:
        return sum((counted(value) for value in inner), NONE)
    return count(jaxpr.replace(eqns=[equation]))


def episode(case: Case, parameters: int | None = None) -> Episode:
    """Operations of one episode.

    Args:
        case: worlds, pictures and the policy.
        parameters: of a stated policy of another size instead; see `stated_tokens`.
    """
    env = case.env("mjx")
    variant = jax.tree.map(lambda leaf: jnp.int32(leaf[0]), case.variants())
    state = jax.eval_shape(env.reset_variant, variant)
    action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
    tick = counted(jax.make_jaxpr(env.step)(state, action).jaxpr)
    looks = counted(jax.make_jaxpr(env.observe)(state).jaxpr)
    policy, weights = case.policy()
    plans = -(-case.horizon // policy.replan)
    if parameters is None:
        seen = jax.eval_shape(env.observe, state)
        batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), seen)
        thought = count_flops(jax.make_jaxpr(policy.act)(weights, batch, jax.random.key(0)))
    else:
        thought = 2.0 * parameters * stated_tokens(case, policy.chunk)
    return Episode(
        physics=case.horizon * (tick.arithmetic + tick.matrix),
        vector=plans * looks.arithmetic,
        matrix=plans * looks.matrix,
        policy=plans * thought,
    )


def stated_tokens(case: Case, chunk: int) -> int:
    """Tokens of one plan: pictures, words and proprio once, the chunk at every solver step."""
    pictures = len(case.cameras) * (case.size // PATCH) ** 2
    return pictures + WORDS + 1 + SOLVER_STEPS * chunk


def fewest_seconds(one: Episode, ceiling: Ceiling) -> float:
    """Seconds per episode that the device cannot undercut."""
    (rate,) = (rate for name, rate in MATRIX_RATES.items() if ceiling.name.startswith(name))
    vector = (one.physics + one.vector) / ceiling.arithmetic
    return max(vector, (one.matrix + one.policy) / rate)


def bounds(case: Case) -> dict[str, Any]:
    """Operations per episode, and bounds for the case's policy and for a stated large one."""
    found: dict[str, Any] = {"episodes": EPISODES, "stated_parameters": STATED_PARAMETERS}
    for name, parameters in (("own", None), ("stated", STATED_PARAMETERS)):
        one = episode(case, parameters)
        found[name] = {
            "operations": dataclasses.asdict(one),
            "devices": {
                ceiling.name: {
                    "episodes_per_second": 1.0 / fewest_seconds(one, ceiling),
                    "seconds_for_all": EPISODES * fewest_seconds(one, ceiling),
                }
                for ceiling in CEILINGS
            },
        }
    return found
