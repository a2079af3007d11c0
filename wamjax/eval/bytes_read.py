"""How many bytes of its arguments a traced program reads from memory.

    product, sum, ...             the whole argument, once wherever it stands
    reshape, cast, broadcast      nothing: what uses the result reads the argument
    slice, rows of a table        as much as is taken
    scan                          `length` times what its body reads

Arguments are marked by a word; the answer is bytes by word. Intermediate values are left out: they
may never leave the chip, so that what is counted is a bound.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jax.extend.core as jex
from jax.interpreters import partial_eval

# fmt: off
_VIEWS = frozenset([
    "reshape", "transpose", "squeeze", "expand_dims", "convert_element_type", "broadcast_in_dim",
    "copy", "stop_gradient", "sharding_constraint",
])
# fmt: on
_PARTS = frozenset(["gather", "slice", "dynamic_slice"])


@dataclasses.dataclass(frozen=True, eq=False)
class _Source:
    """An argument, or the slice of it that one turn of a loop sees."""

    word: str
    size: float


_Reads = dict[_Source, float]


def live(closed: Any) -> tuple[Any, list[bool]]:
    """The jaxpr without dead code, and which arguments are left."""
    return partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))


def bytes_read(jaxpr: Any, words: Sequence[str | None]) -> dict[str, float]:
    """Bytes by word.

    Args:
        jaxpr: as `live` gives it.
        words: of every argument of it; None for one that is not counted.
    """
    sources = [
        None if word is None else _Source(word, _size(var.aval))
        for word, var in zip(words, jaxpr.invars, strict=True)
    ]
    found: dict[str, float] = defaultdict(float)
    for source, read in _body(jaxpr, sources)[0].items():
        found[source.word] += read
    return dict(found)


def _size(aval: Any) -> float:
    return float(aval.size * aval.dtype.itemsize)


def _body(jaxpr: Any, given: Sequence[_Source | None]) -> tuple[_Reads, list[_Source | None]]:
    """What a jaxpr reads, and which of its results are an argument seen another way."""
    known: dict[Any, _Source] = {
        var: source for var, source in zip(jaxpr.invars, given, strict=True) if source is not None
    }
    whole: set[_Source] = set()
    parts: _Reads = defaultdict(float)
    for equation in jaxpr.eqns:
        sources = [
            None if isinstance(var, jex.Literal) else known.get(var) for var in equation.invars
        ]
        # A product of no rows reads nothing, though it is traced.
        if not any(sources) or not any(var.aval.size for var in equation.outvars):
            continue
        name, params = equation.primitive.name, equation.params
        inner = [getattr(value, "jaxpr", value) for value in params.values()]
        inner = [value for value in inner if hasattr(value, "eqns")]
        if name in _VIEWS and sources[0] is not None:
            known[equation.outvars[0]] = sources[0]
        elif name in _PARTS and sources[0] is not None:
            parts[sources[0]] += _size(equation.outvars[0].aval)
        elif name == "scan":
            for source, read in _turns(equation, sources).items():
                parts[source] += read
        elif len(inner) == 1 and len(inner[0].invars) == len(sources):
            reads, results = _body(inner[0], sources)
            for source, read in reads.items():
                parts[source] += read
            pairs = zip(equation.outvars, results, strict=True)
            known |= {var: result for var, result in pairs if result is not None}
        else:
            whole |= {source for source in sources if source is not None}
    total: _Reads = dict(parts)
    for source in whole:
        total[source] = max(total.get(source, 0.0), source.size)
    results = [None if isinstance(var, jex.Literal) else known.get(var) for var in jaxpr.outvars]
    return total, results


def _turns(equation: Any, sources: Sequence[_Source | None]) -> _Reads:
    """What all turns of a loop read; its state is no argument any more."""
    params, body = equation.params, equation.params["jaxpr"].jaxpr
    length, consts = params["length"], params["num_consts"]
    first = consts + params["num_carry"]
    own: list[_Source | None] = list(sources[:consts]) + [None] * params["num_carry"]
    own += [
        None if source is None else _Source(source.word, source.size / length)
        for source in sources[first:]
    ]
    back = dict(zip(own, sources, strict=True))
    total: _Reads = defaultdict(float)
    for source, read in _body(body, own)[0].items():
        outer = back[source]
        assert outer is not None
        total[outer] += length * read
    for source in sources[consts:first]:
        if source is not None:
            total[source] += source.size
    return total
