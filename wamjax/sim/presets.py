"""Published parameterisations as tables of bands over the sub-axes of `axes.AXES`.

A benchmark that states a range cuts it into fifths here, from the mildest to the strongest, so that
severities 1..5 in equal numbers nearly give it back; a benchmark that states one value has it at
all five severities. Where no numbers are published, the project's own bands stand in (`bands` is
empty). Random quantities without an end are cut at quantiles 0.005 and 0.995.
"""

import dataclasses
import itertools

Bands = tuple[tuple[float, float], ...]
OWN = "wamjax"
"""The project's own ladder: the bands that stand in `axes.AXES`, all sub-axes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One sub-axis as a benchmark has it.

    Attributes:
        bands: (low, high) at severities 1..5 in the sub-axis's unit; () for the project's own.
        published: what the source states.
        deviation: what is different here; "" where nothing is.
        weight: share of the axis's worlds in a standard manifest, relative to the other rows.
    """

    published: str
    bands: Bands = ()
    deviation: str = ""
    weight: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """One benchmark's parameterisation.

    Attributes:
        title: as people call it.
        source: paper and commit that the numbers follow.
        rows: axis -> sub-axis -> its numbers; sub-axes that are missing are not part of it.
        shares: worlds per axis in a standard manifest.
        defects: what is known to be wrong there and is not reproduced here.
    """

    title: str
    source: str
    rows: dict[str, dict[str, Row]]
    shares: dict[str, int]
    defects: tuple[str, ...]


def _steps(*edges: float) -> Bands:
    return tuple(itertools.pairwise(edges))


def _points(*values: float) -> Bands:
    return tuple((value, value) for value in values)


def _same(value: float) -> Bands:
    return _points(*[value] * 5)


_STRENGTHS: Bands = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))
_WORDING = "the sentences are the project's own"
_RANGE = "its range is only in the asset archive, not in the repository"

LIBERO_PLUS = Preset(
    title="LIBERO-Plus",
    source="arXiv 2510.13626; sylvestf/LIBERO-plus at 4976dc3 (21 Jan 2026)",
    rows={
        "camera": {
            "distance": Row(
                published="1.15 to 2.00 times as far in the shipped list (paper: 1.01 to 2.00)",
                bands=_steps(1.15, 1.32, 1.49, 1.66, 1.83, 2.0),
                weight=313,
            ),
            "azimuth": Row(
                published="1 to 75 degrees to either side, at elevation 0 or 15 degrees",
                bands=_steps(1.0, 15.8, 30.6, 45.4, 60.2, 75.0),
                deviation="one angle at a time",
                weight=496,
            ),
            "elevation": Row(
                published="0 or 15 degrees",
                bands=_same(15.0),
                deviation="one angle at a time, up or down",
                weight=496,
            ),
            "orientation": Row(
                published="yaw and pitch each out of 0, 2, 4, 6, 8, 10 degrees, either sign",
                bands=_points(2.0, 4.0, 6.0, 8.0, 10.0),
                deviation="one tilt in a drawn direction",
                weight=294,
            ),
        },
        "robot": {
            "joint_offset": Row(
                published="500 joint vectors of norm 0.1, 0.2, 0.3, 0.4 or 0.5 rad",
                bands=_points(0.1, 0.2, 0.3, 0.4, 0.5),
                deviation="directions that put the hand into the table are redrawn",
            ),
        },
        "language": {
            "distraction": Row(published="R1, 50 rewrites per task in all", deviation=_WORDING),
            "common_sense": Row(published="R2", deviation=_WORDING),
            "reasoning": Row(published="R3", deviation=_WORDING),
        },
        "light": {
            "colour": Row(published=f"L1 diffuse colour; {_RANGE}", deviation="own bands"),
            "direction": Row(published=f"L2 direction; {_RANGE}", deviation="own bands"),
            "specular": Row(published=f"L3 specular intensity; {_RANGE}", deviation="own bands"),
            "shadows": Row(published="L4 shadows on or off", bands=_same(1.0)),
        },
        "background": {
            "texture_unseen": Row(
                published="B2 28 textures of the table or floor",
                deviation="own bands; procedural, on table, wall and floor",
                weight=636,
            ),
            "wall": Row(
                published="B1 23 scene themes",
                deviation="own bands; procedural, colour and texture of the wall",
                weight=440,
            ),
        },
        "noise": {
            name: Row(
                published="10 strengths",
                bands=_STRENGTHS,
                deviation=f"between two strengths interpolated; in all cameras{extra}",
            )
            for name, extra in (
                ("gaussian_blur", ""),
                ("motion_blur", "; a uniform mean in place of the half-Gaussian"),
                ("zoom_blur", ""),
                ("fog", "; octaves of value noise in place of the plasma fractal"),
                ("glass", "; two passes in place of one to three"),
            )
        },
        "layout": {
            "jitter": Row(
                published="all regions moved by at most 0.03 m per level (measured in its files)",
                bands=_points(0.03, 0.06, 0.09, 0.12, 0.15),
                weight=511,
            ),
            "moved": Row(
                published="one object moved by up to 0.37 to 0.45 m, no numbers per level",
                deviation="own bands, the workspace is smaller",
                weight=185,
            ),
            "distractors": Row(
                published="1 to 5 further objects",
                bands=_points(1, 2, 3, 4, 5),
                deviation="they do not collide",
                weight=829,
            ),
        },
    },
    shares={
        "camera": 1599,
        "robot": 1550,
        "language": 1537,
        "light": 1142,
        "background": 1076,
        "noise": 1601,
        "layout": 1525,
    },
    defects=(
        "The instruction is made from the file name, so that it names the perturbation in 6,968 of "
        "10,120 tasks and moves results by 8 points (issues 48, 62, 64, 65).",
        "Four language files are corrupted (issue 59).",
        "Image noise draws from NumPy's process-wide generator, so that pictures depend on "
        "everything else that draws; here the seed and the control tick decide.",
        "Task order above 0 is shuffled without a seed; here a manifest has one order and a hash.",
        "A level tells how many of four reference policies failed, not how strong the change is; "
        "here severities are physical.",
        "Published pi0 scores under sensor noise could not be reproduced (issue 61).",
    ),
)

