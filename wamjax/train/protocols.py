"""What the loop needs of its neighbours, and no more."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from wamjax.core.records import Batch
from wamjax.core.typing import Array, Key, Params
from wamjax.parallel.mesh import MeshConfig
from wamjax.train.config import StageConfig, TrainConfig


class System(Protocol):
    """An assembled model; `wamjax.recipes.system.System` is one."""

    def init(self, key: Key) -> Params:
        """Weights, leaves boxed as `nn.LogicallyPartitioned`; must be traceable."""
        ...

    def loss(
        self, params: Params, batch: Batch, key: Key, objective: Any
    ) -> tuple[Array, Mapping[str, Array]]:
        """Scalar loss and its parts by name ("loss/video"), from unboxed weights."""
        ...


class Loader(Protocol):
    """Batches of NumPy arrays without end, with an exact state.

    `state()` after the n-th batch is what `restore` needs to continue with batch n + 1. Arrays
    already handed out are never written again: the device may read them in place. On several hosts
    each yields its own rows of the global batch, see `wamjax.parallel.shardings.host_share`.
    """

    def __iter__(self) -> Iterator[Batch]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


class Run(Protocol):
    """The part of a run's config that the loop reads; a frozen dataclass."""

    @property
    def name(self) -> str: ...

    @property
    def train(self) -> TrainConfig: ...

    @property
    def stages(self) -> tuple[StageConfig, ...]: ...

    @property
    def mesh(self) -> MeshConfig: ...


class Evaluate(Protocol):
    """Called with the averaged weights at every checkpoint; its numbers join the metrics."""

    def __call__(self, weights: Params, step: int) -> Mapping[str, float]: ...
