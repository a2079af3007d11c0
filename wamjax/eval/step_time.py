"""How long a train step takes on the devices that are here, and the least that it could take.

    model   FLOPs of the model's forward and backward pass       MFU = model / (seconds x peak)
    done    with what is made anew in the backward pass          HFU = done / (seconds x peak)

A step is timed from the call to its last number, one after the other. Where data are read, the wait
for a batch that is not ready yet counts as part of the step, and is told apart.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from wamjax.core.errors import UserError
from wamjax.core.keys import named_keys
from wamjax.core.typing import Key, PyTree
from wamjax.eval.ceilings import DEVICES, Device, own_device
from wamjax.eval.plan.case import Training
from wamjax.model.backends import ways_in
from wamjax.parallel.shardings import batch_sharding, replicated
from wamjax.train.flops import compiled
from wamjax.train.prefetch import Prefetch
from wamjax.train.protocols import Loader
from wamjax.train.state import Plan, TrainState, init_state

WARMUP = 3


@dataclasses.dataclass(frozen=True)
class StepTime:
    """What was found, as plain values for JSON.

    Attributes:
        name: of the case.
        mesh: axis -> devices along it.
        rows, tokens: examples of a step; tokens of each, None where the system does not tell.
        parameters, trained: weights.
        p50_ms, p95_ms: of a step.
        repeats: steps that were timed.
        data_wait_share: of their time, spent waiting for batches; None for random ones.
        flops: of a step: "model" and "done"; equal where the model's own are not known apart.
        attention: stack -> the way in which it is computed, see model.backends.
        peak_flops: FLOP/s of all devices together.
        mfu, hfu: shares of the peak.
        memory: bytes a device by part; "peak" where the device tells.
        compile_seconds: tracing, lowering and compiling.
        least_ms: "products" and "memory".
        loss: of the last step.
    """

    name: str
    mesh: dict[str, int]
    rows: int
    tokens: int | None
    parameters: int
    trained: int
    p50_ms: float
    p95_ms: float
    repeats: int
    data_wait_share: float | None
    flops: dict[str, float]
    attention: dict[str, str]
    peak_flops: float
    mfu: float
    hfu: float
    memory: dict[str, float]
    compile_seconds: float
    least_ms: dict[str, float]
    loss: float

    @property
    def bound(self) -> str:
        """What bounds a step from below."""
        return max(self.least_ms, key=self.least_ms.__getitem__)

    @property
    def rates(self) -> dict[str, float]:
        """Examples (and tokens) a second, at the median."""
        examples = 1e3 * self.rows / self.p50_ms
        found = {"examples_per_second": examples}
        return (
            found if self.tokens is None else found | {"tokens_per_second": examples * self.tokens}
        )


@dataclasses.dataclass
class Stepper:
    """A compiled step with its state, taken one at a time.

    Attributes:
        executable: (state, batch, key) -> (state, metrics); the state is donated.
        state, key: of the next step.
        next_batch: gives batches on the devices.
        loss: of the last step.
    """

    executable: Any
    state: TrainState
    key: Key
    next_batch: Callable[[], PyTree]
    loss: float = float("nan")

    @classmethod
    def of(
        cls,
        case: Training,
        plan: Plan,
        executable: Any,
        mesh: Mesh,
        next_batch: Callable[[], PyTree],
    ) -> "Stepper":
        """With a fresh state."""
        keys = named_keys(jax.random.key(0), "init", "step")
        state = init_state(case.system, plan, keys["init"])
        return cls(executable, state, jax.device_put(keys["step"], replicated(mesh)), next_batch)

    @classmethod
    def on_random(cls, case: Training, plan: Plan, executable: Any, mesh: Mesh) -> "Stepper":
        """With a fresh state, and one random batch again and again."""
        fixed = jax.device_put(random_batch(case.batch), batch_sharding(mesh, case.rows))
        return cls.of(case, plan, executable, mesh, lambda: fixed)

    def take(self) -> tuple[float, float]:
        """Take a step: its seconds, and those of them that it waited for data."""
        started = time.perf_counter()
        batch = self.next_batch()
        ready = time.perf_counter()
        self.state, metrics = self.executable(self.state, batch, self.key)
        jax.block_until_ready(metrics)
        ended = time.perf_counter()
        self.loss = float(metrics["loss"])
        return ended - started, ready - started


def random_batch(shapes: PyTree, seed: int = 0) -> PyTree:
    """NumPy arrays of these shapes: numbers at random, nothing masked, words and numbers zero."""
    rng = np.random.default_rng(seed)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.dtype == jnp.bool_:
            return np.ones(leaf.shape, bool)
        if leaf.dtype == jnp.uint8:
            return rng.integers(0, 256, leaf.shape, np.uint8)
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return np.zeros(leaf.shape, leaf.dtype)
        return rng.standard_normal(leaf.shape, np.float32).astype(leaf.dtype)

    return jax.tree.map(draw, shapes)


def peak_of(dtype: str) -> Device:
    """This device: its data sheet for bfloat16 where we have one, otherwise what it reaches."""
    kind = jax.devices()[0].device_kind
    published = [device for device in DEVICES if device.name.lower() == kind.lower()]
    return published[0] if published and dtype == "bfloat16" else own_device(dtype)


def step_time(
    case: Training,
    mesh: Mesh,
    peak: Device,
    *,
    repeats: int,
    loader: Loader | None = None,
    told: Callable[[], None] = lambda: None,
) -> StepTime:
    """Compile the step, make a fresh state and take `repeats` steps behind `WARMUP` others.

    Args:
        case: what is trained.
        mesh: on which devices.
        peak: of one device.
        repeats: timed steps.
        loader: of batches; a random one is used again and again without.
        told: called after every step.

    Raises:
        UserError: the loss is not finite, or the batch does not fit the mesh.
    """
    plan, placed = case.planned(mesh), case.placed(mesh)
    ways: dict[str, str] = {}
    executable, done, compiling = compiled(
        placed.program, *placed.arguments, look=lambda jaxpr: ways.update(ways_in(jaxpr))
    )
    count = WARMUP + repeats
    if loader is None:
        stepper = Stepper.on_random(case, plan, executable, mesh)
        spent, waits = _taken(stepper, count, told)
    else:
        with Prefetch(loader, batch_sharding(mesh, case.rows), count) as batches:
            stepper = Stepper.of(case, plan, executable, mesh, batches.take)
            spent, waits = _taken(stepper, count, told)
    if not np.isfinite(stepper.loss):
        raise UserError(f"the loss of {case.name} became {stepper.loss}: these times mean nothing.")
    p50, p95 = (float(value) for value in np.quantile(spent, [0.5, 0.95]))
    counted = case.counted
    model = case.walked(placed, mesh) if counted is None else counted
    memory = _memory(placed.parts, executable, mesh)
    # Devices of a CPU share its cores.
    all_flops = peak.flops * (1 if jax.default_backend() == "cpu" else mesh.size)
    moved = 2 * sum(memory[part] for part in ("weights", "average", "optimizer"))
    return StepTime(
        name=case.name,
        mesh=dict(mesh.shape),
        rows=case.rows,
        tokens=case.tokens,
        parameters=plan.total,
        trained=plan.trained,
        p50_ms=1e3 * p50,
        p95_ms=1e3 * p95,
        repeats=repeats,
        data_wait_share=None if loader is None else float(waits.sum() / spent.sum()),
        flops={"model": model, "done": done},
        attention=ways,
        peak_flops=all_flops,
        mfu=model / (p50 * all_flops),
        hfu=done / (p50 * all_flops),
        memory=memory,
        compile_seconds=compiling,
        least_ms={
            "products": 1e3 * done / all_flops,
            "memory": 1e3 * max(moved - peak.cache, 0.0) / peak.bandwidth,
        },
        loss=stepper.loss,
    )


def _taken(stepper: Stepper, count: int, told: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of each step behind the warm-up, and of its wait for data."""
    spent = []
    for _ in range(count):
        spent.append(stepper.take())
        told()
    whole, waits = np.array(spent[WARMUP:]).T
    return whole, waits


def _memory(standing: dict[str, float], executable: Any, mesh: Mesh) -> dict[str, float]:
    """Bytes of the first device by part."""
    parts = dict(standing)
    parts["temporary"] = float(executable.memory_analysis().temp_size_in_bytes)
    stats = mesh.devices.flat[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        parts["peak"] = float(stats["peak_bytes_in_use"])
    return parts
