"""Random worlds of triangle meshes as MuJoCo models: convex, dented and with a hole."""

import mujoco
import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

SHAPES = ("hull", "star", "ring")


def ball(draw: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """(points of a unit ball, faces that look outward)."""
    points = draw.normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    faces = ConvexHull(points).simplices
    a, b, c = (points[faces[:, place]] for place in range(3))
    inward = np.einsum("td,td->t", np.cross(b - a, c - a), a + b + c) < 0
    faces[inward] = faces[inward][:, [0, 2, 1]]
    return points, faces


def ring() -> tuple[np.ndarray, np.ndarray]:
    """A torus of radii 0.7 and 0.3."""
    u, v = np.meshgrid(np.arange(16), np.arange(10), indexing="ij")
    a, b = u * 2 * np.pi / 16, v * 2 * np.pi / 10
    reach = 0.7 + 0.3 * np.cos(b)
    points = np.stack([reach * np.cos(a), reach * np.sin(a), 0.3 * np.sin(b)], -1).reshape(-1, 3)
    along, across = (u + 1) % 16 * 10 + v, u * 10 + (v + 1) % 10
    both, here = (u + 1) % 16 * 10 + (v + 1) % 10, u * 10 + v
    faces = np.stack([np.stack([here, along, both], -1), np.stack([here, both, across], -1)])
    return points, faces.reshape(-1, 3)


def shape_of(kind: str, draw: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """(points, faces) within about half a metre of a place beside the origin."""
    points, faces = ring() if kind == "ring" else ball(draw)
    if kind == "star":
        points = points * draw.uniform(0.35, 1.0, (len(points), 1))
    # MuJoCo moves a mesh to its middle and turns it to its main axes; this one is off both.
    return points * draw.uniform(0.2, 0.45, 3) + draw.uniform(-0.2, 0.2, 3), faces


def mesh_model(seed: int, *, lamps: bool = False, smooth: bool = False) -> mujoco.MjModel:
    """Six meshes of three kinds, a sphere and a floor, with a camera that looks at them."""
    spec, draw = mujoco.MjSpec(), np.random.RandomState(seed)
    # In a lamp's shadow MuJoCo leaves out that lamp's ambient light, too, so another one gives it.
    spec.visual.headlight.active = lamps
    spec.visual.headlight.ambient = np.full(3, 0.2)
    spec.visual.headlight.diffuse = spec.visual.headlight.specular = np.zeros(3)
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 128, 64
    spec.visual.quality.shadowsize = 4096
    spec.stat.extent, spec.stat.center = 3.0, np.zeros(3)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1], pos=[0, 0, -1], rgba=[0.6, 0.6, 0.6, 1]
    )
    for number in range(6):
        points, faces = shape_of(SHAPES[number % 3], draw)
        mesh = spec.add_mesh(name=f"mesh{number}")
        mesh.uservert, mesh.userface = points.ravel(), faces.ravel()
        mesh.smoothnormal = smooth
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=mesh.name,
            pos=draw.uniform(-0.7, 0.7, 3),
            quat=Rotation.random(random_state=draw).as_quat(),
            rgba=[*draw.uniform(0.2, 0.9, 3), 1],
        )
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[0.3, 0, 0],
        pos=draw.uniform(-0.7, 0.7, 3),
        rgba=[0.8, 0.7, 0.1, 1],
    )
    angle = draw.uniform(0, 2 * np.pi)
    place = 2.3 * np.array([np.cos(angle), np.sin(angle), draw.uniform(0.0, 0.6)])
    back = place / np.linalg.norm(place)
    right = np.cross([0, 0, 1], back) / np.linalg.norm(np.cross([0, 0, 1], back))
    turn = np.zeros(4)
    mujoco.mju_mat2Quat(turn, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    spec.worldbody.add_camera(pos=place, quat=turn, fovy=50.0)
    if lamps:
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=[-0.7, 0.5, 2.3],
            dir=[0.3, -0.2, -1.0],
            ambient=np.zeros(3),
            diffuse=np.full(3, 0.7),
            specular=np.zeros(3),
            castshadow=True,
        )
    return spec.compile()
