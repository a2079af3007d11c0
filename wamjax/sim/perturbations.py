"""What the visual axes do to camera, light and materials, as functions of a traced variant.

The clean look is the neutral element of each function: an inactive axis adds zero or multiplies
by one, so that one program draws all axes. `draws` are `variants.perturbation_draws`; number 0
decides the amount, the others serve for directions.
"""

import flax.struct
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, typed
from wamjax.sim import rotations, scene
from wamjax.sim.render.camera import look_at
from wamjax.sim.render.scene import DIRECTIONAL, Camera, Lights
from wamjax.sim.render.textures import FAMILIES
from wamjax.sim.variants import Variant, perturbation

LIGHT_DIRECTION = np.array([-0.2, 0.12, -1.0], np.float32)
LIGHT_COLOUR = 0.5
AMBIENT = 0.52
SURFACES = ("table", "wall", "floor")
COLOURS = np.array([scene.TABLE_COLOUR, scene.WALL_COLOUR, scene.FLOOR_COLOUR], np.float32)
SCALES = (3.0, 12.0)
"""Texture scales, cycles per metre."""


@flax.struct.dataclass
class Look:
    """How one world looks, apart from where its objects are.

    Attributes:
        camera: the primary camera.
        lights: one directional light that casts shadows.
        ambient: float32 [3].
        rgb: float32 [S, 3], colours of SURFACES.
        family: int32 [S], texture families of SURFACES.
        texture: float32 [S, 4], scale, contrast, phase, warp.
    """

    camera: Camera
    lights: Lights
    ambient: Array
    rgb: Array
    family: Array
    texture: Array


@typed
def build_look(variant: Variant, draws: Float[Array, "n"]) -> Look:
    """The look of one world."""
    lights, ambient = lighting(variant, draws)
    rgb, family, texture = background(variant, draws)
    return Look(
        camera=primary_camera(variant, draws),
        lights=lights,
        ambient=ambient,
        rgb=rgb,
        family=family,
        texture=texture,
    )


def primary_camera(variant: Variant, draws: Array) -> Camera:
    """The third-person camera: further away, or turned about the vertical through its target."""
    target = jnp.asarray(scene.CAMERA_TARGET, jnp.float32)
    arm = jnp.asarray(scene.CAMERA_POSITION - scene.CAMERA_TARGET, jnp.float32)
    far, factor = perturbation(variant, draws, "camera", "distance")
    arm = arm * jnp.where(far, factor, 1.0)
    turned, degrees = perturbation(variant, draws, "camera", "azimuth")
    sign = jnp.where(draws[1] < 0.5, 1.0, -1.0)
    angle = jnp.where(turned, sign * jnp.deg2rad(degrees), 0.0)
    arm = rotations.rotate(rotations.about_z(angle), arm)
    return look_at(target + arm, target, scene.CAMERA_FOVY)


def lighting(variant: Variant, draws: Array) -> tuple[Lights, Array]:
    """(the light, ambient colour [3])."""
    tinted, strength = perturbation(variant, draws, "light", "colour")
    # The largest |ln gain| is the band's amount; signs and the other channels are drawn.
    tint = 2.0 * draws[1:4] - 1.0
    tint = tint / jnp.max(jnp.abs(tint))
    gain = jnp.exp(jnp.where(tinted, strength, 0.0) * tint)

    moved, degrees = perturbation(variant, draws, "light", "direction")
    direction = jnp.asarray(LIGHT_DIRECTION / np.linalg.norm(LIGHT_DIRECTION))
    heading = 2.0 * jnp.pi * draws[1]
    sideways = jnp.cross(direction, jnp.stack([jnp.cos(heading), jnp.sin(heading), 0.0]))
    axis = sideways / jnp.linalg.norm(sideways)
    angle = jnp.where(moved, jnp.deg2rad(degrees), 0.0)
    direction = rotations.rotate(rotations.from_vector(axis * angle), direction)

    lights = Lights(
        kind=jnp.full(1, DIRECTIONAL, jnp.int32),
        position=jnp.zeros((1, 3)),
        direction=direction[None],
        diffuse=(LIGHT_COLOUR * gain)[None],
        specular=0.3 * gain[None],
        active=jnp.ones(1, bool),
        shadow=jnp.ones(1, bool),
    )
    return lights, AMBIENT * gain


def background(variant: Variant, draws: Array) -> tuple[Array, Array, Array]:
    """(colours [S, 3], texture families int32 [S], textures [S, 4]) of SURFACES."""
    count = len(SURFACES)
    tinted, distance = perturbation(variant, draws, "background", "tint")
    direction = 2.0 * draws[1 : 1 + 3 * count].reshape(count, 3) - 1.0
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    rgb = jnp.asarray(COLOURS) + jnp.where(tinted, distance, 0.0) * direction

    textured, contrast = perturbation(variant, draws, "background", "texture")
    pick, zoom, phase, warp = draws[1 : 1 + 4 * count].reshape(4, count)
    # Family 0 is the clean, flat one.
    family = 1 + jnp.floor(pick * (len(FAMILIES) - 1)).astype(jnp.int32)
    scale = SCALES[0] * (SCALES[1] / SCALES[0]) ** zoom
    contrasts = jnp.full(count, jnp.where(textured, contrast, 0.0))
    return (
        jnp.clip(rgb, 0.02, 0.98),
        jnp.where(textured, family, 0),
        jnp.stack([scale, contrasts, phase, warp], axis=1),
    )
