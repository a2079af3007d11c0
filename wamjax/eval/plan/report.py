"""A plan: does it fit, what is in memory, what a step costs and how fast it could be."""

import dataclasses
import math
from typing import Any

import jax
from jax.sharding import Mesh

from wamjax.core.typing import PyTree
from wamjax.eval.plan.bounds import bounds, mfu, seconds_of
from wamjax.eval.plan.case import Case
from wamjax.eval.plan.chips import Slice
from wamjax.eval.plan.compile import (
    Compiled,
    TooLarge,
    compile_for,
    devices_of,
    mesh_of,
    nowhere,
)
from wamjax.eval.plan.traffic import traffic
from wamjax.parallel.mesh import MESH_AXES, MeshConfig
from wamjax.train.flops import count_flops
from wamjax.train.state import Plan

BYTES = {"bfloat16": 2, "float32": 4}


@dataclasses.dataclass(frozen=True)
class Report:
    """A plan as plain values, for JSON.

    Attributes:
        name, slice, mesh: what is planned, and where.
        devices, chips: of all slices.
        rows, tokens: examples of a step, and tokens of each (None where they are not known).
        parameters, trained: weights.
        flops: of the model, by counting (None for a run's config) and by walking the gradient
            program without what remat does anew; `done` is with that.
        memory: bytes a device by part, with "total" and "limit".
        fits: whether total <= limit; None without the compiler.
        sent: collectives: kind, axes, times, bytes a device.
        seconds: bounds by part, "best" and "worst".
        bound: the name of the largest.
        mfu: (of the worst, of the best).
        compile_seconds: of the compiler; None without it.
    """

    name: str
    slice: str
    mesh: dict[str, int]
    devices: int
    chips: int
    rows: int
    tokens: int | None
    parameters: int
    trained: int
    flops: dict[str, float | None]
    memory: dict[str, float]
    fits: bool | None
    sent: list[dict[str, Any]]
    seconds: dict[str, float]
    bound: str
    mfu: tuple[float, float]
    compile_seconds: float | None

    @property
    def rates(self) -> dict[str, tuple[float, float]]:
        """Windows (and tokens) a second and chip, from the worst to the best."""
        spans = (self.seconds["worst"], self.seconds["best"])
        slow, fast = (self.rows / (span * self.chips) for span in spans)
        found = {"windows": (slow, fast)}
        if self.tokens is not None:
            found["tokens"] = (slow * self.tokens, fast * self.tokens)
        return found


def bytes_on(tree: PyTree) -> float:
    """Bytes of the arrays on one device, by their shardings."""
    total = 0
    for leaf in jax.tree.leaves(tree):
        shard = leaf.sharding.shard_shape(leaf.shape)
        size = 4 if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf.dtype.itemsize
        total += math.prod(shard) * size
    return float(total)


def standing(plan: Plan, batch: PyTree) -> dict[str, float]:
    """Bytes a device of what stands in memory between steps."""
    state = plan.abstract
    return {
        "weights": bytes_on(state.params),
        "average": bytes_on(state.ema),
        "optimizer": bytes_on(state.opt_state),
        "batch": bytes_on(batch),
    }


def planned(case: Case, part: Slice, config: MeshConfig, *, compiler: bool = True) -> Report:
    """The plan of a train step.

    Args:
        case: what is trained.
        part: on which devices.
        config: the mesh.
        compiler: compile it; without, memory and traffic are those of the state alone.

    Raises:
        UserError: the mesh or the batch does not fit the devices, or libtpu is missing.
    """
    mesh: Any = mesh_of(config, devices_of(part), part.count) if compiler else nowhere(config, part)
    plan, step, arguments = case.placed(mesh)
    parts = standing(plan, arguments[1])
    done = count_flops(step.trace(*arguments).jaxpr)
    made = compile_for(step, arguments, part.memory) if compiler else None
    return assembled(case, part, config, mesh, plan, parts, done, made)


def assembled(
    case: Case,
    part: Slice,
    config: MeshConfig,
    mesh: Mesh,
    plan: Plan,
    parts: dict[str, float],
    done: float,
    made: Compiled | TooLarge | None,
) -> Report:
    """The report of what was found."""
    memory, sent, fits, kept = dict(parts), [], None, 0.0
    match made:
        case TooLarge():
            memory |= {"total": made.needed, "limit": made.limit}
            fits = False
        case Compiled():
            memory |= {"temporary": made.memory.temporary, "code": made.memory.code}
            memory |= {"total": made.memory.total, "limit": made.memory.limit}
            fits, kept = made.memory.total <= made.memory.limit, made.memory.temporary
            sent = traffic(made.hlo, dict(mesh.shape))
        case None:
            memory |= {"total": sum(parts.values()), "limit": part.memory}
    model = case.analytic if case.analytic is not None else done
    links, network = seconds_of(sent, mesh, part, _across(config)) if sent else (0.0, 0.0)
    found = bounds(
        part,
        flops=done,
        moved=_moved(parts, kept, plan, case, mesh),
        links=links,
        network=network,
    )
    return Report(
        name=case.name,
        slice=part.name,
        mesh={axis: mesh.shape[axis] for axis in MESH_AXES},
        devices=part.devices,
        chips=part.chips,
        rows=case.rows,
        tokens=case.tokens,
        parameters=plan.total,
        trained=plan.trained,
        flops={"counted": case.analytic, "done": done},
        memory=memory,
        fits=fits,
        sent=[dataclasses.asdict(one) for one in sent],
        seconds={**dataclasses.asdict(found), "best": found.best, "worst": found.worst},
        bound=found.name,
        mfu=(mfu(model, found.worst, part), mfu(model, found.best, part)),
        compile_seconds=made.seconds if isinstance(made, Compiled) else None,
    )


def _across(config: MeshConfig) -> tuple[str, ...]:
    degrees = {"data": config.across_data, "fsdp": config.across_fsdp}
    return tuple(axis for axis, degree in degrees.items() if degree > 1)


def _moved(parts: dict[str, float], kept: float, plan: Plan, case: Case, mesh: Mesh) -> float:
    """Bytes from and to a device's memory in a step, see `plan.bounds`."""
    state = 2 * (parts["weights"] + parts["average"] + parts["optimizer"]) + parts["batch"]
    dtype = case.blueprint.model.dtype if case.blueprint is not None else "float32"
    gathered = plan.total * BYTES[dtype] / mesh.shape["tensor"]
    return state + 3 * gathered + 2 * kept
