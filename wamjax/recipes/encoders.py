"""The small networks beside a blueprint's model.

Networks that a published system takes pretrained (T5, SigLIP, DaViT, Qwen) are stood in for by the
small ones of `codec`, trained with the rest.
"""

import dataclasses
import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from wamjax.codec.keypoints import KeypointEncoder
from wamjax.codec.latent_action import Stage
from wamjax.codec.patch import PatchCodec
from wamjax.codec.pooled import pooled_patches
from wamjax.codec.text import TextEncoder
from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Bool, Float, Key, Params
from wamjax.model.segments import Segment
from wamjax.model.tokens import tokens_from_latents
from wamjax.recipes.blueprint import Blueprint, Cameras, Learning, Words
from wamjax.recipes.latent_words import LatentWords
from wamjax.recipes.parts import call
from wamjax.recipes.scene import Scene
from wamjax.recipes.timeline import Timeline

# Averages on a side of a token of frozen features.
SIDE = 4


@dataclasses.dataclass(frozen=True)
class Encoders:
    """Features, words and latent actions, given the weights of the encoders.

    Attributes:
        blueprint: whose.
        views: cameras in the data.
        image_size: side of the frames, pixels.
    """

    blueprint: Blueprint
    views: int
    image_size: int

    @functools.cached_property
    def timeline(self) -> Timeline:
        return Timeline(self.blueprint)

    @property
    def learning(self) -> Learning:
        return self.timeline.learning

    @functools.cached_property
    def widths(self) -> dict[str, int]:
        """Width of each stream's values."""
        return dict(self.blueprint.features)

    @functools.cached_property
    def encoded(self) -> dict[str, Cameras]:
        return dict(self.learning.encoded)

    @functools.cached_property
    def patch(self) -> int:
        """Pixels on a side of a video or image token."""
        return self.image_size // self.blueprint.shape.rows

    @functools.cached_property
    def text(self) -> TextEncoder:
        shape = self.blueprint.shape
        # Where the instruction is numbers, its encoder steers the keypoints alone.
        width = 32 if "text" in self.wording else self.widths.get("text", 32)
        return TextEncoder(width=width, words=shape.words, hidden=32)

    @functools.cached_property
    def wording(self) -> dict[str, Words]:
        return dict(self.learning.words)

    @functools.cached_property
    def between(self) -> LatentWords | None:
        """The codec of latent actions."""
        codec = self.learning.between
        return None if codec is None else LatentWords(codec)

    def encoder(self, stream: str) -> KeypointEncoder:
        """The network that stands in for the encoder of a stream's features."""
        segments = [s for s in self.blueprint.training.segments if s.stream == stream]
        return KeypointEncoder(width=self.widths[stream], tokens=segments[0].count)

    def cameras(self, stream: str, segment: Segment) -> list[int]:
        """Which cameras the features of a segment are made of."""
        table: dict[Cameras, list[int]] = {
            "own": [segment.view],
            "others": list(range(1, self.views)),
            "all": list(range(self.views)),
            "first": [segment.view],
        }
        return table[self.encoded[stream]]

    @functools.cached_property
    def looked(self) -> np.ndarray:
        """Which cameras an encoder looks through, bool [V]."""
        segments = [s for s in self.blueprint.training.segments if s.stream in self.encoded]
        used = [view for s in segments for view in self.cameras(s.stream, s)]
        return np.isin(np.arange(self.views), used)

    @property
    def pictures(self) -> int:
        """Pictures that a camera gives an encoder: a frame, or a frame and its goal."""
        return 1 if self.learning.goal is None else 2

    def init(self, key: Key) -> dict[str, Any]:
        """Fresh weights of the encoders, boxed."""
        keys = named_keys(key, "text", "latent_action", *self.encoded)
        text = jnp.zeros((1, 8), jnp.uint8)
        weights = {"text": self.text.init(keys["text"], text)["params"]}
        for stream in self.encoded:
            segment = next(s for s in self.blueprint.training.segments if s.stream == stream)
            count = self.pictures * len(self.cameras(stream, segment))
            frames = jnp.zeros((1, count, self.image_size, self.image_size, 3))
            pooled = jnp.zeros((1, self.text.width))
            made = self.encoder(stream).init(
                keys[stream], frames, pooled, jnp.ones((1, count), bool)
            )
            weights[stream] = made["params"]
        if self.between is not None:
            grid = self.blueprint.shape
            size = (grid.rows * grid.columns, 3 * SIDE**2, self.text.width)
            weights["latent_action"] = self.between.init(keys["latent_action"], *size)
        return weights

    def latents(self, scene: Scene, view: int) -> Float[Array, "B T N c"]:
        """Tokens of each frame of one camera."""
        if scene.latents is None:
            codec = PatchCodec(patch=self.patch)
            latents = call(codec, {}, scene.frames[:, view], method="encode")
        else:
            latents = scene.latents[:, view]
        batch, count = latents.shape[:2]
        tokens = tokens_from_latents(latents, 1)
        return tokens.reshape(batch, count, -1, tokens.shape[-1])

    def frozen(self, scene: Scene, place: int) -> Float[Array, "B N F"]:
        """Frozen features of one frame, those of all cameras side by side; absent ones are 0."""
        grid = self.blueprint.shape
        shown = scene.frames[:, : grid.views, place]
        patches = pooled_patches(shown, grid.rows, grid.columns, SIDE)
        patches = jnp.where(scene.camera_mask[:, : grid.views, None, None], patches, 0.0)
        beside = jnp.moveaxis(patches, 1, 2)
        return beside.reshape(*beside.shape[:2], -1)

    def next_features(self, scene: Scene) -> tuple[Array, Bool[Array, "B N F"]]:
        """What the queries of the predictor answer, and which of its numbers are real."""
        targets, real = [], []
        width = 3 * SIDE**2
        seen = jnp.repeat(scene.camera_mask[:, : self.blueprint.shape.views], width, axis=1)
        for segment in self.blueprint.training.segments:
            if segment.kind == "feature/query":
                after = self.timeline.look(segment) + 1
                target = self.frozen(scene, after)
                targets.append(target)
                there = seen & scene.frame_mask[:, after : after + 1]
                real.append(jnp.broadcast_to(there[:, None], target.shape))
        return jnp.concatenate(targets, axis=1), jnp.concatenate(real, axis=1)

    def chunk_ends(self, scene: Scene) -> tuple[Array, Array, Bool[Array, " B"]]:
        """Frozen features now and at the chunk's end, and whether the end was recorded."""
        before, after = self.frozen(scene, self.timeline.history - 1), self.frozen(scene, -1)
        real = scene.frame_mask[:, -1]
        return before, jnp.where(real[:, None, None], after, before), real

    def codec_loss(self, params: Params, scene: Scene, stage: Stage, key: Key) -> Float[Array, ""]:
        """The loss of a stage of the codec of latent actions."""
        assert self.between is not None
        before, after, _ = self.chunk_ends(scene)
        told, _, _ = call(self.text, params["text"], scene.text)
        return self.between.loss(params["latent_action"], stage, before, after, told, key)

    def latent_words(self, params: Params, scene: Scene) -> tuple[Array, Bool[Array, "B n"]]:
        """The words between the chunk's ends, int [B, n], and which are to be learned."""
        assert self.between is not None
        before, after, real = self.chunk_ends(scene)
        words = self.between.words(params["latent_action"], before, after)
        return words, jnp.broadcast_to(real[:, None], words.shape)
