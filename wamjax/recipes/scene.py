"""From what a robot records to the values of a blueprint's tokens.

    text        small text encoder                 word      numbers, see Learning.words
    proprio     the state                          register  0, 1, 2, ...
    video       patches of the frames; what is denoised is their change since the newest frame
    image       patches, or keypoints              feature   keypoints steered by the instruction,
                                                             or averages of pixels
    action      the chunk, and what was executed before it; padding where that is not known

Networks that a published system takes pretrained (T5, SigLIP, DaViT, Qwen) are stood in for by the
small ones of `codec`, trained with the rest.
"""

import dataclasses
import functools
from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np

from wamjax.codec.keypoints import KeypointEncoder
from wamjax.codec.latent_action import Stage
from wamjax.codec.paint import painted
from wamjax.codec.patch import PatchCodec
from wamjax.codec.pooled import pooled_patches
from wamjax.codec.text import TextEncoder, word_numbers
from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Bool, Float, Int, Key, Params, UInt8
from wamjax.model.segments import Segment
from wamjax.model.wam import tokens_from_latents
from wamjax.recipes.blueprint import Blueprint, Cameras, Learning, Words
from wamjax.recipes.latent_words import LatentWords
from wamjax.recipes.parts import call
from wamjax.recipes.timeline import Timeline

BINS = 256
# Averages on a side of a token of frozen features.
SIDE = 4
# The change of a frame is multiplied by it, to bring it near the noise's unit variance.
VIDEO_SCALE = 3.0


@flax.struct.dataclass
class Scene:
    """What was recorded around now.

    Attributes:
        frames: float32 [B, V, T, H, W, 3] in [-1, 1]; T is `history`, or with the future behind.
        camera_mask, frame_mask: bool [B, V], [B, T].
        state: float32 [B, P], normalised, 0 where it was not recorded.
        text: uint8 [B, X].
        actions, action_mask: float32 and bool [B, K, A]; None when they are not known.
        past, past_mask: float32 and bool [B, P, A], those before now, the newest last; None when
            they are not known.
        embodiment: int32 [B]; None for the first.
    """

    frames: Float[Array, "B V T H W 3"]
    camera_mask: Bool[Array, "B V"]
    frame_mask: Bool[Array, "B T"]
    state: Float[Array, "B P"]
    text: UInt8[Array, "B X"]
    actions: Float[Array, "B K A"] | None = None
    action_mask: Bool[Array, "B K A"] | None = None
    past: Float[Array, "B P A"] | None = None
    past_mask: Bool[Array, "B P A"] | None = None
    embodiment: Int[Array, " B"] | None = None

    def knows(self, ticks: np.ndarray) -> bool:
        """Whether actions at these control ticks from now on are part of the scene at all."""
        return (self.past if (ticks < 0).all() else self.actions) is not None

    def at(self, ticks: np.ndarray) -> tuple[Array, Array]:
        """The actions at control ticks from now on, and which numbers are real, [B, N, A] each."""
        found = [part for part in (self.past, self.actions) if part is not None]
        masks = [part for part in (self.past_mask, self.action_mask) if part is not None]
        whole, real = jnp.concatenate(found, axis=1), jnp.concatenate(masks, axis=1)
        before = 0 if self.past is None else self.past.shape[1]
        places = ticks + before
        inside = (places >= 0) & (places < whole.shape[1])
        picked = np.clip(places, 0, whole.shape[1] - 1)
        there = real[:, picked] & inside[None, :, None]
        return jnp.where(there, whole[:, picked], 0.0), there


