"""What was compiled is kept by the program's text."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from wamjax.eval.plan import made
from wamjax.eval.plan.chips import Slice, slice_of
from wamjax.eval.plan.compile import Compiled, Memory, TooLarge
from wamjax.eval.plan.made import Made, made_for
from wamjax.parallel.mesh import MeshConfig, make_mesh

PART = slice_of("v6e-1")
# The second program is too large.
ANSWERS = [
    Compiled(Memory(4.0, 4.0, 3.0, 5.0, 2.0, 100.0), "HloModule nothing", 3.0),
    TooLarge(200.0, 100.0),
]


@pytest.fixture
def compiled(monkeypatch) -> list[bool]:
    """Grows by whether it was quick with every program that is compiled."""
    calls: list[bool] = []

    def fake(lowered: Any, limit: float, *, quick: bool) -> Compiled | TooLarge:
        calls.append(quick)
        return ANSWERS[min(len(calls), len(ANSWERS)) - 1]

    monkeypatch.setattr(made, "compile_for", fake)
    return calls


def ask(factor: float, part: Slice = PART, quick: bool = True) -> Made:
    config = MeshConfig(data=1)
    mesh = make_mesh(config, jax.devices()[:1])
    shape = jax.ShapeDtypeStruct((4,), jnp.float32)
    traced = jax.jit(lambda x: factor * x).trace(shape)
    return made_for(traced, mesh, part, config, quick=quick)


def test_a_program_is_compiled_once(compiled: list[bool]):
    first = ask(2.0)
    assert first.fits
    assert first.memory["total"] == 4 + 4 - 3 + 5 + 2
    assert ask(2.0) == first
    assert compiled == [True]
    larger = ask(3.0)
    assert not larger.fits
    assert ask(3.0) == larger
    assert len(compiled) == 2


def test_another_slice_and_another_effort_are_other_programs(compiled: list[bool]):
    ask(2.0)
    ask(2.0, slice_of("v5e-1"))
    ask(2.0, quick=False)
    assert compiled == [True, True, False]
