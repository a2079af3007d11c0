"""The rows of the table of smallest slices, in a file beside its page.

Compiling all of them takes hours. The file carries them from one machine to the next: a row is
taken as long as the shapes that it was compiled for are those of the step today, and made anew
else. What shapes do not show (other arithmetic on the same arrays) makes no row stale.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import jax

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_text
from wamjax.core.runtime import versions
from wamjax.eval.plan.case import Training
from wamjax.eval.plan.chips import CHIPS, Slice
from wamjax.eval.plan.compile import nowhere
from wamjax.eval.plan.report import Report
from wamjax.eval.plan.smallest import Missed, Smallest
from wamjax.eval.plan.store import libtpu
from wamjax.parallel.mesh import MeshConfig
from wamjax.parallel.shardings import logical_axes


@dataclasses.dataclass(frozen=True)
class Row:
    """The smallest slice of a family that trains something, as it was compiled.

    Attributes:
        trained, family: of what, on which chips.
        shapes: a digest of the step's, see `shapes_of_step`.
        jax, libtpu: which versions compiled it.
        slice, chips, mesh, rows: where, split how, with how many examples a step.
        memory, limit: bytes a device.
        seconds: of a step, at best and at worst.
        bound: what limits it.
        mfu: at worst and at best.
        windows: a second and chip, at worst and at best.
        flop: of an example, as the program's walk found.
        below: the next smaller slice.
    """

    trained: str
    family: str
    shapes: str
    jax: str
    libtpu: str
    slice: str
    chips: int
    mesh: dict[str, int]
    rows: int
    memory: float
    limit: float
    seconds: tuple[float, float]
    bound: str
    mfu: tuple[float, float]
    windows: tuple[float, float]
    flop: float
    below: Missed | None

    @property
    def key(self) -> tuple[str, str]:
        return self.trained, self.family


def shapes_of_step(case: Training) -> str:
    """A digest of all that enters the step, with the logical axes of its weights.

    Args:
        case: of one example.
    """
    there: Any = nowhere(MeshConfig(), Slice(CHIPS["v6e"], (1, 1)))
    flat = jax.tree_util.tree_flatten_with_path(case.placed(there).arguments)[0]
    lines = [f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype}" for path, leaf in flat]
    lines += [str(logical_axes(case.boxed)), str(case.tokens)]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def row_of(trained: str, family: str, shapes: str, report: Report, below: Missed | None) -> Row:
    """What a climb found."""
    seconds = report.seconds
    return Row(
        trained=trained,
        family=family,
        shapes=shapes,
        jax=versions()["jax"],
        libtpu=str(libtpu()),
        slice=report.slice,
        chips=report.chips,
        mesh=report.mesh,
        rows=report.rows,
        memory=report.memory["total"],
        limit=report.memory["limit"],
        seconds=(seconds["best"], seconds["worst"]),
        bound=report.bound,
        mfu=report.mfu,
        windows=report.rates["windows"],
        flop=report.flops["walked"] / report.rows,
        below=below,
    )


Found = Row | Smallest
"""A row, or how far a climb came that found none."""


def read_rows(path: pathlib.Path) -> dict[tuple[str, str], Row]:
    """The rows of a file by what is trained and family; none where there is no file.

    Raises:
        UserError: it holds something else.
    """
    if not path.is_file():
        return {}
    try:
        rows = [_row(values) for values in read_json(path)["rows"]]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} holds no rows of a plan table ({error}): restore it, or remove it."
        ) from error
    return {row.key: row for row in rows}


def _row(values: dict[str, Any]) -> Row:
    below = values["below"]
    pairs = {name: tuple(values[name]) for name in ("seconds", "mfu", "windows")}
    return Row(**{**values, **pairs, "below": None if below is None else Missed(**below)})


def write_rows(path: pathlib.Path, rows: Iterable[Row]) -> None:
    """Write them, one a line, so that a change of one shows as such."""
    lines = ",\n".join(json.dumps(dataclasses.asdict(row), allow_nan=False) for row in rows)
    write_text(path, f'{{"rows": [\n{lines}\n]}}\n')
