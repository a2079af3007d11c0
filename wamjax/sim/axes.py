"""The seven axes in one table: what changes, by how much at each severity, and why that much.

Axes and orders of magnitude follow LIBERO-Plus (arXiv 2510.13626) and RoboTwin 2.0-Plus (arXiv
2603.22078); the bands are this project's own, do not overlap, and say nothing about how hard a
level is for a policy. `presets` has the bands of those two benchmarks beside them. docs/axes.md
shows it all.
"""

import dataclasses
import itertools

from wamjax.core.errors import UserError
from wamjax.sim.presets import OWN, PRESET_NAMES, PRESETS, Bands

SEVERITIES = 5
TRAINED, EVALUATED = (0.05, 0.2), (0.3, 1.0)
"""Shares of a severity's step that randomised training data and evaluations use; nobody has the
rest."""
TRAINED_STEPS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubAxis:
    """One way of perturbing along an axis.

    Attributes:
        name: within its axis.
        unit: of the bands.
        clean: the amount that changes nothing.
        bands: (low, high) of the amount at severities 1..5.
        training: bands of randomised training data, away from all of `bands`; () for an axis that
            training data never have.
        whole: amounts are integers, both ends included.
        enters: which part of the world changes.
        source: where the range comes from.
    """

    name: str
    unit: str
    clean: float
    bands: Bands
    training: Bands
    whole: bool
    enters: str
    source: str


def _graded(
    name: str,
    unit: str,
    clean: float,
    edges: tuple[float, ...],
    *,
    enters: str,
    source: str,
    trained: bool = False,
) -> SubAxis:
    """Adjoining steps between six edges; with `trained` each step is shared with training."""
    steps = tuple(itertools.pairwise(edges))
    bands, training = steps, ()
    if trained:
        bands = tuple(_within(step, EVALUATED) for step in steps)
        training = tuple(_within(step, TRAINED) for step in steps[:TRAINED_STEPS])
    return SubAxis(
        name=name,
        unit=unit,
        clean=clean,
        bands=bands,
        training=training,
        whole=False,
        enters=enters,
        source=source,
    )


def _within(step: tuple[float, float], shares: tuple[float, float]) -> tuple[float, float]:
    low, high = (round(step[0] + share * (step[1] - step[0]), 6) for share in shares)
    return low, high


def _counted(name: str, unit: str, bands: Bands, *, enters: str, source: str) -> SubAxis:
    """Whole numbers."""
    return SubAxis(
        name=name,
        unit=unit,
        clean=0.0,
        bands=bands,
        training=(),
        whole=True,
        enters=enters,
        source=source,
    )


def _noise(name: str) -> SubAxis:
    rows = tuple((float(row), float(row + 1)) for row in (1, 3, 5, 7, 9))
    return SubAxis(
        name=name,
        unit="row of LIBERO-Plus's ten strengths",
        clean=0.0,
        bands=rows,
        training=(),
        whole=False,
        enters="every picture, after drawing",
        source="LIBERO-Plus sensor noise; ImageNet-C (arXiv 1903.12261)",
    )


ONE_EACH: Bands = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5))

