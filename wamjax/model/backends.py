"""One attention, several ways to compute it; the values are those of `model.attention`.

    xla      dense scores: runs everywhere, and its memory grows with queries x keys
    cudnn    flash attention of cuDNN through `jax.nn.dot_product_attention`: GPUs, half precision
    splash   the Pallas kernel of `model.splash`: TPUs; what the table hides is passed over

and two ways over mesh axis `sequence`, along which the tokens of an example are split:

    gather   every device has its queries and all keys
    ulysses  all tokens and some heads: tokens are exchanged for heads, and back (arXiv 2309.14509)

Sampling and evaluation may run on other devices and shapes than training: there a name other than
xla means auto on one device, and xla on several. A kernel is one program for one device, so it runs
where tokens stand together: without the axis, or between the two exchanges. What a way cannot
compute exactly it refuses, and `auto` takes another.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import jax
import jax.numpy as jnp

from wamjax.core.errors import UserError
from wamjax.core.typing import Array, Float, typed
from wamjax.model.attention import Seen, attention
from wamjax.model.config import Attention, Spread, Ways
from wamjax.model.splash import splash
from wamjax.parallel.activations import (
    capability,
    constrain,
    is_spread,
    parts_of,
    platform,
    spec_of_activation,
)

SCOPE = "attention_"
"""In the name of everything that a way does, so that a program tells which ones it takes."""
LEAST: Mapping[str, int] = MappingProxyType({"splash": 1024**2, "cudnn": 256**2})
"""Queries x keys from which `auto` takes a kernel; below, dense scores are small."""


@dataclasses.dataclass(frozen=True)
class Call:
    """What a choice depends on.

    Attributes:
        platform: "cpu", "gpu" or "tpu".
        dtype: of queries, keys and values.
        batch, queries, keys, heads, key_heads, head_dim: shapes.
        blind: some query sees no key of the table.
        capability: compute capability of a GPU.
        memory: keys of a memory, which stand on every device.
        examples, tokens, shards: devices over which examples, tokens and heads are split.
    """

    platform: str
    dtype: str
    batch: int
    queries: int
    keys: int
    heads: int
    key_heads: int
    head_dim: int
    blind: bool = False
    capability: float = math.inf
    memory: bool = False
    examples: int = 1
    tokens: int = 1
    shards: int = 1

    def exchanges(self, setting: Spread) -> bool:
        """Whether tokens are exchanged for heads.

        Raises:
            UserError: they should be, and the heads do not divide.
        """
        if self.tokens == 1 or self.memory or setting == "gather":
            return False
        over = self.shards * self.tokens
        fits = self.heads % over == 0 and self.key_heads % over == 0
        if setting == "ulysses" and not fits:
            raise UserError(
                f"sequence 'ulysses' splits {self.heads} heads and {self.key_heads} key heads over "
                f"{over} devices (mesh tensor x sequence), which does not divide: change the mesh "
                "or set sequence to 'gather'."
            )
        return fits


def _of_splash(call: Call) -> str | None:
    if call.platform != "tpu":
        return f"it is a kernel for TPUs, and this runs on {call.platform}"
    if call.blind:
        return "some query sees no key at all"
    return None


def _of_cudnn(call: Call) -> str | None:
    if call.platform != "gpu":
        return f"it is a kernel for GPUs, and this runs on {call.platform}"
    if call.capability < 8:
        return f"it needs compute capability 8.0, and this GPU has {call.capability}"
    if call.dtype not in ("bfloat16", "float16"):
        return f"it computes in half precision, and the model in {call.dtype}"
    if call.head_dim % 8 or call.head_dim > 128:
        return f"it has heads of up to 128 in steps of 8, and the model of {call.head_dim}"
    if call.queries % 2 or call.keys % 2:
        return f"it trains on even lengths, and there are {call.queries} queries, {call.keys} keys"
    return None


REFUSALS: Mapping[str, Callable[[Call], str | None]] = MappingProxyType(
    {"splash": _of_splash, "cudnn": _of_cudnn}
)


def refusal(backend: str, call: Call, *, exchanged: bool) -> str | None:
    """Why a kernel does not compute this exactly; None where it does."""
    if why := REFUSALS[backend](call):
        return why
    over = call.shards * (call.tokens if exchanged else 1)
    if call.tokens > 1 and not exchanged:
        return "tokens are split over mesh axis sequence, and heads are not exchanged for them"
    if call.batch % call.examples or call.heads % over:
        return f"{call.batch} examples and {call.heads} heads do not divide over the mesh"
    return None


def choose(call: Call, ways: Ways) -> tuple[Attention, bool]:
    """(the way to compute a call, whether tokens are exchanged for heads).

    A memory is read in the way of the setting where that is exact, else by xla.

    Raises:
        UserError: the setting names a way that does not compute this exactly.
    """
    exchanged = call.exchanges(ways.sequence)
    setting = ways.attention
    if setting == "xla":
        return "xla", exchanged
    if setting == "auto":
        for backend in ("splash", "cudnn"):
            large = call.queries * call.keys >= LEAST[backend]
            if large and refusal(backend, call, exchanged=exchanged) is None:
                return backend, exchanged
        return "xla", exchanged
    why = refusal(setting, call, exchanged=exchanged)
    if why is None:
        return setting, exchanged
    if call.memory:
        return "xla", exchanged
    raise UserError(f"attention {setting!r} cannot be had: {why}; 'auto' takes what there is.")


@typed
def attend(
    query: Float[Array, "B N heads head_dim"],
    key: Float[Array, "B M key_heads head_dim"],
    value: Float[Array, "B M key_heads head_dim"],
    sight: Seen,
    ways: Ways,
) -> Float[Array, "B N heads head_dim"]:
    """`model.attention.attention`, computed in the way that `choose` finds.

    Raises:
        UserError: see `choose`.
    """
    call = Call(
        platform=platform(),
        dtype=query.dtype.name,
        batch=query.shape[0],
        queries=query.shape[1],
        keys=key.shape[1],
        heads=query.shape[2],
        key_heads=key.shape[2],
        head_dim=query.shape[3],
        blind=sight.own is None and not sight.table.array.any(axis=1).all(),
        capability=capability(),
        memory=sight.own is None,
        examples=parts_of("batch"),
        tokens=parts_of("token"),
        shards=parts_of("heads"),
    )
    if not is_spread():
        # A policy may run elsewhere than where it was trained; and over several devices a kernel
        # runs only where it is told how its arrays are spread.
        kernels = ways.attention != "xla" and jax.device_count() == 1
        ways = dataclasses.replace(ways, attention="auto" if kernels else "xla")
    backend, exchanged = choose(call, ways)
    over = "exchanged" if exchanged else "heads"
    with jax.named_scope(f"{SCOPE}{backend}{'_ulysses' if exchanged else ''}"):
        query = constrain(query, "batch", None if exchanged else "token", over, None)
        key, value = (constrain(part, "batch", None, over, None) for part in (key, value))
        match backend:
            case "xla":
                out = attention(query, key, value, sight.visible)
            case "cudnn":
                kernel = functools.partial(fused, implementation="cudnn")
                out = by_device(kernel, query, key, value, sight.visible, over)
            case "splash":
                kernel = functools.partial(splash, table=sight.table, own=sight.own)
                out = by_device(kernel, query, key, value, sight.real, over)
            case _:
                raise AssertionError(f"{backend} is no way to compute attention")
        return constrain(out, "batch", "token", "heads", None) if exchanged else out


def fused(
    query: Array,
    key: Array,
    value: Array,
    visible: Array,
    *,
    implementation: Literal["xla", "cudnn"],
) -> Array:
    """Shapes as `model.attention.attention`, by `jax.nn.dot_product_attention`."""
    return jax.nn.dot_product_attention(
        query, key, value, mask=visible[:, None], implementation=implementation
    )


def by_device(
    kernel: Callable[..., Array],
    query: Array,
    key: Array,
    value: Array,
    mask: Array,
    over: Literal["heads", "exchanged"],
) -> Array:
    """`kernel(query, key, value, mask)` on every device's own examples and heads.

    Args:
        kernel: a function of arrays with whole tokens.
        query, key, value: [B, N or M, heads, head_dim].
        mask: [B, ...].
        over: the logical axis of the heads, see `parallel.activations`.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return kernel(query, key, value, mask)
    if key.shape[2] % parts_of(over):
        group = query.shape[2] // key.shape[2]
        key, value = (jnp.repeat(part, group, axis=2) for part in (key, value))
    whole = spec_of_activation(("batch", None, over, None))
    rows = spec_of_activation(("batch", *(None,) * (mask.ndim - 1)))
    # The kernels do not say over which mesh axes their results vary.
    spread = jax.shard_map(
        kernel, in_specs=(whole, whole, whole, rows), out_specs=whole, check_vma=False
    )
    return spread(query, key, value, mask)


