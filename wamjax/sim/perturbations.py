"""What the visual axes do to camera, light and materials, as functions of a traced variant.

The clean look is the neutral element of each function: an inactive axis adds zero or multiplies
by one, so that one program draws all axes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Key
from wamjax.sim import rotations, scene
from wamjax.sim.render.camera import look_at
from wamjax.sim.render.scene import DIRECTIONAL, Camera, Lights
from wamjax.sim.render.textures import FAMILIES
from wamjax.sim.variants import Variant, perturbation

LIGHT_DIRECTION = np.array([-0.2, 0.12, -1.0], np.float32)
LIGHT_COLOUR = 0.62
AMBIENT = 0.42


def primary_camera(variant: Variant) -> Camera:
    """The third-person camera: further away, or turned about the vertical through its target."""
    target = jnp.asarray(scene.CAMERA_TARGET, jnp.float32)
    arm = jnp.asarray(scene.CAMERA_POSITION, jnp.float32) - target
    far, factor, _ = perturbation(variant, "camera", "distance")
    arm = arm * jnp.where(far, factor, 1.0)
    turned, degrees, key = perturbation(variant, "camera", "azimuth")
    sign = jnp.where(jax.random.bernoulli(key), 1.0, -1.0)
    angle = jnp.where(turned, sign * jnp.deg2rad(degrees), 0.0)
    arm = rotations.rotate(rotations.about_z(angle), arm)
    return look_at(target + arm, target, scene.CAMERA_FOVY)


def lighting(variant: Variant) -> tuple[Lights, Array]:
    """(one directional light that casts shadows, ambient colour [3])."""
    tinted, strength, key = perturbation(variant, "light", "colour")
    # The largest |ln gain| is the band's amount; signs and the other channels are drawn.
    tint = jax.random.uniform(key, (3,), minval=-1.0, maxval=1.0)
    tint = tint / jnp.max(jnp.abs(tint))
    gain = jnp.exp(jnp.where(tinted, strength, 0.0) * tint)

    moved, degrees, key = perturbation(variant, "light", "direction")
    direction = jnp.asarray(LIGHT_DIRECTION / np.linalg.norm(LIGHT_DIRECTION))
    heading = jax.random.uniform(key, maxval=2 * jnp.pi)
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


def background(variant: Variant, rgb: Array) -> tuple[Array, Array, Array]:
    """Colours and textures of the surroundings.

    Args:
        variant: one world, traced.
        rgb: float32 [S, 3], clean colours of S surfaces.

    Returns:
        (rgb [S, 3], texture family int32 [S], texture [S, 4] of scale, contrast, phase, warp).
    """
    surfaces = rgb.shape[0]
    tinted, distance, key = perturbation(variant, "background", "tint")
    direction = jax.random.normal(key, (surfaces, 3))
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    rgb = jnp.clip(rgb + jnp.where(tinted, distance, 0.0) * direction, 0.02, 0.98)

    textured, contrast, key = perturbation(variant, "background", "texture")
    family, texture = _texture(key, surfaces)
    family = jnp.where(textured, family, 0)
    texture = texture.at[:, 1].set(jnp.where(textured, contrast, 0.0))
    return rgb, family, texture


def _texture(key: Key, surfaces: int) -> tuple[Array, Array]:
    family_key, scale_key, phase_key, warp_key = jax.random.split(key, 4)
    family = jax.random.randint(family_key, (surfaces,), 1, len(FAMILIES))
    scale = jnp.exp(
        jax.random.uniform(scale_key, (surfaces,), minval=jnp.log(3.0), maxval=jnp.log(12.0))
    )
    phase = jax.random.uniform(phase_key, (surfaces,))
    warp = jax.random.uniform(warp_key, (surfaces,))
    return family, jnp.stack([scale, jnp.zeros(surfaces), phase, warp], axis=1)
