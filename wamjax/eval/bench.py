"""How fast a whole evaluation runs: our compiled program against the plain loop.

    all     policy sees and acts        physics + drawing + policy
    seeing  a policy of no cost looks   physics + drawing
    blind   nobody looks                physics

Shares are differences of these three programs; the loop times its parts itself. The contestants
take turns, one whole batch of episodes each, so that other work on the machine hits all of them;
ratios are taken within a round. Before that, outputs are checked (`Check`). Physics here means all
of a control tick: control law, physics steps, success test.
"""

import contextlib
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Observation
from wamjax.core.runtime import program_jit
from wamjax.core.tree import count_parameters
from wamjax.core.typing import Array, Key, Params
from wamjax.eval.bench_case import SPREAD, Case
from wamjax.eval.plain.process import LoopProcess
from wamjax.eval.rollout import Rollout, plan_key, rollout, thinker
from wamjax.policy.base import Policy
from wamjax.sim.axes import AXIS_NAMES
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import build_manifest
from wamjax.sim.scene import SUBSTEPS
from wamjax.sim.stepping import Resolved
from wamjax.sim.variants import Variant

PROGRAMS = ("all", "seeing", "blind")
LOOPS = {"loop": True, "loop without shadows": False}
"""Name of the contestant -> whether it draws shadows."""
MOST_PICTURE_DIFFERENCE = 6.0
"""Mean absolute difference of all pictures, 0..255: edges, shadow maps and highlights differ."""
MOST_POSITION_DIFFERENCE = 0.01
"""Median over the worlds of the largest difference of any position after a whole episode, m and
rad; single worlds part further, because a contact is made a tick earlier."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """The loop replays the scripted expert's actions of our program, in the same worlds.

    Attributes:
        expert_successes: episodes solved in our program.
        same_success: episodes with the same success flag in the loop.
        worlds: how many were compared.
        position: median over worlds of the largest difference of qpos after the last tick.
        furthest: the largest of all.
        pictures_first: mean absolute difference of the first pictures, 0..255.
        pictures_last: of the pictures after the last tick.
        actions: mean absolute difference of the policy's first actions, in units of their spread.
    """

    expert_successes: int
    same_success: int
    worlds: int
    position: float
    furthest: float
    pictures_first: float
    pictures_last: float
    actions: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Median of several, with the least and the greatest."""

    median: float
    least: float
    most: float


def span(values: Sequence[float]) -> Span:
    """Of at least one value."""
    return Span(median=statistics.median(values), least=min(values), most=max(values))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speed:
    """What one contestant did.

    Attributes:
        episodes: per second.
        steps: control ticks per second, all worlds together.
        seconds: median of one batch of episodes, in all and by part.
        ratio: episodes per second over those of the plain loop; None without it.
        compile_seconds: tracing and compiling, nothing taken from the compile cache.
    """

    episodes: Span
    steps: Span
    seconds: dict[str, float]
    ratio: Span | None
    compile_seconds: float


@functools.cache
def _glance(chunk: int) -> Callable[[Params, Observation, Key], Array]:
    """Random actions that hang on the pictures by a weight that is 0."""

    def act(weights: Params, observation: Observation, key: Key) -> Array:
        low, high = weights["lower"], weights["upper"]
        shape = (observation.proprio.shape[0], chunk, low.shape[0])
        brightness = jnp.mean(observation.frames.astype(jnp.float32))
        random = jax.random.uniform(key, shape, jnp.float32, low, high)
        return random + weights["glance"] * brightness

    return act


class Ours:
    """The three compiled programs on one implementation of physics.

    Args:
        case: worlds and policy.
        physics: which implementation.
        policy: the policy under test and its weights.
    """

    def __init__(self, case: Case, physics: Resolved, policy: tuple[Policy, Params]):
        self.case, self.env = case, case.env(physics)
        seeing, (blind, limits) = policy[0], case.blind(policy[0])
        look = dataclasses.replace(seeing, name="seeing", act=_glance(seeing.chunk), imagine=None)
        self.players = {
            "all": policy,
            "seeing": (look, {**limits, "glance": jnp.float32(0.0)}),
            "blind": (blind, limits),
        }
        self.programs = {name: self._compile(*self.players[name]) for name in PROGRAMS}

    def _compile(self, policy: Policy, weights: Params) -> Rollout:
        return rollout(
            policy,
            self.env,
            self.case.horizon,
            weights=weights,
            variants=self.case.variants(),
            batch=self.case.worlds,
            keep=False,
        )

    def seconds(self, name: str, variants: Variant | None = None) -> float:
        """Of one batch of episodes of a program."""
        worlds = self.case.variants() if variants is None else variants
        begun = time.perf_counter()
        self.programs[name](self.players[name][1], worlds, jax.random.key(self.case.seed))
        return time.perf_counter() - begun


