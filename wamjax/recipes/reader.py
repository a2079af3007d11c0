"""From what a robot records to the values of a blueprint's tokens.

text        small text encoder                 word      numbers, see Learning.words
proprio     the state                          register  0, 1, 2, ...
video       patches of the frames; what is denoised is their change since the newest frame
image       patches, or keypoints              feature   keypoints steered by the instruction,
                                                         or averages of pixels
action      the chunk, and what was executed before it; padding where that is not known
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np

from wamjax.codec.paint import painted
from wamjax.codec.patch import PatchCodec
from wamjax.codec.text import word_numbers
from wamjax.core.typing import Array, Bool, Float, Params
from wamjax.model.segments import Segment
from wamjax.recipes.encoders import Encoders
from wamjax.recipes.parts import call
from wamjax.recipes.scene import Scene

BINS = 256
# The change of a frame is multiplied by it, to bring it near the noise's unit variance.
VIDEO_SCALE = 3.0


@dataclasses.dataclass(frozen=True)
class Reader(Encoders):
    """The values of a blueprint's segments, given the weights of the encoders beside it."""

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
            case "state" if segment.block == 0:
                frame = painted(scene.state, size)
            case "state" if scene.next_state is not None:
                frame = painted(scene.next_state, size)
            case "value" if scene.value is not None:
                frame = painted(2.0 * scene.value[:, None] - 1.0, size)
            case "action" if scene.actions is not None:
                frame = painted(scene.actions.reshape(batch, -1), size)
            case "camera":
                own = self.latents(scene, int(number))
                return own[:, 0] if segment.block == 0 else (own[:, 1] - own[:, 0]) * VIDEO_SCALE
            case _:
                frame = jnp.zeros((batch, *size))
        return frame.reshape(batch, grid.rows * grid.columns, -1)

    def change(self, scene: Scene, segment: Segment) -> Float[Array, "B N c"]:
        """What is denoised at the tokens of a video segment."""
        if self.content(segment):
            return self._painting(scene, segment)
        own = self.latents(scene, segment.view)
        reference = self.timeline.reference(segment)
        places = self.timeline.frames(segment)
        moved = (own[:, places] - own[:, reference : reference + 1]) * VIDEO_SCALE
        return moved.reshape(moved.shape[0], -1, moved.shape[-1])

    def given_frames(self, scene: Scene, segment: Segment) -> Float[Array, "B N c"]:
        """The frames of a video segment as they are."""
        if self.content(segment):
            return self._painting(scene, segment)
        own = self.latents(scene, segment.view)[:, self.timeline.frames(segment)]
        return own.reshape(own.shape[0], -1, own.shape[-1])

    def shown(
        self, scene: Scene, segment: Segment, values: Array, level: float
    ) -> tuple[Array, float]:
        """Denoised values as a segment that is written for later phases holds them, and its level.

        A change that stopped at a noise level is a frame at a lower one, since changes are scaled:
        (1 - level) change + level noise = VIDEO_SCALE times a frame's share and its noise.
        """
        if segment.stream != "video" or segment.copy != "clean":
            return values, level
        own = self.latents(scene, segment.view)
        reference = own[:, self.timeline.reference(segment)][:, None]
        reference = reference.repeat(segment.frames, axis=1).reshape(values.shape)
        noise = level / VIDEO_SCALE
        whole = 1.0 - level + noise
        return (values / VIDEO_SCALE + (1.0 - level) * reference) / whole, noise / whole

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
        own = self.latents(scene, view)[:, reference : reference + 1]
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
                own = self.latents(scene, segment.view)
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
                real = jnp.ones((batch,), bool)
                # An observation holds no future: then there is nothing to be scored either.
                match kind:
                    case "camera":
                        real = scene.camera_mask[:, int(number)]
                        real = real & scene.frame_mask[:, -1 if segment.block else 0]
                    case "state" if segment.block and scene.next_mask is not None:
                        real = scene.next_mask.any(-1)
                    case "value" if scene.value_mask is not None:
                        real = scene.value_mask
                    case _:
                        pass
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
                return self.latents(scene, segment.view)[:, self.timeline.history - 1], real
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
        if self.encoded[stream] == "first":
            look = 0
        frames = scene.frames[:, np.asarray(cameras), look]
        _, _, pooled = call(self.text, params["text"], scene.text)
        mask = scene.camera_mask[:, np.asarray(cameras)]
        if self.learning.goal is not None:
            goal, there = jnp.zeros_like(frames), jnp.zeros_like(mask)
            if scene.goal is not None and scene.goal_mask is not None:
                goal = scene.goal[:, np.asarray(cameras)]
                there = scene.goal_mask[:, np.asarray(cameras)]
            frames = jnp.concatenate([frames, goal], axis=1)
            mask = jnp.concatenate([mask, there], axis=1)
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

    def clean(self, scene: Scene, segment: Segment) -> tuple[Array, Array]:
        """What a noisy segment is denoised to, and which numbers of it are scored."""
        if segment.stream == "action":
            return self.actions(scene, segment)
        clean = self.change(scene, segment)
        real = self.present(scene, segment)[..., None]
        # Before the first block there is no picture that could have changed.
        follows = self.learning.painted or self.timeline.follows(segment)
        return clean, real if follows else jnp.zeros_like(real)