ROBOTWIN_PLUS = Preset(
    title="RoboTwin 2.0-Plus",
    source="arXiv 2603.22078; Robot-Robustness/RoboTwin2.0-Plus at 8f07761 (29 Jul 2026)",
    rows={
        "camera": {
            "distance": Row(
                published="C1 distance times U(0.85, 1)",
                bands=((0.97, 1.0), (0.94, 0.97), (0.91, 0.94), (0.88, 0.91), (0.85, 0.88)),
            ),
            "orientation": Row(
                published="C3 yaw, pitch and roll of 0 to 5 degrees",
                bands=_steps(0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
                deviation="one tilt in a drawn direction, no roll",
            ),
        },
        "robot": {
            "joint_offset": Row(
                published="N(0, 0.1 rad) per joint, clipped at 0.225 rad",
                bands=_steps(0.099, 0.195, 0.234, 0.268, 0.305, 0.409),
                deviation="the norm over seven joints follows it, the direction is uniform",
            ),
            "gripper_opening": Row(
                published="with probability 0.25 at 0.95 or 0.05 of the range",
                bands=_points(0.05, 0.05, 0.95, 0.95, 0.95),
                deviation="a sub-axis of its own",
            ),
        },
        "language": {
            "distraction": Row(published="R1, 15 of 50", deviation=_WORDING, weight=15),
            "common_sense": Row(published="R2, 25 of 50", deviation=_WORDING, weight=25),
            "reasoning": Row(published="R3, 10 of 50", deviation=_WORDING, weight=10),
        },
        "light": {
            "colour": Row(
                published="L1 each channel times U(0, 3.5)",
                bands=_steps(0.297, 0.898, 1.072, 1.181, 1.384, 2.829),
                deviation="the largest ln gain follows it up to its quantile 0.95, signs are even",
            ),
            "direction": Row(
                published="L2 polar angle U(8, 82), with probability 0.35 U(68, 82) degrees",
                bands=_steps(8.0, 30.8, 53.6, 70.2, 73.1, 76.0),
                deviation="from the clean direction; the upper two fifths end at 76 degrees",
            ),
            "specular": Row(
                published="L3 specular intensity U(0.3, 6), shininess U(10, 250)",
                bands=_steps(0.3, 1.44, 2.58, 3.72, 4.86, 6.0),
                deviation="shininess stays",
            ),
            "shadows": Row(
                published="L4 shadows switched with probability 0.5",
                bands=_same(1.0),
                deviation="the clean world has shadows here, so they go",
            ),
        },
        "background": {
            "tint": Row(
                published="wall and table times U(0.4, 1.8) per channel",
                bands=_steps(0.11, 0.377, 0.477, 0.562, 0.649, 0.872),
                deviation="as a distance in rgb, at the wall's clean colour",
            ),
            "texture_unseen": Row(
                published="wall and table textures out of the evaluation pool, 2 % clean",
                deviation="own bands; procedural, never clean",
            ),
            "material": Row(
                published="table metallic U(0, 0.8), roughness U(0.05, 0.95)",
                bands=_steps(0.15, 0.28, 0.41, 0.54, 0.67, 0.8),
                deviation="metallic is the specular share, from the clean table on",
            ),
        },
        "noise": {
            "motion_blur": Row(
                published="N1 radius 6, sigma 2.75 px, within 30 degrees of the horizontal",
                bands=_same(1.93),
                deviation="directional, within 45 degrees",
            ),
            "gaussian_blur": Row(published="N2 sigma 3.25 px", bands=_same(3.47)),
            "zoom_blur": Row(published="N3 scales 1 to 1.2225", bands=_same(3.25)),
            "fog": Row(
                published="N4 83 % white (extinction 0.6 over a depth of 3)",
                bands=_same(10.0),
                deviation="not uniform",
            ),
            "glass": Row(
                published="N5 at most 2 px, 2 passes, sigma 1",
                bands=_same(4.0),
            ),
        },
        "layout": {
            "jitter": Row(
                published="O2 N(0, 0.02 m) in x and y, yaw within 15 degrees",
                bands=_steps(0.002, 0.013, 0.02, 0.027, 0.036, 0.065),
                deviation="the radius follows its norm; no yaw",
            ),
            "distractors": Row(
                published="O1 3 to 15 objects",
                bands=((3, 5), (6, 8), (9, 10), (11, 13), (14, 15)),
                deviation="they do not collide",
            ),
        },
    },
    shares=dict.fromkeys(
        ("camera", "robot", "language", "light", "background", "noise", "layout"), 1430
    ),
    defects=(
        "The drawn light direction points upwards while the default points down, so that light "
        "comes from below (own reading of the code); here it always comes from above.",
        "The motion blur's kernel is a rotated round Gaussian, which has no direction.",
        "The strength of the noise is drawn from a half-open interval that holds one value only.",
        "Specular and shininess are set behind guards that may do nothing in current SAPIEN.",
        "The count of 21 sub-dimensions includes the clean world; C2 is switched off.",
        "Camera and robot values changed between commits before the paper; only this commit is "
        "followed.",
    ),
)

PRESETS = {"libero_plus": LIBERO_PLUS, "robotwin_plus": ROBOTWIN_PLUS}
PRESET_NAMES = (OWN, *PRESETS)
"""The order is the numbering of `Variant.preset`."""
