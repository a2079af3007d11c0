"""Floating-point operations of a traced program, counted on its jaxpr.

    dot_general: 2 * (elements of the result) * (contracted length)
    conv:        2 * (elements of the result) * (kernel elements per output channel)
    scan: times its length; cond: its most expensive branch; while: one turn (its count is unknown)
    cuDNN's attention: 2 products forward and 5 backward, of queries x keys x head_dim
    pallas_call: times its grid; shard_map: times the devices, as it tells the work of one of them

Only contractions count. What rematerialisation computes twice counts twice. XLA's own
`cost_analysis` counts a loop's body once (jax-ml/jax issue 18672), so it is not used.
"""

import math
import time
from collections.abc import Callable
from typing import Any

CUDNN = {"dot_product_attention_fwd_wrapper": 2, "dot_product_attention_bwd_wrapper": 5}


def compiled(
    program: Any,
    *arguments: Any,
    look: Callable[[Any], None] | None = None,
    check: Callable[[Any], None] | None = None,
) -> tuple[Any, float, float]:
    """Trace, count and compile a `jax.jit` function for `arguments`.

    Args:
        program: the function.
        *arguments: arrays, or what has their shapes.
        look: given the traced program's jaxpr.
        check: given the lowered program; raises if it must not be compiled.

    Returns:
        (the executable, FLOPs per call, seconds it took).
    """
    started = time.monotonic()
    traced = program.trace(*arguments)
    if look is not None:
        look(traced.jaxpr)
    flops = count_flops(traced.jaxpr)
    lowered = traced.lower()
    if check is not None:
        check(lowered)
    executable = lowered.compile()
    return executable, flops, time.monotonic() - started


def count_flops(jaxpr: Any) -> float:
    """FLOPs of one call of a (closed) jaxpr."""
    inner = jaxpr.jaxpr if hasattr(jaxpr, "jaxpr") else jaxpr
    return float(sum(_equation(equation) for equation in inner.eqns))


def _equation(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        size = math.prod(equation.outvars[0].aval.shape)
        return 2.0 * size * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        channels = kernel[params["dimension_numbers"].rhs_spec[0]]
        return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) / channels
    if name in CUDNN:
        query, key = (equation.invars[place].aval.shape for place in range(2))
        return CUDNN[name] * 2.0 * math.prod(query) * key[1]
    if name == "cond":
        return max(count_flops(branch) for branch in params["branches"])
    return _times(name, params) * sum(count_flops(inner) for inner in _inner(params))


def _times(name: str, params: dict[str, Any]) -> int:
    if name == "scan":
        return params["length"]
    if name == "pallas_call":
        return math.prod(params["grid_mapping"].grid)
    if name == "shard_map":
        return math.prod(params["mesh"].shape[axis] for axis in params["manual_axes"])
    return 1


def _inner(params: dict[str, Any]) -> list[Any]:
    found = []
    for value in params.values():
        items = value if isinstance(value, tuple | list) else (value,)
        found.extend(item for item in items if hasattr(item, "eqns"))
    return found