def scripted(env: TabletopEnv, horizon: int) -> Callable[[Variant], dict[str, Any]]:
    """The expert's episodes: actions [E, S, A], positions [E, q] after the last tick, success
    [E] and the last frames [E, V, 1, H, W, 3]."""

    def one(variant: Variant) -> dict[str, Any]:
        def tick(state: Any, _: None) -> tuple[Any, Array]:
            action = env.expert(state)
            return env.step(state, action), action

        state, actions = jax.lax.scan(tick, env.reset_variant(variant), None, horizon)
        return {
            "actions": actions,
            "positions": state.pipeline_state.body.position,
            "success": state.metrics["success"] > 0.5,
            "frames": env.observe(state).frames,
        }

    return program_jit(jax.vmap(one))


def first_plan(
    env: TabletopEnv, policy: Policy, case: Case
) -> Callable[[Params, Variant], tuple[Array, Observation]]:
    """(weights, variants) -> the first actions [E, R, A] and what was seen."""

    def run(weights: Params, variants: Any) -> tuple[Array, Observation]:
        keys = jax.vmap(plan_key, in_axes=(None, 0, None))(
            jax.random.key(case.seed), variants.seed, jnp.int32(0)
        )
        think = thinker(policy.act, policy.replan, weights, env.observe)
        return think(jax.vmap(env.reset_variant)(variants), keys)

    return program_jit(run)


def compare(ours: Ours, loop: LoopProcess) -> Check:
    """Play the expert here, replay it there; then let both policies look once."""
    case = ours.case
    made = jax.device_get(scripted(ours.env, case.horizon)(case.variants()))
    replay = loop.play(script=made["actions"])
    policy, weights = ours.players["all"]
    actions, seen = jax.device_get(first_plan(ours.env, policy, case)(weights, case.variants()))
    thought = loop.play()
    apart = np.abs(made["positions"] - replay.positions[:, -1]).max(axis=1)
    planned = min(policy.replan, case.horizon)
    spread = np.tile(SPREAD, len(ours.env.robot.arms))
    differences = (actions[:, :planned] - thought.actions[:, :planned]) / spread
    return Check(
        expert_successes=int(made["success"].sum()),
        same_success=int((made["success"] == replay.success).sum()),
        worlds=case.worlds,
        position=float(np.median(apart)),
        furthest=float(apart.max()),
        pictures_first=_difference(seen.frames[:, :, 0], thought.first),
        pictures_last=_difference(made["frames"][:, :, 0], replay.last),
        actions=float(np.abs(differences).mean()),
    )


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean())


def refuse_wrong(check: Check, physics: Resolved) -> None:
    """Nothing is timed that does not do the same work.

    Raises:
        RuntimeError: pictures, states or success flags of the loop are not ours.
    """
    wrong = max(check.pictures_first, check.pictures_last) > MOST_PICTURE_DIFFERENCE
    if physics == "c":
        wrong |= check.same_success < check.worlds or check.position > MOST_POSITION_DIFFERENCE
    if wrong:
        raise RuntimeError(f"the plain loop and the compiled program differ: {check}")


def perturbed(case: Case) -> Variant:
    """As many worlds, over all seven axes and severities."""
    each = -(-case.worlds // len(AXIS_NAMES))
    manifest = build_manifest(
        [case.task], AXIS_NAMES, clean=0, per_axis=each, severities=range(1, 6), seed=case.seed
    )
    variants = manifest.variants(case.task)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: case.worlds], variants)


