"""A plan: does it fit, what is in memory, what a step costs and how fast it could be."""

import dataclasses
from typing import Any

from jax.sharding import Mesh

from wamjax.eval.plan.bounds import bounds, mfu, seconds_of
from wamjax.eval.plan.case import Case, Placed
from wamjax.eval.plan.chips import Slice
from wamjax.eval.plan.compile import devices_of, mesh_of, nowhere
from wamjax.eval.plan.made import Made, made_for
from wamjax.model.backends import ways_in
from wamjax.parallel.mesh import MESH_AXES, MeshConfig


@dataclasses.dataclass(frozen=True)
class Report:
    """A plan as plain values, for JSON.

    Attributes:
        name, what, slice, mesh: what is planned (its "train" step, or to "sample" a chunk), where.
        devices, chips: of all slices.
        rows, tokens: examples of a step, and tokens of each (None where they are not known).
        parameters, trained: weights.
        flops: of the model: "counted" without its program (None for a run's config), and "walked"
            on the program without remat; "done" with what remat makes anew.
        memory: bytes a device by part, with "total" and "limit".
        fits: whether total <= limit; None without the compiler.
        sent: collectives: kind, axes, times, bytes a device.
        seconds: bounds by part, "best" and "worst".
        bound: the name of the largest.
        mfu: (of the worst, of the best).
        compile_seconds: of the compiler; None without it.
        quick: compiled with little optimising.
    """

    name: str
    what: str
    slice: str
    mesh: dict[str, int]
    devices: int
    chips: int
    rows: int
    tokens: int | None
    parameters: int
    trained: int
    flops: dict[str, Any]
    memory: dict[str, float]
    fits: bool | None
    sent: list[dict[str, Any]]
    seconds: dict[str, float]
    bound: str
    mfu: tuple[float, float]
    compile_seconds: float | None
    quick: bool

    @property
    def compiled(self) -> bool:
        """Whether an executable was made: what is sent is known."""
        return self.compile_seconds is not None

    @property
    def rates(self) -> dict[str, tuple[float, float]]:
        """Windows (and tokens), or chunks, a second and chip, from the worst to the best."""
        spans = (self.seconds["worst"], self.seconds["best"])
        slow, fast = (self.rows / (span * self.chips) for span in spans)
        found = {"windows" if self.what == "train" else "chunks": (slow, fast)}
        if self.tokens is not None:
            found["tokens"] = (slow * self.tokens, fast * self.tokens)
        return found


def planned(
    case: Case, part: Slice, config: MeshConfig, *, compiler: bool = True, quick: bool = False
) -> Report:
    """The plan of a program.

    Args:
        case: which.
        part: on which devices.
        config: the mesh.
        compiler: compile it; without, memory is that of the state alone, and traffic not counted.
        quick: without much optimising, see `compile.QUICK`, where the chip's compiler can do that.

    Raises:
        UserError: the mesh or the batch does not fit the devices, or libtpu is missing.
    """
    mesh: Any = mesh_of(config, devices_of(part), part.count) if compiler else nowhere(config, part)
    placed = case.placed(mesh)
    quick = quick and (part.chip.quick_kernels or not has_kernels(placed.traced.jaxpr))
    made = made_for(placed.traced, mesh, part, config, quick=quick) if compiler else None
    return assembled(case, part, mesh, placed, made, quick)


def has_kernels(jaxpr: Any) -> bool:
    """Whether a program takes Pallas kernels."""
    return any(way.startswith("splash") for way in ways_in(jaxpr).values())


def assembled(
    case: Case,
    part: Slice,
    mesh: Mesh,
    placed: Placed,
    made: Made | None,
    quick: bool,
) -> Report:
    """The report of what was found."""
    parts, done = placed.parts, placed.flops
    standing = {"total": sum(parts.values()), "limit": part.memory}
    memory = parts | (standing if made is None else made.memory)
    sent = [] if made is None else list(made.sent)
    counted, walked = case.counted, case.walked(placed, mesh)
    model = walked if counted is None else counted
    links, network = seconds_of(sent, mesh, part) if sent else (0.0, 0.0)
    found = bounds(
        part,
        flops=done,
        moved=case.moved(placed, memory.get("temporary", 0.0), mesh),
        links=links,
        network=network,
    )
    return Report(
        name=case.name,
        what=case.what,
        slice=part.name,
        mesh={axis: mesh.shape[axis] for axis in MESH_AXES},
        devices=part.devices,
        chips=part.chips,
        rows=case.rows,
        tokens=case.tokens,
        parameters=placed.parameters,
        trained=placed.trained,
        flops={"counted": counted, "walked": walked, "done": done},
        memory=memory,
        fits=None if made is None else made.fits,
        sent=[dataclasses.asdict(one) for one in sent],
        seconds={**dataclasses.asdict(found), "best": found.best, "worst": found.worst},
        bound=found.name,
        mfu=(mfu(model, found.worst, part), mfu(model, found.best, part)),
        compile_seconds=None if made is None else made.seconds,
        quick=quick and made is not None,
    )
