"""Pictures of the target domain: OpenGL with texture images and shadow maps, a camera a bit off.

The scene is training's, so that a person knows it again; wood, bricks, tiles, scuffed cubes, a
glossy robot, a sky, a lamp beside the sun and soft highlights are not. Nothing of training's ray
caster is used, and none of its texture families.
"""

import functools
import math
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from wamjax.sim import scene
from wamjax.sim.scene import SceneSpec

if TYPE_CHECKING:
    from wamjax.sim.target.model import Reality
    from wamjax.sim.target.world import TargetWorld

TEXELS = 256
SHADOW_MAP, SAMPLES = 1024, 4
"""Texels across a shadow map; samples per pixel."""
HIDDEN_GROUP = 4
TURN_AXIS = np.array([0.62, 0.62, 0.48])
SHIFT_AXIS = np.array([0.6, -0.48, 0.64])
"""Unit vectors in the camera's frame along which a camera is turned and shifted."""
SUN = (-0.45, 0.3, -0.85)
LAMP = (0.9, -0.7, 1.3)


def _smooth(rng: np.random.Generator, across: int, down: int) -> np.ndarray:
    """Smooth noise in 0..1 that repeats, [TEXELS, TEXELS], made of a few waves each way."""
    coarse = rng.standard_normal((down, across))
    spectrum = np.zeros((TEXELS, TEXELS), complex)
    spectrum[:down, :across] = coarse * np.exp(2j * np.pi * rng.random((down, across)))
    wave = np.real(np.fft.ifft2(spectrum))
    return (wave - wave.min()) / (np.ptp(wave) + 1e-9)


@functools.cache
def _images() -> dict[str, np.ndarray]:
    """uint8 [TEXELS, TEXELS, 3] each: planks, bricks, tiles and scuffs."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:TEXELS, 0:TEXELS]
    planks = 4
    plank = columns * planks // TEXELS
    shade = np.array([0.92, 1.05, 0.84, 0.98])[plank]
    grain = np.sin(2 * np.pi * (columns / 7.0 + 1.2 * _smooth(rng, 3, 4)))
    seam = (columns % (TEXELS // planks)) < 2
    wood = shade * (1.0 + 0.07 * grain) * np.where(seam, 0.45, 1.0)

    high, wide = TEXELS // 8, TEXELS // 4
    course = rows // high
    shifted = (columns + (course % 2) * wide // 2) % TEXELS
    mortar = (rows % high < 3) | (shifted % wide < 3)
    brick = 0.85 + 0.3 * rng.random((8, 4))[course, shifted // wide]
    bricks = np.where(mortar, 1.25, brick * (0.9 + 0.2 * _smooth(rng, 24, 24)))

    joint = (rows % (TEXELS // 2) < 4) | (columns % (TEXELS // 2) < 4)
    tiles = np.where(joint, 0.55, 0.85 + 0.3 * _smooth(rng, 8, 8))

    edge = np.minimum.reduce([rows, columns, TEXELS - 1 - rows, TEXELS - 1 - columns]) < 10
    scuffs = np.where(edge, 0.72, 0.9 + 0.2 * _smooth(rng, 16, 16))
    colours = {
        "planks": wood[..., None] * np.array([0.66, 0.47, 0.3]),
        "bricks": bricks[..., None] * np.array([0.72, 0.6, 0.55]),
        "tiles": tiles[..., None] * np.array([0.42, 0.45, 0.44]),
        "scuffs": scuffs[..., None] * np.ones(3) * 0.92,
    }
    return {name: (np.clip(x, 0, 1) * 255).astype(np.uint8) for name, x in colours.items()}


MATERIALS: dict[str, tuple[str | None, tuple[float, float], float, float]] = {
    "planks": ("planks", (2.0, 2.0), 0.15, 0.3),
    "bricks": ("bricks", (4.0, 3.0), 0.05, 0.1),
    "tiles": ("tiles", (2.0, 2.0), 0.3, 0.5),
    "scuffs": ("scuffs", (1.0, 1.0), 0.35, 0.3),
    "lacquer": (None, (1.0, 1.0), 0.6, 0.7),
}
"""Texture, repeats, specular share and shininess, 0..1."""
SURFACES = {"table": "planks", "wall": "bricks", "floor": "tiles"}


def paint(
    parsed: mujoco.MjSpec,
    spec: SceneSpec,
    wrist_turn: float,
    wrist_shift: float,
    wrist_fovy: float,
) -> None:
    """Textures, materials, lights and wrist cameras of the target, written into an MJCF model.

    Args:
        parsed: changed in place.
        spec: what is on the table.
        wrist_turn: rad, error of the wrist cameras' direction.
        wrist_shift: m, error of their place.
        wrist_fovy: factor on their field of view.
    """
    for name, image in _images().items():
        cube = name == "scuffs"
        texture = parsed.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_CUBE if cube else mujoco.mjtTexture.mjTEXTURE_2D,
            width=TEXELS,
            height=6 * TEXELS if cube else TEXELS,
            nchannel=3,
        )
        texture.data = (np.tile(image, (6, 1, 1)) if cube else image).tobytes()
    parsed.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.78, 0.8, 0.84],
        rgb2=[0.4, 0.42, 0.5],
        width=64,
        height=384,
    )
    for name, (image, repeats, specular, shininess) in MATERIALS.items():
        material = parsed.add_material(name=name, specular=specular, shininess=shininess)
        material.texrepeat = repeats
        if image is not None:
            textures = list(material.textures)
            textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = image
            material.textures = textures
    blocks = scene.BLOCK_NAMES[: len(spec.blocks)]
    for geom in parsed.geoms:
        if geom.group != scene.DRAWN_GROUP:
            continue
        geom.material = SURFACES.get(geom.name, "scuffs" if geom.name in blocks else "lacquer")
        if geom.name in SURFACES:
            # Plain white: a colour of its own would tint the image.
            geom.rgba = [1.0, 1.0, 1.0, 1.0]
    for site in parsed.sites:
        site.group = HIDDEN_GROUP
    _set_lights(parsed)
    for camera in parsed.cameras:
        if camera.name != "primary":
            place, turn = off_by(camera.pos, camera.quat, wrist_turn, wrist_shift)
            camera.pos, camera.quat = place, turn
            camera.fovy = camera.fovy * wrist_fovy
    # The workspace is a metre wide; floor and wall would stretch clipping planes and shadow maps.
    parsed.stat.extent = 1.0
    parsed.stat.center = [0.45, 0.0, 0.1]
    parsed.visual.map.znear, parsed.visual.map.zfar = 0.005, 20.0
    parsed.visual.map.shadowclip = 1.5
    parsed.visual.map.shadowscale = 0.7
    parsed.visual.quality.shadowsize = SHADOW_MAP
    parsed.visual.quality.offsamples = SAMPLES
    parsed.visual.headlight.ambient = [0.22, 0.22, 0.22]
    parsed.visual.headlight.diffuse = [0.12, 0.12, 0.12]
    parsed.visual.headlight.specular = [0.05, 0.05, 0.05]


def _set_lights(parsed: mujoco.MjSpec) -> None:
    for light in list(parsed.lights):
        parsed.delete(light)
    parsed.worldbody.add_light(
        name="sun",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=[0.9, -0.4, 1.8],
        dir=SUN,
        diffuse=[0.62, 0.58, 0.5],
        ambient=[0.1, 0.1, 0.12],
        specular=[0.4, 0.4, 0.36],
        castshadow=True,
    )
    parsed.worldbody.add_light(
        name="lamp",
        type=mujoco.mjtLightType.mjLIGHT_SPOT,
        pos=LAMP,
        dir=np.array([0.45, 0.0, 0.05]) - np.array(LAMP),
        diffuse=[0.2, 0.22, 0.28],
        specular=[0.2, 0.2, 0.25],
        cutoff=55.0,
        castshadow=False,
    )


def off_by(
    place: np.ndarray, quaternion: np.ndarray, turn: float, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """A camera's pose with the errors `turn` (rad) and `shift` (m) about and along fixed axes."""
    moved, error, turned = np.zeros(3), np.zeros(4), np.zeros(4)
    mujoco.mju_rotVecQuat(moved, shift * SHIFT_AXIS, np.asarray(quaternion, float))
    mujoco.mju_axisAngle2Quat(error, TURN_AXIS / np.linalg.norm(TURN_AXIS), turn)
    mujoco.mju_mulQuat(turned, np.asarray(quaternion, float), error)
    return np.asarray(place) + moved, turned