def measure(
    case: Case,
    physics: Sequence[Resolved],
    repeats: int,
    *,
    library: str | None,
    cached: bool = False,
    advance: Callable[[str], None] = lambda note: None,
) -> dict[str, Any]:
    """Compile, check and time, in turns.

    Args:
        case: worlds and policy.
        physics: implementations to time.
        repeats: rounds.
        library: OpenGL for the plain loop; None leaves the loop out.
        cached: let the loop take its programs from the compile cache, for tests; whether this
            process does is the caller's affair.
        advance: called with a note after each of 2 len(physics) + 1 + repeats pieces of work.

    Returns:
        "speeds": contestant -> Speed; "perturbed": physics -> episodes per second (Span) over all
        axes; "checks": physics -> Check; "loop": how the loop steps; "parameters"; "plans".

    Raises:
        RuntimeError: outputs differ; nothing was timed.
    """
    policy = case.policy()
    ours = {}
    for name in physics:
        ours[name] = Ours(case, name, policy)
        advance(f"compiled {name}")
    with contextlib.ExitStack() as stack:
        loop = None
        if library is not None:
            loop = stack.enter_context(LoopProcess(case, library, cached=cached))
        advance("made the loop")
        checks = {}
        for name in physics:
            if loop is not None:
                checks[name] = compare(ours[name], loop)
                refuse_wrong(checks[name], name)
            advance(f"checked {name}")
        rounds = [_round(ours, loop, turn, advance) for turn in range(repeats)]
    compile_seconds = {
        name: programs.programs["all"].compile_seconds for name, programs in ours.items()
    }
    found: dict[str, Any] = {
        "speeds": _speeds(case, rounds, compile_seconds, loop),
        "perturbed": {
            name: span([case.worlds / turn[f"{name} perturbed"]["all"] for turn in rounds])
            for name in physics
        },
        "checks": checks,
        "loop": None if loop is None else {"way": loop.way, "trial": loop.trial},
        "parameters": count_parameters(policy[1]),
        "plans": -(-case.horizon // policy[0].replan),
    }
    found["parts"] = parts(case, found)
    return found


Round = dict[str, dict[str, float]]


def _round(
    ours: Mapping[Resolved, Ours],
    loop: LoopProcess | None,
    turn: int,
    advance: Callable[[str], None],
) -> Round:
    """Seconds of every contestant by part; who begins changes from round to round."""
    jobs: list[tuple[str, Callable[[], dict[str, float]]]] = []
    for name, contestant in ours.items():
        jobs.append((name, functools.partial(_of_ours, contestant)))
        many = perturbed(contestant.case)
        jobs.append(
            (f"{name} perturbed", lambda c=contestant, v=many: {"all": c.seconds("all", v)})
        )
    if loop is not None:
        for name, shadows in LOOPS.items():
            jobs.append((name, lambda s=shadows: loop.play(shadows=s).seconds))
    first = turn % len(jobs)
    found = {name: job() for name, job in [*jobs[first:], *jobs[:first]]}
    advance("timed a round")
    return found


def _of_ours(contestant: Ours) -> dict[str, float]:
    whole, seeing, blind = (contestant.seconds(name) for name in PROGRAMS)
    return {"all": whole, "physics": blind, "drawing": seeing - blind, "policy": whole - seeing}


def _speeds(
    case: Case,
    rounds: Sequence[Round],
    compile_seconds: Mapping[str, float],
    loop: LoopProcess | None,
) -> dict[str, Speed]:
    names = [*compile_seconds, *(LOOPS if loop is not None else ())]
    found = {}
    for name in names:
        rates = [case.worlds / turn[name]["all"] for turn in rounds]
        seconds = {
            part: statistics.median(turn[name][part] for turn in rounds) for part in rounds[0][name]
        }
        ratio = None
        if loop is not None:
            ratio = span([turn["loop"]["all"] / turn[name]["all"] for turn in rounds])
        if loop is not None and name in LOOPS:
            compiling = loop.compile_seconds
        else:
            compiling = compile_seconds[name]
        found[name] = Speed(
            episodes=span(rates),
            steps=span([rate * case.horizon for rate in rates]),
            seconds=seconds,
            ratio=ratio,
            compile_seconds=compiling,
        )
    return found


def parts(case: Case, found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Contestant -> physics steps per second, pictures per second and plans per second.

    For the loop, raw C MuJoCo alone counts as its physics; ours has control law and success test in
    it, too.
    """
    ticks = case.worlds * case.horizon
    looks = case.worlds * found["plans"]

    def rate(count: float, seconds: float) -> float:
        # A difference of two programs can vanish in the noise.
        return count / seconds if seconds > 0 else float("inf")

    return {
        name: {
            "physics_steps": rate(ticks * SUBSTEPS, speed.seconds["physics"]),
            "pictures": rate(looks * len(case.cameras), speed.seconds["drawing"]),
            "plans": rate(looks, speed.seconds["policy"]),
        }
        for name, speed in found["speeds"].items()
    }
