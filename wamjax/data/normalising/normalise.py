"""Affine normalisation and its inverse.

    y = (x - shift) scale,   x = y inverse + shift,   inverse = 1 / scale

    quantile   shift = (q01 + q99) / 2, scale = 2 / (q99 - q01)     most of the data in -1..1
    zscore     shift = mean,            scale = 1 / std
    identity   shift = 0,               scale = 1
    gripper    shift = 1/2,             scale = 2                   0..1 to -1..1

Nothing is clipped, so the inverse is exact. Where q01 = q99 the range min..max stands in; a
dimension that is constant gets scale = inverse = 0: it reads 0 and always comes back as its
constant, whatever a model says. Source of the rules: Octo, OpenVLA (normalisation of actions and
proprio by bounds).
"""

from typing import Any, assert_never

import flax.struct
import numpy as np

from wamjax.core.typing import AnyArray
from wamjax.data.config import DataConfig, Norm
from wamjax.data.normalising.statistics import CONSTANT, Moments, Statistics


@flax.struct.dataclass
class Normaliser:
    """y = (x - shift) * scale on the last axis; a pytree, for NumPy and JAX arrays alike.

    Attributes:
        shift, scale, inverse: float32 [A].
        mask: bool [A], the dimension is recorded (padding is False).
    """

    shift: AnyArray
    scale: AnyArray
    inverse: AnyArray
    mask: AnyArray

    @property
    def raw_width(self) -> int:
        """A: numbers that `apply` takes and `invert` gives."""
        return len(self.mask)

    def apply(self, x: Any) -> Any:
        """Normalised `x` [..., A]."""
        return (x - self.shift) * self.scale

    def invert(self, y: Any) -> Any:
        """Raw units from normalised `y` [..., A]."""
        return y * self.inverse + self.shift

    def narrow(self, y: Any) -> Any:
        """The numbers [..., A] that `invert` makes raw: all; see `Placed`."""
        return y

    def to_json(self) -> dict[str, list]:
        """Plain lists, to be stored with a checkpoint."""
        return {
            "shift": np.asarray(self.shift).tolist(),
            "scale": np.asarray(self.scale).tolist(),
            "inverse": np.asarray(self.inverse).tolist(),
            "mask": np.asarray(self.mask).tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, list]) -> "Normaliser":
        """The inverse of `to_json`."""
        return cls(
            shift=np.array(value["shift"], np.float32),
            scale=np.array(value["scale"], np.float32),
            inverse=np.array(value["inverse"], np.float32),
            mask=np.array(value["mask"], bool),
        )


def fit(
    moments: Moments, norm: Norm, *, width: int | None = None, grippers: tuple[int, ...] = ()
) -> Normaliser:
    """The normaliser for data with these moments.

    Args:
        moments: of the training part.
        norm: the rule.
        width: pad to this many dimensions; padded ones read 0 and come back as 0.
        grippers: the dimensions with the gripper rule (not under "identity").

    Raises:
        ValueError: `width` is smaller than the data, or there is no such gripper dimension.
    """
    recorded = moments.width
    total = recorded if width is None else width
    if total < recorded:
        raise ValueError(f"a width of {total} cannot hold {recorded} recorded dimensions")
    low, high = np.array(moments.min, np.float64), np.array(moments.max, np.float64)
    match norm:
        case "identity":
            shift, spread = np.zeros(recorded), np.ones(recorded)
        case "zscore":
            shift, spread = np.array(moments.mean, np.float64), np.array(moments.std, np.float64)
            spread = np.where(high - low < CONSTANT, 0.0, spread)
        case "quantile":
            q01, q99 = np.array(moments.q01, np.float64), np.array(moments.q99, np.float64)
            wide = q99 - q01 >= CONSTANT
            low, high = np.where(wide, q01, low), np.where(wide, q99, high)
            shift, spread = (low + high) / 2, (high - low) / 2
        case _:
            assert_never(norm)
    if norm != "identity" and recorded:
        for gripper in grippers:
            if gripper >= recorded:
                raise ValueError(f"gripper_dim {gripper} of {recorded} dimensions")
            shift[gripper], spread[gripper] = 0.5, 0.5
    moving = spread >= CONSTANT / 2
    scale = np.divide(1.0, spread, out=np.zeros(recorded), where=moving)
    pad = (0, total - recorded)
    return Normaliser(
        shift=np.pad(shift, pad).astype(np.float32),
        scale=np.pad(scale, pad).astype(np.float32),
        inverse=np.pad(np.where(moving, spread, 0.0), pad).astype(np.float32),
        mask=np.arange(total) < recorded,
    )


def action_normaliser(statistics: Statistics, config: DataConfig) -> Normaliser:
    """The action rule of `config`, fitted; a card tells which numbers are grippers."""
    grippers = statistics.grippers
    if grippers is None:
        grippers = () if config.gripper_dim is None else (config.gripper_dim,)
    return fit(statistics.action, config.action_norm, width=config.action_width, grippers=grippers)


def proprio_normaliser(statistics: Statistics, config: DataConfig) -> Normaliser:
    """The proprio rule of `config`, fitted."""
    return fit(statistics.proprio, config.proprio_norm, width=config.proprio_width)
