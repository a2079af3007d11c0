"""The smallest slice of a family on which a case trains.

From one chip upwards. A slice is passed over where it does not fit

    counted      the state and a float32 gradient of what is trained
    estimated    the state and `BESIDE` bytes for each weight that is trained; or the state and what
                 the same split took beside it on the slice before, with as much to do

and on the others the step is compiled, with the weights split over all devices (fsdp), and over
tensor as well where that may halve what is too much. A device gets as many examples as make at most
`TOKENS` tokens, at least one: with fewer, gathering the weights takes longer than using them.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

from wamjax.core.errors import UserError
from wamjax.eval.plan.apart import CompilerError
from wamjax.eval.plan.case import Placed, Training
from wamjax.eval.plan.chips import Chip, Slice, shapes_of
from wamjax.eval.plan.compile import nowhere
from wamjax.eval.plan.report import Report
from wamjax.parallel.mesh import MeshConfig

TOKENS = 4096
TENSORS = (1, 2, 4, 8)
BESIDE = 8
"""Gradient, casts and updates: twelve full-size recipes on v5p were compiled to 8 to 19, with their
activations."""
ROUGH = 1.1
How = Literal["counted", "estimated", "compiled"]


@dataclasses.dataclass(frozen=True)
class Spot:
    """Where, split how, with how many examples a step."""

    part: Slice
    mesh: MeshConfig
    rows: int


class Ask(Protocol):
    """The report of a spot; None where nobody has compiled it and nobody may.

    It raises CompilerError where the compiler aborts: another mesh of the slice is tried then.
    """

    def __call__(self, spot: Spot, /) -> Report | None: ...


@dataclasses.dataclass(frozen=True)
class Missed:
    """A smaller slice.

    Attributes:
        slice: which.
        needed: bytes a device; where it was counted, at least.
        how: that is known.
    """

    slice: str
    needed: float
    how: How


@dataclasses.dataclass(frozen=True)
class Smallest:
    """What was found in a family.

    Attributes:
        report: of the smallest slice that trains it; None where it was not compiled (or there is
            none).
        at_least: the smallest slice that is not excluded; None where all are.
        below: the next smaller slice; None where there is none.
        fault: whether the compiler aborts on `at_least`.
    """

    report: Report | None
    at_least: str | None
    below: Missed | None
    fault: bool = False


def examples(tokens: int | None) -> int:
    """Examples a device, a power of two."""
    return 1 if tokens is None else 2 ** max(0, int(math.log2(TOKENS / tokens)))


def spots(make: Callable[[int], Training], part: Slice) -> Iterator[tuple[Spot, Placed]]:
    """The meshes of a slice that are tried, and the step there.

    The weights are split over as many devices as divide them.
    """
    each = examples(make(1).tokens)
    for tensor in TENSORS:
        if part.devices % tensor:
            return
        for data in (1, 2, 4, 8):
            share = part.devices // tensor
            if share % data:
                break
            rows = share * each
            mesh = MeshConfig(data=data, fsdp=share // data, tensor=tensor)
            there: Any = nowhere(mesh, part)
            try:
                placed = make(rows).placed(there)
            except UserError:
                continue
            yield Spot(part, mesh, rows), placed
            break


def without_compiling(placed: Placed) -> dict[How, float]:
    """Bytes a device that a step needs, at least and about."""
    parts = placed.parts
    state, trained = sum(parts.values()), parts["weights"] * placed.trained / placed.parameters
    return {"counted": state + trained, "estimated": state + BESIDE / 4 * trained}


def smallest(
    make: Callable[[int], Training], chip: Chip, ask: Ask, *, estimate: bool = True
) -> Smallest:
    """The climb, see the module.

    Args:
        make: examples -> the case.
        chip: of the family.
        ask: what is compiled, or known.
        estimate: trust the estimate; else only what is counted is passed over.
    """
    most: dict[How, float] = {"counted": 1.0, "estimated": ROUGH if estimate else math.inf}
    below: Missed | None = None
    beside: dict[tuple[int, int], float] = {}
    for shape in shapes_of(chip).values():
        part = Slice(chip, shape)
        missed: Missed | None = None
        fault = False
        for spot, placed in spots(make, part):
            standing = sum(placed.parts.values())
            # Of a share of the batch: how many devices compute it, how many examples it has.
            split = (spot.mesh.tensor, spot.rows * spot.mesh.tensor // part.devices)
            needs = [*without_compiling(placed).items()]
            if split in beside:
                needs.append(("estimated", standing + beside[split]))
            over: list[Missed] = [
                Missed(part.name, needed, how)
                for how, needed in needs
                if needed > part.memory * most[how]
            ]
            if over:
                missed = missed or over[0]
                continue
            try:
                report = ask(spot)
            except CompilerError:
                fault = True
                continue
            if report is None:
                return Smallest(None, part.name, below)
            if report.fits:
                return Smallest(report, part.name, below)
            total = report.memory["total"]
            if missed is None or missed.how != "compiled" or total < missed.needed:
                missed = Missed(part.name, total, "compiled")
            beside[split] = total - standing
            # Twice tensor halves at best what is not state.
            if standing + (total - standing) / 2 > part.memory:
                break
        if fault:
            return Smallest(None, part.name, below, fault=True)
        below = missed or below
    return Smallest(None, None, below)
