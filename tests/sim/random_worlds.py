"""Random scenes for the ray caster, and the same scenes as MuJoCo models."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from wamjax.sim.render import Camera, GeomKind, Lights, Materials, Scene, look_at

KINDS: tuple[GeomKind, ...] = (
    "plane",
    "box",
    "sphere",
    "capsule",
    "cylinder",
    "ellipsoid",
    "plane",
    "box",
    "capsule",
    "cylinder",
    "sphere",
    "box",
)


def random_scene(seed: int) -> Scene:
    """An infinite floor, a finite plane and ten solids in a cube of 2 m, all grey and flat."""
    draw = np.random.RandomState(seed)
    count = len(KINDS)
    position = draw.uniform(-1, 1, (count, 3))
    rotation = Rotation.random(count, random_state=draw).as_matrix()
    size = draw.uniform(0.05, 0.35, (count, 3))
    position[0], rotation[0], size[0] = (0, 0, -1.2), np.eye(3), (0, 0, 1)
    size[6, :2] *= 2
    # In some worlds the second plane is endless along y.
    size[6, 1] *= seed % 3 > 0
    lights = Lights(
        kind=jnp.zeros(1, jnp.int32),
        position=jnp.zeros((1, 3)),
        direction=jnp.asarray([[0.3, -0.2, -1.0]]),
        diffuse=jnp.ones((1, 3)),
        specular=jnp.zeros((1, 3)),
        active=jnp.ones(1, bool),
        shadow=jnp.ones(1, bool),
    )
    materials = Materials(
        rgb=jnp.full((count, 3), 0.8),
        family=jnp.zeros(count, jnp.int32),
        texture=jnp.tile(jnp.asarray([5.0, 0.5, 0.0, 0.3]), (count, 1)),
        specular=jnp.full(count, 0.3),
        shininess=jnp.full(count, 20.0),
        visible=jnp.ones(count, bool),
    )
    return Scene(
        position=jnp.asarray(position, jnp.float32),
        rotation=jnp.asarray(rotation, jnp.float32),
        size=jnp.asarray(size, jnp.float32),
        materials=materials,
        lights=lights,
        ambient=jnp.zeros(3),
        background=jnp.asarray([0.1, 0.2, 0.3]),
    )


def random_camera(seed: int) -> Camera:
    """Somewhere around the middle, now and then inside a solid."""
    draw = np.random.RandomState(1000 + seed)
    position = draw.uniform(-1, 1, 3) + (1.5 if seed % 2 else 0.0)
    return look_at(
        jnp.asarray(position, jnp.float32), jnp.asarray(draw.uniform(-0.3, 0.3, 3)), 55.0
    )


def stacked(trees: list) -> object:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def mujoco_model(scene: Scene) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The same geoms in C MuJoCo, all in the world body."""
    spec = mujoco.MjSpec()
    for index, kind in enumerate(KINDS):
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, np.asarray(scene.rotation[index], np.float64).ravel())
        size = np.asarray(scene.size[index], np.float64)
        spec.worldbody.add_geom(
            type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"),
            pos=np.asarray(scene.position[index], np.float64),
            quat=quat,
            size=np.array([*size[:2], 1.0]) if kind == "plane" else size,
        )
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


@dataclasses.dataclass(frozen=True)
class Lamp:
    """One light of `lit_model`; the place and the direction are the same for all lamps but `turn`.

    Attributes:
        kind: "directional" or "spot".
        ambient, diffuse, specular: grey levels.
        shadow: whether it casts shadows.
        turn: degrees about the vertical.
    """

    kind: str
    ambient: float = 0.0
    diffuse: float = 0.0
    specular: float = 0.0
    shadow: bool = False
    turn: float = 0.0


def lit_model(seed: int, lamps: tuple[Lamp, ...] = (), *, endless: bool = False) -> mujoco.MjModel:
    """A coloured random world with a camera outside all solids, in MuJoCo's own terms.

    OpenGL lights corners and interpolates between them, so round things and planes are cut finely.
    The world has a floor (endless or of 4 m) and the ten solids of `random_scene`, no second plane,
    because MuJoCo shows planes from behind, too, and lets them cast shadows.
    """
    scene, draw = random_scene(seed), np.random.RandomState(2000 + seed)
    spec = mujoco.MjSpec()
    spec.visual.headlight.active = 0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 4096
    spec.visual.quality.numslices = 256
    spec.visual.quality.numstacks = 128
    spec.visual.quality.numquads = 24
    spec.visual.map.shadowscale = 0.9
    spec.visual.map.znear = 0.01
    spec.stat.extent, spec.stat.center = 3.0, np.zeros(3)
    for index, kind in enumerate(KINDS):
        if kind == "plane" and index:
            continue
        material = spec.add_material(
            name=f"material{index}",
            rgba=np.append(draw.uniform(0.2, 0.9, 3), 1.0),
            specular=0.4,
            shininess=draw.uniform(0.05, 0.3),
        )
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, np.asarray(scene.rotation[index], np.float64).ravel())
        size = np.asarray(scene.size[index], np.float64)
        if kind == "plane":
            size = np.array([0.0, 0.0, 0.05] if endless else [2.0, 2.0, 0.05])
        spec.worldbody.add_geom(
            type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"),
            pos=np.asarray(scene.position[index], np.float64),
            quat=quat,
            size=size,
            material=material.name,
        )
    angle = draw.uniform(0, 2 * np.pi)
    place = 2.3 * np.array([np.cos(angle), np.sin(angle), draw.uniform(-0.2, 0.6)])
    back = place / np.linalg.norm(place)
    right = np.cross([0, 0, 1], back) / np.linalg.norm(np.cross([0, 0, 1], back))
    camera = np.zeros(4)
    axes = np.stack([right, np.cross(back, right), back], axis=1)
    mujoco.mju_mat2Quat(camera, axes.ravel())
    spec.worldbody.add_camera(pos=place, quat=camera, fovy=50.0)
    for lamp in lamps:
        turn = np.deg2rad(lamp.turn)
        heading = Rotation.from_euler("z", turn).apply([0.3, -0.2, -1.0])
        spec.worldbody.add_light(
            type=getattr(mujoco.mjtLightType, f"mjLIGHT_{lamp.kind.upper()}"),
            pos=-2.5 * heading / np.linalg.norm(heading),
            dir=heading,
            ambient=np.full(3, lamp.ambient),
            diffuse=np.full(3, lamp.diffuse),
            specular=np.full(3, lamp.specular),
            castshadow=lamp.shadow,
            cutoff=40.0,
            exponent=8.0,
        )
    return spec.compile()


def mujoco_cast(
    model: mujoco.MjModel, data: mujoco.MjData, origin: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distance, geom, normal) by mj_multiRay; -1 where nothing is hit."""
    count = len(directions)
    geom, distance = np.zeros(count, np.int32), np.zeros(count)
    normal = np.zeros((count, 3))
    mujoco.mj_multiRay(
        model,
        data,
        np.asarray(origin, np.float64),
        np.asarray(directions, np.float64).ravel(),
        None,
        True,
        -1,
        geom,
        distance,
        normal.reshape(-1),
        count,
        mujoco.mjMAXVAL,
    )
    return distance, geom, normal
