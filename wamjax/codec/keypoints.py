"""Where the named things are: frames and instruction to keypoint tokens.

    per view:  convolution -> FiLM by the text -> relu, layer by layer;
               p = softmax over the grid of (temperature * last layer), per channel;
               keypoint = (sum p x, sum p y),  strength = log sum exp, scaled
    tokens   = projection of all views' keypoints and strengths

Spatial softmax: arXiv 1504.00702. FiLM: arXiv 1709.07871. An instruction that names an object turns
the localiser of that object on before anything else of the model has been learned.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wamjax.codec.convolution import convolve
from wamjax.codec.parameters import bias, kernel, scale
from wamjax.core.typing import Array, Bool, Float, typed


def grid_points(height: int, width: int) -> tuple[Array, Array]:
    """Coordinates of the cell centres in (-1, 1): x [h w] to the right, y [h w] downwards."""
    y = (2 * jnp.arange(height) + 1) / height - 1
    x = (2 * jnp.arange(width) + 1) / width - 1
    grid = jnp.meshgrid(x, y)
    return grid[0].ravel(), grid[1].ravel()


@typed
def spatial_softmax(
    scores: Float[Array, "B h w c"],
) -> tuple[Float[Array, "B c 2"], Float[Array, "B c"]]:
    """Expected position (x, y) in (-1, 1) per channel, and the log of its mean exponential."""
    height, width = scores.shape[1:3]
    flat = scores.reshape(scores.shape[0], height * width, scores.shape[3])
    peak = jax.lax.stop_gradient(flat.max(1, keepdims=True))
    weight = jnp.exp(flat - peak)
    # Total, x and y moments in one product.
    x, y = grid_points(height, width)
    moments = jnp.einsum("Bnc,nm->Bcm", weight, jnp.stack([jnp.ones_like(x), x, y], axis=-1))
    total = moments[..., 0]
    strength = jnp.log(total / (height * width)) + peak[:, 0]
    return moments[..., 1:] / total[..., None], strength


# At first only: learned per channel. 1 and 5 end at the same error, 5 is a little ahead early.
TEMPERATURE = 5.0


class Localiser(nn.Module):
    """Frames and pooled instruction -> keypoints and strengths.

    Attributes:
        channels: output channels of the convolutions; the last number is that of the keypoints.
        kernels: their sizes, pixels or cells.
        strides: their strides; fastest where the stride divides the kernel and the frame.
    """

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]

    @nn.compact
    @typed
    def __call__(
        self, frames: Float[Array, "B V H W 3"], text: Float[Array, "B D"]
    ) -> tuple[Float[Array, "B V k 2"], Float[Array, "B V k"]]:
        """Keypoints (x, y) in (-1, 1) per view and channel, and their strengths."""
        batch, views, height, width = frames.shape[:4]
        x = frames.reshape(batch * views, height, width, 3)
        # The views share the filters; their own vector beside the instruction tells them apart.
        place = self.param("view", *kernel((views, text.shape[-1]), (None, "text"), fan_in=1))
        condition = (text[:, None] + place).reshape(batch * views, -1)
        inputs = 3
        last = len(self.channels) - 1
        layers = zip(self.channels, self.kernels, self.strides, strict=True)
        for layer, (outputs, size, stride) in enumerate(layers):
            weight = self.param(
                f"convolution_{layer}",
                *kernel((size, size, inputs, outputs), (None, None, None, None), gain=2**0.5),
            )
            film = self.param(
                f"film_{layer}", *kernel((text.shape[-1], 2 * outputs), ("text", None), gain=0.5)
            )
            offset = self.param(f"film_bias_{layer}", *bias((2 * outputs,), (None,)))
            gain, shift = jnp.split((condition @ film + offset)[:, None, None], 2, axis=-1)
            x = convolve(x, weight, stride) * (1 + gain) + shift
            x = jax.nn.relu(x) if layer < last else x
            inputs = outputs
        temperature = self.param("temperature", *scale((inputs,), (None,), TEMPERATURE))
        points, strengths = spatial_softmax(x * temperature)
        # Strengths in the range of the positions, so that one projection suits both.
        return points.reshape(batch, views, inputs, 2), 0.1 * strengths.reshape(
            batch, views, inputs
        )


class KeypointEncoder(nn.Module):
    """Frames and pooled instruction -> N tokens that say where things are.

    Attributes:
        width: E, of the tokens.
        tokens: N.
        channels, kernels, strides: of the convolutions, see `Localiser`.
    """

    width: int = 128
    tokens: int = 4
    channels: tuple[int, ...] = (16, 32, 32)
    kernels: tuple[int, ...] = (8, 3, 3)
    strides: tuple[int, ...] = (4, 1, 1)

    @nn.compact
    @typed
    def __call__(
        self,
        frames: Float[Array, "B V H W 3"],
        text: Float[Array, "B D"],
        camera_mask: Bool[Array, "B V"],
    ) -> Float[Array, "B N E"]:
        """Encode.

        Args:
            frames: in [-1, 1], one per camera.
            text: the pooled instruction.
            camera_mask: which cameras exist; the keypoints of the others are 0.

        Returns:
            float32 [B, tokens, width].
        """
        points, strengths = Localiser(self.channels, self.kernels, self.strides, name="localiser")(
            frames, text
        )
        found = jnp.concatenate([points, strengths[..., None]], axis=-1)
        found = jnp.where(camera_mask[..., None, None], found, 0)
        flat = found.reshape(found.shape[0], -1)
        size = (flat.shape[-1], self.tokens, self.width)
        project = self.param(
            "project", *kernel(size, (None, None, "embed"), fan_in=flat.shape[-1], gain=2.0)
        )
        offset = self.param("project_bias", *bias((self.tokens, self.width), (None, "embed")))
        return jnp.einsum("Bf,fND->BND", flat, project) + offset
