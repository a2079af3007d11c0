"""A robot's looks as triangle meshes, read from a copy of mujoco_menagerie on this machine.

Only what is drawn changes: the visual geoms of each link stand where the primitive ones stood, cut
down to few triangles. Nothing is ever downloaded; the PyPI package `mujoco-menagerie` can fetch the
files once (`mujoco-menagerie path franka_emika_panda` prints where), a git checkout does as well.
"""

import dataclasses
import functools
import pathlib

import mujoco
import numpy as np

from wamjax.core.errors import UserError
from wamjax.sim.render.decimation import decimate
from wamjax.sim.render.from_mujoco import MESH, colours, mesh_triangles
from wamjax.sim.render.mesh import Mesh, area_vectors, build_mesh, smooth_normals
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.robots.viperx import LINKS, SIDES

TRIANGLES = 2000
"""Of one arm, at most."""
LEAST = 24
"""Of one part, however small."""
APART_M, APART_RAD = 0.003, 0.01
"""Links may differ by this from ours; the menagerie rounds some of its angles."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where the menagerie has a robot.

    Attributes:
        folders: that may hold it, the first that exists counts.
        file: MJCF in that folder.
        bodies: our name of each body -> the file's.
    """

    folders: tuple[str, ...]
    file: str
    bodies: dict[str, str]


def _aloha_bodies() -> dict[str, str]:
    bodies = {}
    for arm in SIDES:
        names = {"base": "base_link", "hand": "gripper_base"}
        names |= {link.name: f"{link.name.removesuffix('_link')}_link" for link in LINKS}
        names |= {f"finger_{side}": f"{side}_finger_link" for side in SIDES}
        bodies |= {f"{arm}_{ours}": f"{arm}/{theirs}" for ours, theirs in names.items()}
    return bodies


SOURCES: dict[str, Source] = {
    "panda": Source(
        folders=("franka_emika_panda", "."),
        file="panda.xml",
        bodies={
            **{f"link{index}": f"link{index}" for index in range(8)},
            "hand": "hand",
            "finger_left": "left_finger",
            "finger_right": "right_finger",
        },
    ),
    "aloha": Source(folders=("aloha", "."), file="aloha.xml", bodies=_aloha_bodies()),
}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Skin:
    """P parts, each of one colour and fixed to one body.

    Attributes:
        bodies: our name of each part's body.
        meshes: in the body's frame.
        rgb: float32 [P, 3], 0..1.
        triangles: how many there are.
    """

    bodies: tuple[str, ...]
    meshes: tuple[Mesh, ...]
    rgb: np.ndarray
    triangles: int

    @property
    def name(self) -> str:
        """What it is, in words."""
        return f"{self.triangles} triangles"


@functools.cache
def read_skin(directory: pathlib.Path, robot: str, triangles: int = TRIANGLES) -> Skin:
    """The parts of a robot; the same object at every call.

    Args:
        directory: the menagerie, or the robot's own folder in it.
        robot: our name.
        triangles: of one arm, at most, but LEAST for every part; the rest is shared out.

    Raises:
        UserError: no such robot, a file is missing or unreadable, or the file's robot is another.
    """
    if robot not in SOURCES:
        raise UserError(f"there are no meshes for robot {robot!r}; there are for {list(SOURCES)}.")
    source = SOURCES[robot]
    model = _load(directory, source)
    _compare(directory, source, robot, model)
    parts = _parts(model, source)
    if not parts:
        raise UserError(f"{source.file} in {directory} has no visual meshes of {robot}.")
    areas = [np.linalg.norm(area_vectors(corners), axis=1).sum() for *_, corners in parts]
    # By the root of the area: what is small is near the camera more often, and more intricate.
    weights = np.sqrt(areas)
    spare = max(0, triangles * len(find_robot(robot).arms) - LEAST * len(parts))
    shares = (LEAST + np.floor(spare * weights / weights.sum())).astype(int)
    thin = [decimate(part[2], int(most)) for part, most in zip(parts, shares, strict=True)]
    return Skin(
        bodies=tuple(body for body, *_ in parts),
        meshes=tuple(build_mesh(corners, smooth_normals(corners)) for corners in thin),
        rgb=np.array([rgb for _, rgb, _ in parts], np.float32),
        triangles=sum(map(len, thin)),
    )


def _load(directory: pathlib.Path, source: Source) -> mujoco.MjModel:
    places = [directory / folder / source.file for folder in source.folders]
    found = [place for place in places if place.is_file()]
    if not found:
        raise UserError(
            f"{directory} has no {source.folders[0]}/{source.file}; name a copy of "
            "github.com/google-deepmind/mujoco_menagerie."
        )
    try:
        spec = mujoco.MjSpec.from_file(str(found[0]))
        # What collides is not drawn, and its convex hulls take most of the time.
        for geom in list(spec.geoms):
            if geom.contype or geom.conaffinity:
                spec.delete(geom)
        return spec.compile()
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"MuJoCo cannot read {found[0]}: {reason}") from error


def _compare(directory: pathlib.Path, source: Source, robot: str, model: mujoco.MjModel) -> None:
    """Refuse a robot whose links are elsewhere than ours, for its meshes would not fit."""
    ours = mujoco.MjModel.from_xml_string(
        f"<mujoco><compiler angle='radian' balanceinertia='true'/><default>"
        f"<default class='drawn'/><default class='contact'/></default>"
        f"<worldbody>{find_robot(robot).bodies(False)}</worldbody></mujoco>"
    )
    known = {model.body(body).name for body in range(model.nbody)}
    for name, theirs in source.bodies.items():
        if theirs not in known:
            raise UserError(f"{source.file} in {directory} has no body {theirs!r}.")
        parent = ours.body(int(ours.body(name).parentid[0])).name
        if parent not in source.bodies:
            continue
        body, own = model.body(theirs), ours.body(name)
        if model.body(int(body.parentid[0])).name != source.bodies[parent]:
            raise UserError(
                f"{source.file} in {directory} has {theirs!r} on another body than our {robot}."
            )
        apart = float(np.linalg.norm(body.pos - own.pos))
        turned = 2 * np.arccos(min(1.0, abs(float(body.quat @ own.quat))))
        if apart > APART_M or turned > APART_RAD:
            raise UserError(
                f"{source.file} in {directory} has {theirs!r} {1000 * apart:.0f} mm and "
                f"{np.rad2deg(turned):.1f} degrees away from our {robot}'s, so it is another robot."
            )


def _parts(
    model: mujoco.MjModel, source: Source
) -> list[tuple[str, tuple[float, ...], np.ndarray]]:
    """(our body, rgb, corners [T, 3, 3] in the body's frame), one per body and colour."""
    rgba, parts = colours(model), {}
    ours = {model.body(theirs).id: name for name, theirs in source.bodies.items()}
    for geom in np.flatnonzero(model.geom_type == MESH):
        body = int(model.geom_bodyid[geom])
        if body not in ours or rgba[geom, 3] == 0:
            continue
        corners, _ = mesh_triangles(model, int(model.geom_dataid[geom]))
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
        placed = corners @ turn.reshape(3, 3).T + model.geom_pos[geom]
        colour = tuple(round(float(value), 4) for value in rgba[geom, :3])
        parts.setdefault((ours[body], colour), []).append(placed)
    return [(body, rgb, np.concatenate(placed)) for (body, rgb), placed in parts.items()]
