"""The seven axes in one table, and the variant: one world of the benchmark as four integers.

    amount = low + u (high - low),   (low, high) = band of the severity,   u from the seed

u and all directions depend on seed, axis and sub-axis but not on the severity, so that a world
only gets further from its clean twin. Axes and orders of magnitude follow LIBERO-Plus (arXiv
2510.13626) and RoboTwin 2.0-Plus (arXiv 2603.22078); the bands are this project's own, do not
overlap, and say nothing about how hard a level is for a policy.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import AnyArray, Array, Bool, Float, Key, typed

SEVERITIES = 5
DRAWS = 128


@flax.struct.dataclass
class Variant:
    """One world; int32 scalars, or arrays of one shape for many worlds.

    Attributes:
        axis: 0 clean, else 1 + index into AXES.
        sub_axis: index into the axis's sub-axes; 0 for clean.
        severity: 1..5; 0 for clean.
        seed: base layout and all draws; variants with the same seed share the base layout.
    """

    axis: AnyArray
    sub_axis: AnyArray
    severity: AnyArray
    seed: AnyArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubAxis:
    """One way of perturbing along an axis.

    Attributes:
        name: within its axis.
        unit: of the bands.
        bands: (low, high) of the amount at severities 1..5.
        enters: which part of the world changes.
        source: where the range comes from.
    """

    name: str
    unit: str
    bands: tuple[tuple[float, float], ...]
    enters: str
    source: str


def _steps(*edges: float) -> tuple[tuple[float, float], ...]:
    """Adjoining bands between six edges."""
    return tuple((edges[i], edges[i + 1]) for i in range(SEVERITIES))


def _levels() -> tuple[tuple[float, float], ...]:
    return tuple((float(level), float(level)) for level in range(1, SEVERITIES + 1))


AXES: dict[str, tuple[SubAxis, ...]] = {
    "camera": (
        SubAxis(
            name="distance",
            unit="factor",
            bands=_steps(1.05, 1.2, 1.4, 1.6, 1.8, 2.0),
            enters="distance of the primary camera from the point it looks at",
            source="LIBERO-Plus spherical distance 1..2",
        ),
        SubAxis(
            name="azimuth",
            unit="degrees",
            bands=_steps(3.0, 15.0, 30.0, 45.0, 60.0, 75.0),
            enters="primary camera turned about the vertical through the point it looks at",
            source="LIBERO-Plus horizontal angle 0..75",
        ),
    ),
    "robot": (
        SubAxis(
            name="joint_offset",
            unit="rad (L2 norm over seven joints)",
            bands=_steps(0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
            enters="joint angles at reset",
            source="LIBERO-Plus initial joint perturbation 0.1..0.5",
        ),
    ),
    "language": (
        SubAxis(
            name="distraction",
            unit="idle bytes around the instruction",
            bands=((1, 8), (9, 14), (15, 20), (21, 26), (27, 32)),
            enters="instruction",
            source="LIBERO-Plus R1",
        ),
        SubAxis(
            name="common_sense",
            unit="rank of the description, 1 and 2 keep the colour's name",
            bands=_levels(),
            enters="instruction",
            source="LIBERO-Plus R2",
        ),
    ),
    "light": (
        SubAxis(
            name="colour",
            unit="largest |ln gain| over red, green, blue",
            bands=_steps(0.05, 0.18, 0.34, 0.59, 0.92, 1.25),
            enters="diffuse and ambient colour of the light",
            source="LIBERO-Plus diffuse gains 1/1.2..3.5",
        ),
        SubAxis(
            name="direction",
            unit="degrees away from the clean direction",
            bands=_steps(3.0, 15.0, 30.0, 45.0, 60.0, 72.0),
            enters="direction of the light",
            source="LIBERO-Plus polar angle 0..82",
        ),
    ),
    "background": (
        SubAxis(
            name="tint",
            unit="distance in rgb before clipping",
            bands=_steps(0.05, 0.15, 0.25, 0.35, 0.45, 0.55),
            enters="colours of table, wall and floor",
            source="RoboTwin 2.0 background randomisation",
        ),
        SubAxis(
            name="texture",
            unit="contrast",
            bands=_steps(0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
            enters="procedural texture of table, wall and floor",
            source="LIBERO-Plus and RoboTwin 2.0 texture libraries, here procedural families",
        ),
    ),
    "noise": (
        SubAxis(
            name="gaussian_blur",
            unit="severity of sim.corruptions",
            bands=_levels(),
            enters="every picture, after drawing",
            source="LIBERO-Plus sensor noise; ImageNet-C (arXiv 1903.12261)",
        ),
        SubAxis(
            name="fog",
            unit="severity of sim.corruptions",
            bands=_levels(),
            enters="every picture, after drawing",
            source="LIBERO-Plus sensor noise; ImageNet-C (arXiv 1903.12261)",
        ),
    ),
    "layout": (
        SubAxis(
            name="shift",
            unit="m",
            bands=_steps(0.01, 0.03, 0.06, 0.09, 0.12, 0.15),
            enters="both cubes and the spot, moved together beyond the training range",
            source="LIBERO-Plus object displacement",
        ),
        SubAxis(
            name="distractors",
            unit="objects",
            bands=_levels(),
            enters="drawn objects on the table from the parked pool; they do not collide",
            source="LIBERO-Plus confounding objects",
        ),
    ),
}
"""Axis name -> its sub-axes; the order is the numbering of `Variant`."""

AXIS_NAMES = tuple(AXES)


def find_axis(name: str) -> int:
    """`Variant.axis` of an axis by name.

    Raises:
        UserError: there is none.
    """
    if name not in AXES:
        raise UserError(f"axis {name!r} does not exist; known axes: {', '.join(AXIS_NAMES)}.")
    return 1 + AXIS_NAMES.index(name)


def find_sub_axis(axis: str, name: str) -> int:
    """`Variant.sub_axis` of a sub-axis by name.

    Raises:
        UserError: the axis or the sub-axis does not exist.
    """
    find_axis(axis)
    names = [sub.name for sub in AXES[axis]]
    if name not in names:
        raise UserError(f"axis {axis!r} has no sub-axis {name!r}; it has: {', '.join(names)}.")
    return names.index(name)


def make_variant(axis: str | None, sub_axis: str | None, severity: int, seed: int) -> Variant:
    """One variant by names; axis None is the clean world.

    Raises:
        UserError: unknown axis or sub-axis, or a severity that the axis does not have.
    """
    if axis is None:
        numbers = (0, 0, 0, seed)
    else:
        if not 1 <= severity <= SEVERITIES:
            raise UserError(f"severity must be 1..{SEVERITIES}, got {severity}.")
        sub = 0 if sub_axis is None else find_sub_axis(axis, sub_axis)
        numbers = (find_axis(axis), sub, severity, seed)
    axis_n, sub_n, severity_n, seed_n = (np.array(number, np.int32) for number in numbers)
    return Variant(axis=axis_n, sub_axis=sub_n, severity=severity_n, seed=seed_n)


def clean_variant(seed: Array) -> Variant:
    """The clean world of a traced seed, int32 []."""
    seed = jnp.asarray(seed, jnp.int32)
    zero = jnp.zeros_like(seed)
    return Variant(axis=zero, sub_axis=zero, severity=zero, seed=seed)


def base_key(variant: Variant) -> Key:
    """The key of everything that clean and perturbed twins share."""
    return jax.random.PRNGKey(variant.seed)


@typed
def perturbation_draws(variant: Variant) -> Float[Array, "n"]:
    """DRAWS uniform numbers in [0, 1) of this seed, axis and sub-axis, the same at all severities.

    A world has one perturbation, so all axes read the same few numbers: one draw instead of dozens
    in every compiled program.
    """
    key = jax.random.fold_in(base_key(variant), 1 + jnp.asarray(variant.axis))
    return jax.random.uniform(jax.random.fold_in(key, jnp.asarray(variant.sub_axis)), (DRAWS,))


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
    bands = jnp.array(AXES[axis][sub].bands, jnp.float32)
    low, high = bands[jnp.clip(jnp.asarray(variant.severity) - 1, 0, SEVERITIES - 1)]
    return jnp.asarray(active), low + draws[0] * (high - low)