def ways_in(jaxpr: Any) -> dict[str, str]:
    """The stacks of a traced program, and "STACK memory", with the way that each of them takes.

    Args:
        jaxpr: a (closed) jaxpr.
    """
    found: dict[str, str] = {}
    _collect(jaxpr, "", found)
    return dict(sorted(found.items()))


def ways_text(ways: Mapping[str, str]) -> str:
    """What `ways_in` found, in words: "splash + ulysses in main, xla in main memory"."""
    return ", ".join(f"{way} in {name}" for name, way in ways.items())


STACK = re.compile(rf"stack_(\w+)/.*?(\w+_out/)?{SCOPE}([a-z_]+)")


def _collect(jaxpr: Any, outer: str, found: dict[str, str]) -> None:
    inner = jaxpr.jaxpr if hasattr(jaxpr, "jaxpr") else jaxpr
    for equation in inner.eqns:
        path = f"{outer}/{equation.source_info.name_stack}"
        if SCOPE in path:
            if there := STACK.search(path):
                stack, memory, way = there.groups()
                found[f"{stack} memory" if memory else stack] = way.replace("_", " + ")
            continue
        for value in equation.params.values():
            for item in value if isinstance(value, tuple | list) else (value,):
                if hasattr(item, "eqns") or hasattr(item, "jaxpr"):
                    _collect(item, path, found)
