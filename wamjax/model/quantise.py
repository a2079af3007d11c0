"""Products with weights in eight bits, forward and backward, by qwix.

    weights, activations and gradients, scaled by their largest entry along what is contracted
    int8  rounded to 255 steps          fp8  e4m3 forward, e5m2 for gradients

Weights, their gradients and the optimizer stay in float32; attention's scores, norms and edges of
the model are computed as ever. qwix is an extra (`pip install 'wamjax[quant]'`).
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from wamjax.core.errors import UserError
from wamjax.core.typing import Array
from wamjax.model.config import Quantize

RULES: Mapping[Quantize, Mapping[str, Any]] = MappingProxyType(
    {
        "int8": {"weight_qtype": "int8", "act_qtype": "int8", "bwd_qtype": "int8"},
        "fp8": {
            "weight_qtype": "float8_e4m3fn",
            "act_qtype": "float8_e4m3fn",
            "bwd_qtype": "float8_e5m2",
        },
    }
)


@functools.cache
def product(kind: Quantize) -> Callable[..., Array]:
    """(rows [R, I], weights [I, ...], dimension numbers) -> [R, ...], inside a module's call.

    Raises:
        UserError: qwix is not installed.
    """
    try:
        import qwix  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            f"quantize {kind!r} needs qwix: pip install 'wamjax[quant]', or set quantize to 'none'."
        ) from error
    rule: Any = qwix.QtRule(module_path=".*", **RULES[kind])
    dot_general = qwix.QtProvider([rule]).dot_general

    def quietly(*operands: Any) -> Array:
        with warnings.catch_warnings():
            # qwix asks flax for a name that flax has given up.
            warnings.filterwarnings("ignore", "'VariableState' was removed", DeprecationWarning)
            return dot_general(*operands)

    return quietly
