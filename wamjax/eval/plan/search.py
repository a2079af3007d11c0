"""The best of a small grid of meshes, batches and remat policies for a slice.

A mesh splits the weights over fsdp first (as far as the batch divides), then tensor; a plan that
does not fit by what stands in memory alone is not compiled. Best is most windows (or chunks) a
second by the worst of the bounds, among those that fit.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

from wamjax.core.errors import UserError
from wamjax.eval.plan.case import Case
from wamjax.eval.plan.chips import Slice
from wamjax.eval.plan.report import Report, planned
from wamjax.model.config import Remat
from wamjax.parallel.mesh import MeshConfig

TENSORS = (1, 2, 4, 8)
PER_DEVICE = (1, 2, 4, 8)
REMATS: tuple[Remat, ...] = ("none", "dots", "full")


@dataclasses.dataclass(frozen=True)
class Choice:
    """A point of the grid.

    Attributes:
        mesh: of the slice.
        rows: examples a step.
        remat: what the backward pass makes anew.
    """

    mesh: MeshConfig
    rows: int
    remat: Remat


def choices(part: Slice, remats: Sequence[Remat] = REMATS) -> Iterator[Choice]:
    """The grid, cheapest to compile first."""
    devices = part.devices // part.count
    for tensor, per, remat in itertools.product(TENSORS, PER_DEVICE, remats):
        if devices % tensor:
            continue
        mesh = MeshConfig(data=1, fsdp=devices // tensor, tensor=tensor, across_data=part.count)
        yield Choice(mesh, per * devices // tensor * part.count, remat)


def searched(
    make: Callable[[int, Remat], Case],
    part: Slice,
    *,
    remats: Sequence[Remat] = REMATS,
    limit: int | None = None,
    told: Callable[[Choice, Report | None], None] = lambda choice, report: None,
) -> list[tuple[Choice, Report]]:
    """The plans that fit, best first.

    Args:
        make: (examples, remat) -> the case.
        part: where.
        remats: the policies that are tried.
        limit: at most so many are compiled; None for all of the grid.
        told: called behind each, with None for one that cannot be.
    """
    found: list[tuple[Choice, Report]] = []
    compiled = 0
    for choice in choices(part, remats):
        try:
            case = make(choice.rows, choice.remat)
            rough = planned(case, part, choice.mesh, compiler=False)
        except UserError:
            told(choice, None)
            continue
        if rough.memory["total"] > part.memory or (limit is not None and compiled >= limit):
            told(choice, None)
            continue
        report = planned(case, part, choice.mesh)
        compiled += 1
        told(choice, report)
        if report.fits:
            found.append((choice, report))
    return sorted(found, key=lambda pair: -next(iter(pair[1].rates.values()))[0])
