"""A tiny system, loader and run of the interfaces that training knows; two layers and no flow."""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Batch
from wamjax.parallel.mesh import MeshConfig
from wamjax.train.augment import OCTO
from wamjax.train.config import StageConfig, TrainConfig

SIZE, CHUNK, WIDTH, LETTERS = 4, 2, 16, 8


class ToyContext(nn.Module):
    @nn.compact
    def __call__(self, batch: Batch) -> jax.Array:
        wide = nn.with_logical_partitioning(nn.initializers.lecun_normal(), ("embed", "mlp"))
        table = nn.with_logical_partitioning(nn.initializers.normal(), ("vocab", None))
        frames = batch.frames[:, :, 0].reshape(batch.frames.shape[0], -1) / 255.0
        words = nn.Embed(256, 4, embedding_init=table)(batch.text).mean(1)
        inputs = jnp.concatenate([frames, batch.proprio, words], axis=-1)
        return jnp.tanh(nn.Dense(WIDTH, kernel_init=wide)(inputs))


class ToyHeads(nn.Module):
    @nn.compact
    def __call__(self, hidden: jax.Array) -> tuple[jax.Array, jax.Array]:
        zeros = nn.with_logical_partitioning(nn.initializers.zeros, ("mlp", "embed"))
        video = nn.Dense(3, kernel_init=zeros, name="video")(hidden)
        action = nn.Dense(CHUNK * 2, kernel_init=zeros, name="action")(hidden)
        return video, action.reshape(-1, CHUNK, 2)


class ToySystem:
    """Predicts the last frame's mean colour and the action chunk."""

    def init(self, key: jax.Array) -> Any:
        batch = ToyLoader(2).make(0)
        keys = jax.random.split(key)
        context = ToyContext().init(keys[0], batch)["params"]
        hidden = jnp.zeros((2, WIDTH))
        return {"context": context, "model": ToyHeads().init(keys[1], hidden)["params"]}

    def loss(self, params: Any, batch: Batch, key: jax.Array, objective: str) -> Any:
        hidden = ToyContext().apply({"params": params["context"]}, batch)
        hidden = hidden + 0.1 * jax.random.normal(key, hidden.shape)
        video, action = ToyHeads().apply({"params": params["model"]}, hidden)
        colour = batch.frames[:, :, -1].mean((1, 2, 3)) / 255.0
        parts = {
            "loss/video": jnp.square(video - colour).mean(),
            "loss/action": jnp.square(action - batch.actions).mean(),
        }
        if objective == "world":
            parts = {"loss/video": parts["loss/video"]}
        elif objective in ("direct", "behaviour"):
            parts = {"loss/action": parts["loss/action"]}
        return sum(parts.values()), parts


class ToyLoader:
    """Examples are functions of their index; the state is the next index."""

    def __init__(self, batch: int, *, delay: float = 0.0, poison: int | None = None):
        self.batch, self.delay, self.poison, self.next = batch, delay, poison, 0

    def make(self, start: int) -> Batch:
        index = np.arange(start, start + self.batch, dtype=np.int32)
        draws = np.random.default_rng(start)
        frames = draws.integers(0, 256, (self.batch, 2, 2, SIZE, SIZE, 3)).astype(np.uint8)
        proprio = draws.normal(size=(self.batch, 3)).astype(np.float32)
        text = draws.integers(1, 200, (self.batch, LETTERS)).astype(np.uint8)
        actions = np.stack([proprio[:, :2], text[:, :2] / 200.0], axis=1).astype(np.float32)
        if self.poison is not None and start <= self.poison < start + self.batch:
            actions[self.poison - start] = np.nan
        return Batch(
            frames=frames,
            camera_mask=np.ones((self.batch, 2), bool),
            frame_mask=np.ones((self.batch, 2), bool),
            actions=actions,
            action_mask=np.ones((self.batch, CHUNK, 2), bool),
            proprio=proprio,
            proprio_mask=np.ones((self.batch, 3), bool),
            text=text,
            index=index,
        )

    def __iter__(self) -> Iterator[Batch]:
        while True:
            time.sleep(self.delay)
            batch = self.make(self.next)
            self.next += self.batch
            yield batch

    def state(self) -> dict[str, Any]:
        return {"next_example": self.next, "fingerprint": {"data": "toy"}}

    def restore(self, state: dict[str, Any]) -> None:
        assert state["fingerprint"] == {"data": "toy"}
        self.next = state["next_example"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyRun:
    name: str = "toy"
    train: TrainConfig = TrainConfig(
        augment=OCTO,
        steps=20,
        batch=8,
        save_every=5,
        log_every=5,
        keep=2,
        learning_rate=1e-2,
        ema=0.9,
    )
    mesh: MeshConfig = MeshConfig()

    @property
    def stages(self) -> tuple[StageConfig, ...]:
        return self.train.stages or (StageConfig(),)


TWO_STAGES = (
    StageConfig(name="world", fraction=0.6, objective="world", train=("context/.*", ".*video.*")),
    StageConfig(name="behaviour", fraction=0.4, objective="behaviour", train=(".*action.*",)),
)
STATISTICS = {"action": {"mean": (0.0, 0.5)}}
