"""What stands on the table besides blocks: trays and cabinets, as MJCF that can be moved per world.

A fixture is a mocap body, so where it stands is an input of the program and not of the model. All
of it that collides is drawn, and the other way round, except the inside of the cabinet.
"""

import dataclasses
from typing import Literal

from wamjax.sim.robots.record import numbers

FixtureName = Literal["tray", "cabinet"]

TRAY_HALF = 0.075
RIM = 0.006
DRAWER_TRAVEL = 0.16
HANDLE_HEIGHT = 0.06
HANDLE_GAP = 0.045
DRAWER_SPACING = 0.16
CABINET_HALF = (0.09, 0.165, 0.05)
WOOD = (0.55, 0.42, 0.3)
METAL = (0.7, 0.7, 0.72)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixture:
    """One kind of fixture.

    Attributes:
        xml: MJCF of the body's inside.
        hulls: geoms that blocks touch.
        handles: geoms that fingers touch.
        slides: joints, in order.
        drawers: bodies that the slides move.
        offsets: m, where each drawer's body sits in the fixture.
        tinted: geom -> index into the task's palette.
        height: m, of the body's centre above the table.
    """

    xml: str
    hulls: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    slides: tuple[str, ...] = ()
    drawers: tuple[str, ...] = ()
    offsets: tuple[tuple[float, float, float], ...] = ()
    tinted: tuple[tuple[str, int], ...] = ()
    height: float = 0.0


def _drawn(name: str, kind: str, size: str, where: str, colour: tuple[float, ...]) -> str:
    return (
        f'<geom name="{name}" class="drawn" type="{kind}" size="{size}" {where} '
        f'rgba="{numbers(colour)} 1"/>'
    )


def _tray() -> Fixture:
    half, parts, hulls = TRAY_HALF, [], []
    floor = _drawn("tray", "box", f"{half} {half} 0.001", 'pos="0 0 0.001"', (0.2, 0.22, 0.25))
    corners = ((-half, -half), (half, -half), (half, half), (-half, half))
    for side, (one, two) in enumerate(zip(corners, (*corners[1:], corners[0]), strict=True)):
        ends = f'fromto="{one[0]} {one[1]} {RIM} {two[0]} {two[1]} {RIM}"'
        parts.append(_drawn(f"tray_rim_{side}", "capsule", f"{RIM}", ends, (0.25, 0.27, 0.3)))
        hulls.append(f"tray_hull_{side}")
        parts.append(
            f'<geom name="{hulls[-1]}" class="contact" type="capsule" size="{RIM}" {ends}/>'
        )
    return Fixture(xml=floor + "".join(parts), hulls=tuple(hulls))


def _drawer(side: str, y: float) -> str:
    x, width = -CABINET_HALF[0], 0.07
    bar = f'fromto="{-HANDLE_GAP} -0.045 0 {-HANDLE_GAP} 0.045 0"'
    legs = "".join(
        _drawn(
            f"leg_{side}_{place}",
            "capsule",
            "0.005",
            f'fromto="0 {y_leg} 0 {-HANDLE_GAP} {y_leg} 0"',
            METAL,
        )
        for place, y_leg in enumerate((-0.045, 0.045))
    )
    face = _drawn(f"drawer_{side}", "box", f"0.006 {width} 0.04", 'pos="0 0 0"', (1, 0, 0))
    box = _drawn(f"drawer_box_{side}", "box", f"0.08 {width - 0.008} 0.03", 'pos="0.08 0 0"', WOOD)
    handle = _drawn(f"handle_{side}", "capsule", "0.007", bar, METAL)
    return (
        f'<body name="drawer_{side}" pos="{x} {y} 0.01">'
        f'<inertial pos="0.08 0 0" mass="0.6" diaginertia="0.002 0.002 0.002"/>'
        f'<joint name="drawer_{side}" type="slide" axis="-1 0 0" damping="12" armature="0.1" '
        f'range="0 {DRAWER_TRAVEL}" limited="true"/>{face}{box}{legs}{handle}'
        f'<geom name="bar_{side}" class="contact" type="capsule" size="0.007" {bar}/></body>'
    )


def _cabinet() -> Fixture:
    size = numbers(CABINET_HALF)
    half = DRAWER_SPACING / 2
    return Fixture(
        xml=_drawn("cabinet", "box", size, 'pos="0.012 0 0"', WOOD)
        + _drawer("a", half)
        + _drawer("b", -half),
        handles=("bar_a", "bar_b"),
        slides=("drawer_a", "drawer_b"),
        drawers=("drawer_a", "drawer_b"),
        offsets=tuple((-CABINET_HALF[0], y, 0.01) for y in (half, -half)),
        tinted=(("drawer_a", 0), ("drawer_b", 1)),
        height=CABINET_HALF[2],
    )


FIXTURES: dict[FixtureName, Fixture] = {"tray": _tray(), "cabinet": _cabinet()}
