"""Low-rank adapters beside the kernels that path patterns choose (LoRA, arXiv 2106.09685).

    W + (alpha / rank) A B       A [in, rank] Gaussian of variance 1 / in,  B [rank, out] zero

The weights get a part `lora` with the paths of the kernels ("lora/model/.../kernel/a"), and the
system's loss is asked with the sums in the kernels' place, so that every system can be adapted and
none knows of it. A kernel whose leading axis counts layers has an adapter for each. Adapters are
split over a mesh as their kernels are. The sums are made anew in every step: they cost a copy of
the chosen kernels, and their gradient another; what is saved is the optimizer's state.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.keys import named_keys
from wamjax.core.records import Batch
from wamjax.core.tree import count_parameters, leaves_by_path
from wamjax.core.typing import Array, Key, Params
from wamjax.model.layers import matrix_axes
from wamjax.parallel.shardings import is_boxed, unbox
from wamjax.train.config import TrainConfig
from wamjax.train.protocols import Evaluate, System
from wamjax.train.selection import LORA, compiled, matched

KERNEL = "kernel"
Product = Callable[[Any, Any, int], Any]


@dataclasses.dataclass(frozen=True)
class Adapted:
    """A system with adapters; it has the functions of `train.protocols.System`.

    Attributes:
        system: gives the weights and the loss.
        patterns: regular expressions over whole paths of kernels.
        rank: of the adapters.
        scale: of their products.
    """

    system: System
    patterns: tuple[str, ...]
    rank: int
    scale: float

    def init(self, key: Key) -> Params:
        """Fresh weights, those of the system as it alone would make them.

        Raises:
            UserError: no kernel is matched, one is no matrix, or a pattern is none.
        """
        base = self.system.init(key)
        return {**base, LORA: fresh(base, self.patterns, self.rank, key)}

    def loss(
        self, params: Params, batch: Batch, key: Key, objective: Any
    ) -> tuple[Array, Mapping[str, Array]]:
        """The system's loss with the sums in the kernels' place."""
        return self.system.loss(merged(params, self.scale), batch, key, objective)

    def told(self, params: Params) -> str:
        """How many adapters there are, in one line.

        Args:
            params: of `init`, or their shapes.
        """
        own = unbox(params[LORA])
        kernels, count = len(leaves_by_path(own)) // 2, count_parameters(own)
        return f"lora: rank {self.rank} beside {kernels} kernels, {count:,} weights."


def adapted(system: System, config: TrainConfig) -> System:
    """The system with the adapters that a training config asks for; without any, itself."""
    if config.lora is None:
        return system
    return Adapted(system, config.lora, config.rank, scale_of(config.lora_alpha, config.rank))


def scale_of(alpha: float | None, rank: int) -> float:
    """alpha / rank; without an alpha 1."""
    return 1.0 if alpha is None else alpha / rank


def fresh(base: Params, patterns: Sequence[str], rank: int, key: Key) -> Params:
    """Adapters of the kernels that a pattern matches, boxed with the kernels' logical axes.

    Raises:
        UserError: there is none, one is no matrix, or a pattern is no regular expression.
    """
    wanted = compiled(patterns, "train.lora")
    flat, _ = jax.tree_util.tree_flatten_with_path(base, is_leaf=is_boxed)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in flat}
    kernels = {path: leaf for path, leaf in named.items() if path.split("/")[-1] == KERNEL}
    chosen = [path for path in kernels if matched(wanted, path)]
    if not chosen:
        raise UserError(
            f"the patterns {tuple(patterns)} of train.lora match none of the {len(kernels)} "
            f"kernels; their paths are like {min(kernels, default='none')}."
        )
    keys = named_keys(named_keys(key, LORA)[LORA], *chosen)
    made = {path: _beside(path, kernels[path], rank, keys[path]) for path in chosen}
    return flax.traverse_util.unflatten_dict(made, sep="/")


def _beside(path: str, leaf: Any, rank: int, key: Key) -> dict[str, Any]:
    value = leaf.value if is_boxed(leaf) else leaf
    names = tuple(leaf.names) if is_boxed(leaf) else (None,) * value.ndim
    try:
        stacked, inputs = matrix_axes(names)
    except ValueError as error:
        raise UserError(f"{path} {error}: leave it out of the patterns of train.lora.") from error
    shape, end = value.shape, stacked + inputs
    width = int(np.prod(shape[stacked:end]))
    a = jax.random.normal(key, (*shape[:end], rank), value.dtype) * width**-0.5
    b = jnp.zeros((*shape[:stacked], rank, *shape[end:]), value.dtype)
    return {
        "a": nn.LogicallyPartitioned(a, (*names[:end], None)),
        "b": nn.LogicallyPartitioned(b, (*names[:stacked], None, *names[end:])),
    }


def on_device(a: Array, b: Array, stacked: int) -> Array:
    """A B of each of the matrices that the leading axes count; axes stay as they are split."""

    def product(a: Array, b: Array) -> Array:
        return jnp.tensordot(a, b, axes=1)

    for _ in range(stacked):
        product = jax.vmap(product)
    return product(a, b)


def on_host(a: np.ndarray, b: np.ndarray, stacked: int) -> np.ndarray:
    """The same, in NumPy."""
    lead, rank = a.shape[:stacked], a.shape[-1]
    flat = a.reshape(*lead, -1, rank) @ b.reshape(*lead, rank, -1)
    return flat.reshape(*a.shape[:-1], *b.shape[stacked + 1 :])


def merged(params: Params, scale: float, product: Product = on_device) -> Params:
    """Weights with the adapters added, without the part `lora`; as they are where it has none.

    Args:
        params: weights, unboxed.
        scale: of the products.
        product: how they are made: `on_device` or `on_host`.
    """
    if LORA not in params:
        return params
    own = leaves_by_path(params[LORA])

    def one(path: tuple, kernel: Any) -> Any:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if f"{name}/a" not in own:
            return kernel
        a, b = own[f"{name}/a"], own[f"{name}/b"]
        stacked = a.ndim + b.ndim - 2 - kernel.ndim
        return kernel + (scale * product(a, b, stacked)).astype(kernel.dtype)

    base = {name: part for name, part in params.items() if name != LORA}
    return jax.tree_util.tree_map_with_path(one, base)


def merged_on_host(params: Params, config: Mapping[str, Any]) -> Params:
    """NumPy weights as inference uses them.

    Args:
        params: weights, with a part `lora` or without.
        config: of the run, as JSON.
    """
    if LORA not in params:
        return params
    rank = next(iter(leaves_by_path(params[LORA]).values())).shape[-1]
    return merged(params, scale_of(config["train"]["lora_alpha"], rank), on_host)


def on_merged(evaluate: Evaluate | None, scale: float) -> Evaluate | None:
    """The evaluation of weights as inference uses them."""
    if evaluate is None:
        return None
    return lambda weights, step: evaluate(merged(weights, scale), step)