@dataclasses.dataclass(frozen=True)
class Reader:
    """The values of a blueprint's segments, given the weights of the encoders beside it.

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
        }
        return table[self.encoded[stream]]

    def init(self, key: Key) -> dict[str, Any]:
        """Fresh weights of the encoders, boxed."""
        keys = named_keys(key, "text", "latent_action", *self.encoded)
        text = jnp.zeros((1, 8), jnp.uint8)
        weights = {"text": self.text.init(keys["text"], text)["params"]}
        for stream in self.encoded:
            segment = next(s for s in self.blueprint.training.segments if s.stream == stream)
            count = len(self.cameras(stream, segment))
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

    def latents(self, frames: Float[Array, "B T H W 3"]) -> Float[Array, "B T N c"]:
        """Tokens of each frame of one camera."""
        batch, count = frames.shape[:2]
        latents = call(PatchCodec(patch=self.patch), {}, frames, method="encode")
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

    def content(self, segment: Segment) -> str:
        """What a latent frame of a painted sequence holds; "" where frames are frames."""
        painting = self.learning.painted
        return painting[round(segment.start)] if painting else ""

    def _painting(self, scene: Scene, segment: Segment) -> Float[Array, "B N c"]:
        """The content of a painted latent frame."""
        batch, grid = scene.state.shape[0], self.blueprint.shape
        size = (grid.rows, grid.columns, 3 * self.patch**2)
        kind, _, number = self.content(segment).partition(" ")
        match kind:
            case "state":
                frame = painted(scene.state, size)
            case "action" if scene.actions is not None:
                frame = painted(scene.actions.reshape(batch, -1), size)
            case "camera":
                own = self.latents(scene.frames[:, int(number)])
                return own[:, 0] if segment.block == 0 else (own[:, 1] - own[:, 0]) * VIDEO_SCALE
            case _:
                frame = jnp.zeros((batch, *size))
        return frame.reshape(batch, grid.rows * grid.columns, -1)

    def change(self, scene: Scene, segment: Segment) -> Float[Array, "B N c"]:
        """What is denoised at the tokens of a video segment."""
        if self.content(segment):
            return self._painting(scene, segment)
        own = self.latents(scene.frames[:, segment.view])
        reference = self.timeline.reference(segment)
        places = self.timeline.frames(segment)
        moved = (own[:, places] - own[:, reference : reference + 1]) * VIDEO_SCALE
        return moved.reshape(moved.shape[0], -1, moved.shape[-1])

    def given_frames(self, scene: Scene, segment: Segment) -> Float[Array, "B N c"]:
        """The frames of a video segment as they are."""
        if self.content(segment):
            return self._painting(scene, segment)
        own = self.latents(scene.frames[:, segment.view])[:, self.timeline.frames(segment)]
        return own.reshape(own.shape[0], -1, own.shape[-1])

    def shown(self, scene: Scene, segment: Segment, values: Array) -> Array:
        """Denoised values as a segment that is written for later phases holds them."""
        if segment.stream != "video" or segment.copy != "clean":
            return values
        own = self.latents(scene.frames[:, segment.view])
        return values / VIDEO_SCALE + own[:, self.timeline.reference(segment)][:, None].repeat(
            segment.frames, axis=1
        ).reshape(values.shape)

    def undo(
        self, scene: Scene, segment: Segment, changes: Float[Array, "B N c"]
    ) -> Float[Array, "B F H W 3"]:
        """Frames from denoised changes; the inverse of `change`."""
        return self.moved(scene, segment.view, changes, self.timeline.reference(segment))

    def moved(
        self, scene: Scene, view: int, changes: Float[Array, "B N c"], reference: int = 0
    ) -> Float[Array, "B F H W 3"]:
        """Frames of one camera, from their changes since one of the history's frames."""
        batch, grid, width = changes.shape[0], self.blueprint.shape, changes.shape[-1]
        own = self.latents(scene.frames[:, view])[:, reference : reference + 1]
        whole = changes.reshape(batch, -1, own.shape[2], width) / VIDEO_SCALE + own
        latents = whole.reshape(batch, -1, grid.rows, grid.columns, width)
        return call(PatchCodec(patch=self.patch), {}, latents, method="decode")

    def beside(self, scene: Scene, segment: Segment, told: Array | None = None) -> Array | None:
        """What stands beside the denoised values of a segment; None if nothing does.

        Args:
            told: bool [B], which examples are given the segment; those of its copy by default.
        """
        batch = scene.state.shape[0]
        match dict(self.learning.beside).get(segment.stream):
            case "state":
                return jnp.broadcast_to(
                    scene.state[:, None], (batch, segment.count, scene.state.shape[1])
                )
            case "first_frame":
                own = self.latents(scene.frames[:, segment.view])
                first = (self.timeline.frames(segment) == 0)[None, :, None, None]
                shown = jnp.where(first, own[:, :1], 0.0)
                mask = jnp.broadcast_to(first, shown.shape)[..., : shown.shape[-1] // 4]
                both = jnp.concatenate([mask.astype(shown.dtype), shown], axis=-1)
                return both.reshape(batch, segment.count, -1)
            case "given":
                width = self.widths[segment.stream] // 9
                given = jnp.full(batch, segment.copy != "noisy") if told is None else told
                given = given.astype(jnp.float32)[:, None, None]
                return jnp.broadcast_to(given, (batch, segment.count, width))
            case None:
                return None

    @functools.cached_property
    def unseen(self) -> np.ndarray:
        """Dimensions of an action that are read but never shown noisy, int [n]."""
        hidden = [d for p in self.learning.parts if p.loss == "binary" for d in p.dimensions]
        return np.asarray(hidden, np.int32)

    def wide(
        self, scene: Scene, segment: Segment, values: Array, told: Array | None = None
    ) -> Array:
        """Denoised values with what stands beside them; `told` as in `beside`."""
        if segment.stream == "action" and self.unseen.size:
            values = values.at[..., self.unseen].set(0.0)
        more = self.beside(scene, segment, told)
        return values if more is None else jnp.concatenate([values, more], axis=-1)

    def actions(self, scene: Scene, segment: Segment) -> tuple[Array, Array]:
        """The actions of a segment's tokens, and which numbers are real; both [B, tokens, width].

        A token may hold several consecutive actions (a whole chunk, in Octo).
        """
        if segment.count > 1:
            return scene.at(self.timeline.actions(segment))
        assert scene.actions is not None
        assert scene.action_mask is not None
        whole = (scene.actions.shape[0], 1, -1)
        return scene.actions.reshape(whole), scene.action_mask.reshape(whole)

    def present(self, scene: Scene, segment: Segment) -> Bool[Array, "B N"]:
        """Which tokens of a segment stand for something that was recorded."""
        batch, count = scene.state.shape[0], segment.count
        match segment.stream:
            case "video" if self.content(segment):
                kind, _, number = self.content(segment).partition(" ")
                real = jnp.full((batch,), kind != "unknown")
                if kind == "camera":
                    real = scene.camera_mask[:, int(number)]
                    # An observation holds no future: then there is nothing to be scored either.
                    real = real & scene.frame_mask[:, -1 if segment.block else 0]
                return jnp.broadcast_to(real[:, None], (batch, count))
            case "video":
                inside = scene.frame_mask[:, self.timeline.frames(segment)]
                seen = inside & scene.camera_mask[:, segment.view : segment.view + 1]
                return jnp.repeat(seen, segment.rows * segment.columns, axis=1)
            case "feature" if segment.copy == "query":
                look = self.timeline.look(segment)
                return jnp.broadcast_to(scene.frame_mask[:, look : look + 1], (batch, count))
            case "image" | "feature" if segment.stream not in self.encoded:
                seen = scene.camera_mask[:, segment.view : segment.view + 1]
                return jnp.broadcast_to(seen, (batch, count))
            case "proprio":
                newest = max(s.block for s in self.timeline.sampled if s.stream == "proprio")
                return jnp.full((batch, count), segment.block == newest)
            case "action" if segment.copy != "query":
                ticks = self.timeline.actions(segment)
                if not scene.knows(ticks) or segment.count == 1:
                    return jnp.broadcast_to(ticks >= 0, (batch, count))
                return self.actions(scene, segment)[1].any(-1)
            case _:
                return jnp.ones((batch, count), bool)

    def values(
        self, params: Params, scene: Scene, segment: Segment
    ) -> tuple[Array, Bool[Array, "B N"]]:
        """Values of a segment that is not denoised, [B, N, width], and which tokens are real."""
        batch, count = scene.state.shape[0], segment.count
        real = self.present(scene, segment)
        if segment.stream in self.encoded:
            return self._features(params, scene, segment), real
        if segment.stream in self.wording:
            return self._words(params, scene, segment)
        match segment.stream:
            case "feature":
                return self.frozen(scene, self.timeline.look(segment)), real
            case "text":
                words, mask, _ = call(self.text, params["text"], scene.text)
                return words, mask
            case "register":
                numbers = jnp.arange(count, dtype=jnp.float32)
                return jnp.broadcast_to(numbers[None, :, None], (batch, count, 1)), real
            case "proprio":
                return jnp.broadcast_to(
                    scene.state[:, None], (batch, count, scene.state.shape[1])
                ), real
            case "image":
                newest = scene.frames[:, segment.view, self.timeline.history - 1][:, None]
                return self.latents(newest)[:, 0], real
            case "video":
                own = self.given_frames if segment.copy == "clean" else self.change
                return self.wide(scene, segment, own(scene, segment)), real
            case "action" if segment.copy == "query":
                return jnp.zeros((batch, count, 1)), real
            case "action" if not scene.knows(self.timeline.actions(segment)):
                width = self.blueprint.shape.action
                return self.wide(scene, segment, jnp.zeros((batch, count, width))), real
            case "action":
                return self.wide(scene, segment, self.actions(scene, segment)[0]), real
            case _:
                raise ValueError(f"nothing recorded stands for {segment.kind}")

    def _features(self, params: Params, scene: Scene, segment: Segment) -> Array:
        stream = segment.stream
        cameras = self.cameras(stream, segment)
        look = self.timeline.look(segment) if stream == "feature" else self.timeline.history - 1
        frames = scene.frames[:, np.asarray(cameras), look]
        _, _, pooled = call(self.text, params["text"], scene.text)
        mask = scene.camera_mask[:, np.asarray(cameras)]
        return call(self.encoder(stream), params[stream], frames, pooled, mask)

    def _words(self, params: Params, scene: Scene, segment: Segment) -> tuple[Array, Array]:
        """Words as numbers, [B, N, 1], and which there are."""
        vocabulary, count = self.widths[segment.stream], segment.count
        batch = scene.state.shape[0]
        match self.wording[segment.stream]:
            case "told":
                numbers = word_numbers(scene.text, count, vocabulary)
                real = numbers > 0
            case "spelled":
                state = scene.state
                told = word_numbers(scene.text, count - state.shape[1], vocabulary - BINS)
                # Normalised numbers lie in -1 ... 1 most of the time.
                bins = jnp.clip(jnp.floor((state + 1.0) / 2.0 * BINS), 0, BINS - 1)
                bins = vocabulary - BINS + bins.astype(jnp.int32)
                numbers = jnp.concatenate([told, bins], axis=1)
                real = numbers > 0
            case "step":
                step = segment.block if segment.copy == "clean" else vocabulary - 1
                numbers = jnp.full((batch, count), step)
                real = jnp.ones((batch, count), bool)
            case "between":
                numbers = jnp.full((batch, count), vocabulary - 1)
                # While a chunk is sampled they are spoken, one after another.
                if scene.actions is not None:
                    said, _ = self.latent_words(params, scene)
                    numbers = numbers.at[:, 1:].set(said[:, :-1])
                real = jnp.ones((batch, count), bool)
        return numbers[..., None].astype(jnp.float32), real
