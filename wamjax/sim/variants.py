"""The variant: one world of the benchmark as five integers.

    amount = low + u (high - low),   (low, high) = band of the severity,   u from the seed

u and all directions depend on seed, axis and sub-axis but not on the severity, so that a world
only gets further from its clean twin. `axes` has the bands.
"""

import zlib

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import AnyArray, Array, Bool, Float, Key, typed
from wamjax.sim.axes import (
    ALL_AXES,
    SEVERITIES,
    bands_of,
    find_axis,
    find_preset,
    find_sub_axis,
    sub_axes,
)
from wamjax.sim.presets import OWN, PRESET_NAMES

DRAWS = 384


@flax.struct.dataclass
class Variant:
    """One world; int32 scalars, or arrays of one shape for many worlds.

    Attributes:
        axis: 0 clean, else 1 + index into AXES and BONUS_AXES.
        sub_axis: index into the axis's sub-axes; 0 for clean.
        preset: index into PRESET_NAMES, whose bands the severity is of; 0 is the project's own.
        severity: 1..5; 0 for clean.
        seed: base layout and all draws; variants with the same seed share the base layout.
    """

    axis: AnyArray
    sub_axis: AnyArray
    preset: AnyArray
    severity: AnyArray
    seed: AnyArray


def make_variant(
    axis: str | None, sub_axis: str | None, severity: int, seed: int, preset: str = OWN
) -> Variant:
    """One variant by names; axis None is the clean world, sub-axis None the preset's first one.

    Raises:
        UserError: unknown axis, sub-axis or preset, or a severity outside 1..5.
    """
    if axis is None:
        numbers = (0, 0, 0, 0, seed)
    else:
        if not 1 <= severity <= SEVERITIES:
            raise UserError(f"severity must be 1..{SEVERITIES}, got {severity}.")
        names = sub_axes(axis, preset)
        name = names[0] if sub_axis is None else sub_axis
        sub = find_sub_axis(axis, name)
        if name not in names:
            raise UserError(
                f"preset {preset!r} has no {axis} {name!r}; it has: {', '.join(names)}."
            )
        numbers = (find_axis(axis), sub, find_preset(preset), severity, seed)
    axis_n, sub_n, preset_n, severity_n, seed_n = (np.array(n, np.int32) for n in numbers)
    return Variant(axis=axis_n, sub_axis=sub_n, preset=preset_n, severity=severity_n, seed=seed_n)


def clean_variant(seed: Array) -> Variant:
    """The clean world of a traced seed, int32 []."""
    seed = jnp.asarray(seed, jnp.int32)
    zero = jnp.zeros_like(seed)
    return Variant(axis=zero, sub_axis=zero, preset=zero, severity=zero, seed=seed)


def base_key(variant: Variant) -> Key:
    """The key of everything that clean and perturbed twins share."""
    return jax.random.PRNGKey(variant.seed)


def code_of(axis: str, sub_axis: str) -> int:
    """A number made of the names, so that a new row of the table changes nobody else's draws."""
    return zlib.crc32(f"{axis}/{sub_axis}".encode())


def _codes() -> np.ndarray:
    """uint32 [1 + axes, most sub-axes] of `code_of`."""
    table = np.zeros((1 + len(ALL_AXES), max(map(len, ALL_AXES.values()))), np.uint32)
    for number, (axis, subs) in enumerate(ALL_AXES.items(), start=1):
        table[number, : len(subs)] = [code_of(axis, sub.name) for sub in subs]
    return table


@typed
def perturbation_draws(variant: Variant) -> Float[Array, "n"]:
    """DRAWS uniform numbers in [0, 1) of this seed, axis and sub-axis, the same at all severities.

    A world has one perturbation, so all axes read the same few numbers: one draw instead of dozens
    in every compiled program.
    """
    code = jnp.asarray(_codes())[variant.axis, variant.sub_axis]
    return jax.random.uniform(jax.random.fold_in(base_key(variant), code), (DRAWS,))


@typed
def perturbation(
    variant: Variant, draws: Float[Array, "n"], axis: str, sub_axis: str
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """(whether this variant is of that sub-axis, amount inside the band of its severity).

    Args:
        variant: one world, traced.
        draws: from `perturbation_draws`; the first one decides the amount, the rest directions.
        axis: static.
        sub_axis: static.
    """
    number, sub = find_axis(axis), find_sub_axis(axis, sub_axis)
    active = (variant.axis == number) & (variant.sub_axis == sub)
    bands = jnp.array([bands_of(axis, sub_axis, name) for name in PRESET_NAMES], jnp.float32)
    level = jnp.clip(jnp.asarray(variant.severity) - 1, 0, SEVERITIES - 1)
    low, high = bands[jnp.asarray(variant.preset), level]
    return jnp.asarray(active), amount_between(low, high, draws[0], ALL_AXES[axis][sub].whole)


def amount_between(low: Array, high: Array, u: Array, whole: bool) -> Array:
    """Uniform in low..high for u in [0, 1); whole numbers come with equal chances."""
    if whole:
        return jnp.minimum(jnp.floor(low + u * (high - low + 1.0)), high)
    return low + u * (high - low)