class Painter:
    """Draws worlds of one model; owns an OpenGL context, so it stays in the process that made it.

    Args:
        model: of the target; colours and the primary camera are written into it for each world.
        size: H = W, pixels.
    """

    def __init__(self, model: mujoco.MjModel, size: int):
        self.model, self.size = model, size
        self.model.vis.global_.offwidth = max(size, self.model.vis.global_.offwidth)
        self.model.vis.global_.offheight = max(size, self.model.vis.global_.offheight)
        self._renderer = mujoco.Renderer(model, size, size)

    def draw(self, world: "TargetWorld", cameras: tuple[str, ...]) -> np.ndarray:
        """uint8 [V, H, W, 3] of what the cameras see now."""
        model, data = self.model, world.data
        self._dress(world)
        self._aim(world, world.reality)
        if not np.isfinite(data.qpos).all():
            return np.zeros((len(cameras), self.size, self.size, 3), np.uint8)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        out = []
        for name in cameras:
            self._renderer.update_scene(data, name)
            out.append(self._renderer.render().copy())
        return np.stack(out)

    def _dress(self, world: "TargetWorld") -> None:
        where = scene.places(world.spec)
        self.model.geom_rgba[where.drawn[where.tinted[0]], :3] = world.start.tints

    def _aim(self, world: "TargetWorld", reality: "Reality") -> None:
        place, axes = world.start.camera
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, np.asarray(axes, float).ravel())
        turn = math.radians(reality.camera_turn)
        place, quaternion = off_by(place, quaternion, turn, reality.camera_shift)
        camera = int(self.model.camera("primary").id)
        self.model.cam_pos[camera], self.model.cam_quat[camera] = place, quaternion
        self.model.cam_fovy[camera] = world.start.fovy * reality.camera_fovy

    def close(self) -> None:
        """Gives the OpenGL context back."""
        self._renderer.close()