AXES: dict[str, tuple[SubAxis, ...]] = {
    "camera": (
        _graded(
            "distance",
            "factor",
            1.0,
            (1.05, 1.2, 1.4, 1.6, 1.8, 2.0),
            enters="distance of the primary camera from the point it looks at",
            source="LIBERO-Plus spherical distance 1..2",
            trained=True,
        ),
        _graded(
            "azimuth",
            "degrees",
            0.0,
            (3.0, 15.0, 30.0, 45.0, 60.0, 75.0),
            enters="primary camera turned about the vertical through the point it looks at",
            source="LIBERO-Plus horizontal angle 0..75",
            trained=True,
        ),
        _graded(
            "elevation",
            "degrees",
            0.0,
            (1.0, 3.0, 6.0, 9.0, 12.0, 15.0),
            enters="primary camera raised or lowered about the point it looks at",
            source="LIBERO-Plus vertical angle 0..15",
            trained=True,
        ),
        _graded(
            "orientation",
            "degrees",
            0.0,
            (0.5, 2.0, 4.0, 6.0, 8.0, 10.0),
            enters="optical axis of the primary camera tilted (yaw and pitch), its place unchanged",
            source="LIBERO-Plus yaw and pitch 2..10",
            trained=True,
        ),
    ),
    "robot": (
        _graded(
            "joint_offset",
            "rad (L2 norm over the joints)",
            0.0,
            (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
            enters="joint angles at reset",
            source="LIBERO-Plus initial joint perturbation 0.1..0.5",
        ),
        _graded(
            "base_offset",
            "m",
            0.0,
            (0.005, 0.01, 0.02, 0.03, 0.04, 0.05),
            enters="foot of the robot in x and y, everything else in its place",
            source="own: an arm mounted a little elsewhere",
        ),
        _graded(
            "gripper_opening",
            "share closed",
            0.0,
            (0.05, 0.2, 0.4, 0.6, 0.8, 1.0),
            enters="gripper at reset",
            source="RoboTwin 2.0-Plus gripper 0.05 or 0.95",
        ),
    ),
    "language": (
        _counted(
            "distraction",
            "idle bytes around the instruction",
            ((1, 8), (9, 14), (15, 20), (21, 26), (27, 32)),
            enters="instruction",
            source="LIBERO-Plus R1",
        ),
        _counted(
            "common_sense",
            "rank of the description, 1 and 2 keep the colour's name",
            ONE_EACH,
            enters="instruction",
            source="LIBERO-Plus R2",
        ),
        _counted(
            "reasoning",
            "rank of the wording, from the goal's state to what it is for",
            ONE_EACH,
            enters="instruction",
            source="LIBERO-Plus R3",
        ),
    ),
    "light": (
        _graded(
            "colour",
            "largest ln gain of red, green, blue, up or down",
            0.0,
            (0.05, 0.18, 0.34, 0.59, 0.92, 1.25),
            enters="diffuse, specular and ambient colour of the light",
            source="RoboTwin 2.0-Plus gains up to 3.5",
            trained=True,
        ),
        _graded(
            "direction",
            "degrees away from the clean direction",
            0.0,
            (3.0, 15.0, 30.0, 45.0, 60.0, 72.0),
            enters="direction of the light, never from below",
            source="RoboTwin 2.0-Plus polar angle 8..82",
            trained=True,
        ),
        _graded(
            "specular",
            "specular intensity",
            0.3,
            (0.6, 1.2, 2.0, 3.0, 4.5, 6.0),
            enters="highlights of the light on everything",
            source="RoboTwin 2.0-Plus 0.3..6",
            trained=True,
        ),
        _graded(
            "shadows",
            "share of the light that casts no shadow",
            0.0,
            (0.05, 0.2, 0.4, 0.6, 0.8, 1.0),
            enters="part of the light comes from a second one in its place without shadow",
            source="LIBERO-Plus and RoboTwin 2.0-Plus: shadows on or off",
            trained=True,
        ),
        _counted(
            "count",
            "further lights",
            ONE_EACH,
            enters="lamps around the table, each a fifth of the light, without shadow",
            source="own",
        ),
    ),
    "background": (
        _graded(
            "tint",
            "distance in rgb before clipping",
            0.0,
            (0.05, 0.15, 0.25, 0.35, 0.45, 0.55),
            enters="colours of table, wall and floor",
            source="RoboTwin 2.0 background randomisation",
            trained=True,
        ),
        _graded(
            "texture_seen",
            "contrast",
            0.0,
            (0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
            enters="texture of table, wall and floor, out of the families of training data",
            source="RoboTwin 2.0 training pool, here procedural families",
            trained=True,
        ),
        _graded(
            "texture_unseen",
            "contrast",
            0.0,
            (0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
            enters="texture of table, wall and floor, out of families that training never has",
            source="RoboTwin 2.0 evaluation pool, LIBERO-Plus surfaces",
        ),
        _graded(
            "material",
            "specular share",
            0.15,
            (0.2, 0.35, 0.5, 0.65, 0.8, 1.0),
            enters="gloss of the table; the width of its highlight is drawn",
            source="RoboTwin 2.0-Plus metallic 0..0.8 and roughness",
            trained=True,
        ),
        _graded(
            "wall",
            "contrast; half of it is the distance in rgb",
            0.0,
            (0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
            enters="colour and texture of the wall; evaluation has families unseen in training",
            source="LIBERO-Plus scene themes",
            trained=True,
        ),
    ),
    "noise": tuple(
        _noise(name) for name in ("gaussian_blur", "motion_blur", "zoom_blur", "fog", "glass")
    ),
    "layout": (
        _graded(
            "jitter",
            "m, radius of the disc",
            0.0,
            (0.01, 0.03, 0.06, 0.09, 0.12, 0.15),
            enters="every object moved on its own",
            source="LIBERO-Plus object displacement, 0.03 per level",
        ),
        _graded(
            "moved",
            "m",
            0.0,
            (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
            enters="the named object alone, moved far",
            source="LIBERO-Plus moved objects, up to 0.45",
        ),
        _counted(
            "distractors",
            "objects",
            ((1, 1), (2, 2), (3, 4), (5, 9), (10, 15)),
            enters="drawn objects on the table from the parked pool; they do not collide",
            source="LIBERO-Plus 1..5 and RoboTwin 2.0-Plus 3..15 confounding objects",
        ),
    ),
}
"""Axis name -> its sub-axes; the order is the numbering of `Variant`."""

_INVERSE = "factor or one over it"
BONUS_AXES: dict[str, tuple[SubAxis, ...]] = {
    "dynamics": (
        _graded(
            "friction",
            _INVERSE,
            1.0,
            (1.1, 1.25, 1.5, 1.8, 2.2, 2.6),
            enters="sliding friction of all contacts",
            source="own: sim-to-real studies",
        ),
        _graded(
            "mass",
            _INVERSE,
            1.0,
            (1.2, 1.5, 2.0, 2.7, 3.5, 4.5),
            enters="mass and inertia of the movable objects",
            source="own: sim-to-real studies",
        ),
        _graded(
            "gains",
            _INVERSE,
            1.0,
            (1.05, 1.15, 1.3, 1.5, 1.75, 2.0),
            enters="stiffness and damping of the arm's servo",
            source="own: sim-to-real studies",
        ),
        _counted(
            "latency",
            "control ticks",
            ONE_EACH,
            enters="actions are carried out later",
            source="own: sim-to-real studies",
        ),
        _graded(
            "proprio_noise",
            "rad and m, standard deviation",
            0.0,
            (0.002, 0.005, 0.01, 0.015, 0.02, 0.03),
            enters="proprio, drawn at every control tick",
            source="own: sim-to-real studies",
        ),
    ),
}
"""Beside the seven; not in any published mean."""

AXIS_NAMES = tuple(AXES)
ALL_AXES = AXES | BONUS_AXES
"""The order is the numbering of `Variant.axis`."""


def find_axis(name: str) -> int:
    """`Variant.axis` of an axis by name, one of the seven or a bonus axis.

    Raises:
        UserError: there is none.
    """
    if name not in ALL_AXES:
        raise UserError(f"axis {name!r} does not exist; known axes: {', '.join(ALL_AXES)}.")
    return 1 + tuple(ALL_AXES).index(name)


def find_sub_axis(axis: str, name: str) -> int:
    """`Variant.sub_axis` of a sub-axis by name.

    Raises:
        UserError: the axis or the sub-axis does not exist.
    """
    find_axis(axis)
    names = [sub.name for sub in ALL_AXES[axis]]
    if name not in names:
        raise UserError(f"axis {axis!r} has no sub-axis {name!r}; it has: {', '.join(names)}.")
    return names.index(name)


def find_preset(name: str) -> int:
    """`Variant.preset` of a preset by name.

    Raises:
        UserError: there is none.
    """
    if name not in PRESET_NAMES:
        raise UserError(
            f"preset {name!r} does not exist; known presets: {', '.join(PRESET_NAMES)}."
        )
    return PRESET_NAMES.index(name)


def sub_axes(axis: str, preset: str = OWN) -> tuple[str, ...]:
    """Names of an axis's sub-axes that belong to a preset.

    Raises:
        UserError: the axis or the preset does not exist, or the preset has nothing of that axis.
    """
    find_axis(axis)
    find_preset(preset)
    names = tuple(sub.name for sub in ALL_AXES[axis])
    if preset == OWN:
        return names
    rows = PRESETS[preset].rows
    if axis not in rows:
        raise UserError(f"preset {preset!r} has no axis {axis!r}; it has: {', '.join(rows)}.")
    return tuple(name for name in names if name in rows[axis])


def bands_of(axis: str, sub_axis: str, preset: str = OWN) -> Bands:
    """(low, high) at severities 1..5; the project's own where the preset states none."""
    own = ALL_AXES[axis][find_sub_axis(axis, sub_axis)].bands
    if preset == OWN or axis not in PRESETS[preset].rows:
        return own
    rows = PRESETS[preset].rows[axis]
    return (rows[sub_axis].bands or own) if sub_axis in rows else own


def largest(axis: str, sub_axis: str) -> float:
    """The strongest amount of any preset, at which directions are judged to suit all severities."""
    return max(
        edge for name in PRESET_NAMES for band in bands_of(axis, sub_axis, name) for edge in band
    )
