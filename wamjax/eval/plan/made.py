"""What the compiler said of a program: memory and traffic, kept by the program's text.

So a program is compiled once, whatever it was asked for by and whatever has changed around it.
"""

import dataclasses
import hashlib
from typing import Any

from jax.sharding import Mesh

from wamjax.eval.plan.chips import Slice
from wamjax.eval.plan.compile import TooLarge, compile_for
from wamjax.eval.plan.store import name_of, read, write
from wamjax.eval.plan.traffic import Sent, traffic
from wamjax.parallel.mesh import MeshConfig


@dataclasses.dataclass(frozen=True)
class Made:
    """An executable, or why there is none.

    Attributes:
        memory: bytes a device: "total" and "limit"; of an executable "temporary" and "code" too.
        sent: its collectives.
        seconds: to compile; None where it is too large.
    """

    memory: dict[str, float]
    sent: tuple[Sent, ...]
    seconds: float | None

    @property
    def fits(self) -> bool:
        return self.seconds is not None and self.memory["total"] <= self.memory["limit"]


def made_for(traced: Any, mesh: Mesh, part: Slice, config: MeshConfig, *, quick: bool) -> Made:
    """Compile a traced program for a slice, unless it is known.

    Args:
        traced: `jax.jit(...).trace(...)`.
        mesh: of its shardings.
        part: the slice.
        config: of the mesh, for which axes run over slices.
        quick: see `compile.QUICK`.
    """
    lowered = traced.lower()
    text = hashlib.blake2b(lowered.as_text().encode(), digest_size=16).hexdigest()
    name = name_of({"program": text, "mesh": mesh.shape, "slice": part.name, "quick": quick})
    found = read(name)
    if found is not None:
        sent = [Sent(**{**one, "axes": tuple(one["axes"])}) for one in found["sent"]]
        return Made(found["memory"], tuple(sent), found["seconds"])
    across = (config.across_data, config.across_fsdp)
    made = compiled(lowered, mesh, part, across, quick)
    write(name, dataclasses.asdict(made))
    return made


def compiled(lowered: Any, mesh: Mesh, part: Slice, across: tuple[int, int], quick: bool) -> Made:
    """Compile it."""
    match compile_for(lowered, part.memory, quick=quick):
        case TooLarge(needed, limit):
            return Made({"total": needed, "limit": limit}, (), None)
        case executable:
            memory = executable.memory
            told = {"temporary": memory.temporary, "code": memory.code}
            told |= {"total": memory.total, "limit": memory.limit}
            sent = traffic(executable.hlo, dict(mesh.shape), across)
            return Made(told, tuple(sent), executable.seconds)
