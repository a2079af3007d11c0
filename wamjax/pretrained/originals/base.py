"""Original implementations, in PyTorch, with the weights of a checkpoint: the truth about ours.

They are asked for where they are built (extra `reference`: torch, diffusers, transformers); nothing
else of wamjax needs them. Both compute in float32 on the CPU, one after the other.
"""

import contextlib
import dataclasses
import gc
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.runtime import memory_available
from wamjax.core.tree import count_parameters
from wamjax.core.typing import Params, PyTree
from wamjax.pretrained.load import load
from wamjax.pretrained.moves import expand, theirs
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Tensors

Values = Mapping[str, np.ndarray]
NEEDED = ("torch", "diffusers", "transformers")
TOLERANCE = 1e-3
"""Of the largest difference at full depth, both in float32, by the output's root mean square."""


class Module(NamedTuple):
    """A module as it is published.

    Attributes:
        package: "diffusers" or "transformers".
        kind: its class.
        options: of diffusers' class, or of transformers' config of that class.
        config: the class of transformers' config.
    """

    package: str
    kind: str
    options: Mapping[str, Any]
    config: str = ""

    @property
    def _kind(self) -> Any:
        return getattr(importlib.import_module(self.package), self.kind)

    @property
    def _config(self) -> Any:
        package: Any = importlib.import_module(self.package)
        return getattr(package, self.config)(**self.options)

    def fresh(self) -> Any:
        """With weights of its own, on PyTorch's current device."""
        return self._kind(self._config) if self.config else self._kind(**self.options)

    def filled(self, state: Mapping[str, Any]) -> Any:
        """With these tensors, by the names of its files, in float32."""
        torch: Any = importlib.import_module("torch")
        if self.config:
            # What its files call otherwise than its modules is renamed by transformers itself.
            with _quiet():
                made = self._kind.from_pretrained(
                    None, config=self._config, state_dict=dict(state), dtype=torch.float32
                )
        else:
            made = self.fresh()
            made.load_state_dict(state)
        return made.float().eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers says of parts that nothing here reads, and without its bars."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Original:
    """A published implementation beside ours.

    Attributes:
        module: theirs.
        table: the names of its files.
        given: a generator -> a small input.
        theirs: (module, input) -> what it makes, by part.
        ours: (weights, input) -> what ours makes, by part, in the same shapes.
    """

    module: Module
    table: Callable[[], Table]
    given: Callable[[np.random.Generator], Values]
    theirs: Callable[[Any, Values], Values]
    ours: Callable[[Params, Values], Values]


def missing() -> list[str]:
    """Packages that are not installed, of those that originals need."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def memory_needed(target: PyTree, *, renamed: bool) -> int:
    """Bytes at most: one of the two networks in float32 and the tensors that it is filled with; a
    third time where those have to be renamed first; and one GiB."""
    return 4 * count_parameters(target) * (3 if renamed else 2) + 2**30


def far(ours: Any, truth: Any) -> float:
    """Largest absolute difference over the root mean square of the truth; NaN if any is NaN."""
    a, b = (np.asarray(x, np.float64) for x in (ours, truth))
    assert a.shape == b.shape, f"{a.shape} here, {b.shape} there"
    return float(np.abs(a - b).max() / np.sqrt(np.square(b).mean()))


def compared(
    original: Original, tensors: Tensors, table: Table, target: PyTree, seed: int = 0
) -> dict[str, float]:
    """How far ours is from the original with the weights of a checkpoint: part -> `far`.

    Args:
        table: the names in the checkpoint.
        target: shapes of our weights.
        seed: of the input.

    Raises:
        UserError: a package is missing, or the memory for it.
    """
    if absent := missing():
        raise UserError(f"{', '.join(absent)} not installed (pip install 'wamjax[reference]').")
    names = {move.theirs for move in expand(original.table())}
    renamed = not names <= tensors.shapes.keys()
    needed, free = memory_needed(target, renamed=renamed), memory_available()
    if needed > free:
        raise UserError(
            f"it needs {needed / 2**30:.0f} GiB of memory, of which {free / 2**30:.0f} are free."
        )
    given = original.given(np.random.default_rng(seed))
    truth = _truth(original, tensors, table, target, names, given)
    # Only now ours: one network at a time is in memory.
    gc.collect()
    with jax.default_matmul_precision("highest"):
        weights = load(tensors, table, target, dtype=np.float32)
        made = original.ours(weights, given)
    assert made.keys() == truth.keys()
    return {part: far(made[part], x) for part, x in truth.items()}


def _truth(
    original: Original,
    tensors: Tensors,
    table: Table,
    target: PyTree,
    names: set[str],
    given: Values,
) -> Values:
    torch: Any = importlib.import_module("torch")
    if names <= tensors.shapes.keys():
        state = {name: as_torch(tensors.read(name)) for name in names}
    else:
        weights = load(tensors, table, target, dtype=np.float32)
        state = {k: as_torch(x) for k, x in theirs(original.table(), weights).items()}
        del weights
    module = original.module.filled(state)
    del state
    with torch.no_grad():
        return original.theirs(module, given)


def as_torch(array: np.ndarray) -> Any:
    """A tensor with the same numbers and type, of its own."""
    torch: Any = importlib.import_module("torch")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(np.array(array).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))
