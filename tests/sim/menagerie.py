"""A directory laid out like mujoco_menagerie, with boxes and balls for the Panda's meshes."""

import pathlib

from scipy.spatial.transform import Rotation

from tests.sim.test_render_decimation import cube, dense_ball
from wamjax.sim.robots.panda import FINGER_OFFSET, HAND_OFFSET, HAND_QUATERNION, LINKS
from wamjax.sim.robots.record import numbers


def write_menagerie(folder: pathlib.Path, *, elbow: float = 0.0825) -> pathlib.Path:
    """Each link has a ball around its joint, the hand a box, each finger a box; returns `folder`.

    Args:
        folder: a directory.
        elbow: where the fourth link is; 0.0825 m is right.
    """
    assets = folder / "franka_emika_panda" / "assets"
    assets.mkdir(parents=True)
    for name, corners in (("ball", dense_ball()), ("box", cube(1))):
        points = "".join(f"v {numbers(point)}\n" for point in corners.reshape(-1, 3))
        faces = "".join(f"f {i + 1} {i + 2} {i + 3}\n" for i in range(0, 3 * len(corners), 3))
        (assets / f"{name}.obj").write_text(points + faces)
    (assets.parent / "panda.xml").write_text(_panda(elbow))
    return folder


def _geom(mesh: str, colour: str, where: str = "") -> str:
    return (
        f'<geom type="mesh" mesh="{mesh}" material="{colour}" contype="0" conaffinity="0" '
        f'group="2" {where}/>'
    )


def _finger(side: str, turn: str) -> str:
    drawn = _geom("finger", "black", 'pos="0 0.0085 0.0275"')
    return (
        f'<body name="{side}_finger" pos="{numbers(FINGER_OFFSET)}" quat="{turn}">'
        f'<joint type="slide" axis="0 1 0"/>{drawn}</body>'
    )


def _panda(elbow: float) -> str:
    turn = Rotation.from_euler("x", 20, degrees=True).as_quat(scalar_first=True)
    palm = _geom("hand", "white", f'pos="0 0 0.033" quat="{numbers(turn)}"')
    inner = (
        f'<body name="hand" pos="{numbers(HAND_OFFSET)}" quat="{numbers(HAND_QUATERNION)}">{palm}'
        f'<geom type="box" size="0.1 0.1 0.1" group="3" mass="0.1"/>'
        f"{_finger('left', '1 0 0 0')}{_finger('right', '0 0 0 1')}</body>"
    )
    for index in reversed(range(len(LINKS))):
        link = LINKS[index]
        offset = (elbow, 0.0, 0.0) if index == 3 else link.offset
        inner = (
            f'<body name="link{index + 1}" pos="{numbers(offset)}" '
            f'quat="{numbers(link.quaternion)}"><joint axis="0 0 1"/>{_geom("ball", "white")}'
            f"{inner}</body>"
        )
    return f"""
<mujoco model="panda">
  <compiler angle="radian" meshdir="assets"/>
  <asset>
    <material name="white" rgba="0.8 0.9 1 1"/>
    <material name="black" rgba="0.1 0.1 0.1 1"/>
    <mesh name="ball" file="ball.obj" scale="0.07 0.07 0.07"/>
    <mesh name="hand" file="box.obj" scale="0.04 0.2 0.066"/>
    <mesh name="finger" file="box.obj" scale="0.021 0.017 0.052"/>
  </asset>
  <worldbody><body name="link0">{_geom("ball", "white")}{inner}</body></worldbody>
</mujoco>"""
