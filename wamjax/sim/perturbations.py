"""What the visual axes do to camera, light, materials and pictures, one formula for two uses.

`build_look` is the look of one variant, at most one sub-axis away from clean. `randomised_look`
draws camera, light and background together for training data, from the bands and the texture
families that no evaluation has. The clean look is the neutral element of each formula: a sub-axis
that does not act adds zero or multiplies by one, so that one program draws all axes.
"""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, Key, typed
from wamjax.sim import rotations, scene
from wamjax.sim.axes import ALL_AXES, find_sub_axis
from wamjax.sim.corruptions import CORRUPTIONS
from wamjax.sim.render.camera import look_at
from wamjax.sim.render.scene import DIRECTIONAL, Camera, Lights
from wamjax.sim.render.textures import FAMILIES, Family
from wamjax.sim.robots.record import View
from wamjax.sim.variants import Variant, amount_between, code_of, perturbation

LIGHT_DIRECTION = np.array([-0.2, 0.12, -1.0], np.float32)
LIGHT_COLOUR = 0.5
LIGHT_SPECULAR = 0.3
AMBIENT = 0.52
LAMPS = 5
"""Further lights; none of them is on in the clean world."""
LAMP_SHARE = 0.2
LAMP_HEIGHT = (35.0, 75.0)
"""Of a lamp above the horizon, degrees."""
SURFACES = ("table", "wall", "floor")
TABLE, WALL = SURFACES.index("table"), SURFACES.index("wall")
COLOURS = np.array([scene.TABLE_COLOUR, scene.WALL_COLOUR, scene.FLOOR_COLOUR], np.float32)
GLOSS, SHININESS = 0.15, 16.0
GLOSS_WIDTHS = (4.0, 16.0)
"""Blinn-Phong exponents of a glossy table."""
WALL_TINT = 0.5
"""Distance in rgb per contrast of the wall sub-axis."""
SCALES = (3.0, 12.0)
"""Texture scales, cycles per metre."""
SEEN: tuple[Family, ...] = ("checker", "gradient", "noise", "stripes")
"""Texture families of randomised training data."""
UNSEEN: tuple[Family, ...] = tuple(name for name in FAMILIES if name not in ("flat", *SEEN))
"""Texture families that training data never have."""
RANDOMISED = ("camera", "light", "background")
"""Axes that `randomised_look` draws."""

Ask = Callable[[str, str], tuple[Array, Array, Array]]
"""(axis, sub-axis) -> (whether it acts, its amount, uniform draws; number 0 made the amount)."""


@flax.struct.dataclass
class Look:
    """How one world looks, apart from where its objects are.

    Attributes:
        camera: the primary camera.
        lights: 1 + LAMPS directional lights; the first one casts shadows, the others none.
        ambient: float32 [3].
        rgb: float32 [S, 3], colours of SURFACES.
        family: int32 [S], texture families of SURFACES.
        texture: float32 [S, 4], scale, contrast, phase, warp.
        specular: float32 [S], specular share of SURFACES.
        shininess: float32 [S], Blinn-Phong exponents of SURFACES.
        noise: int32 [], index into CORRUPTIONS of what spoils the pictures, 0 for nothing.
        strength: float32 [], 1..10, its strength.
    """

    camera: Camera
    lights: Lights
    ambient: Array
    rgb: Array
    family: Array
    texture: Array
    specular: Array
    shininess: Array
    noise: Array
    strength: Array


@typed
def build_look(variant: Variant, draws: Float[Array, "n"], view: View) -> Look:
    """The look of one world.

    Args:
        variant: traced.
        draws: from `variants.perturbation_draws`.
        view: where the primary camera stands in the clean world.
    """

    def ask(axis: str, sub_axis: str) -> tuple[Array, Array, Array]:
        return *perturbation(variant, draws, axis, sub_axis), draws

    return _look(ask, UNSEEN, view)


@typed
def randomised_look(key: Key, view: View) -> Look:
    """A look for training data: every trained sub-axis of camera, light and background at once.

    Args:
        key: traced; other keys, other looks.
        view: where the primary camera stands in the clean world.
    """

    def ask(axis: str, sub_axis: str) -> tuple[Array, Array, Array]:
        sub = ALL_AXES[axis][find_sub_axis(axis, sub_axis)]
        acts = axis in RANDOMISED and len(sub.training) > 0
        draws = jax.random.uniform(jax.random.fold_in(key, code_of(axis, sub_axis)), (32,))
        bands = jnp.array(sub.training if acts else sub.bands, jnp.float32)
        low, high = bands[jnp.floor(draws[-1] * len(bands)).astype(jnp.int32)]
        return jnp.array(acts), amount_between(low, high, draws[0], sub.whole), draws

    return _look(ask, SEEN, view)


def _look(ask: Ask, wall: tuple[Family, ...], view: View) -> Look:
    lights, ambient = lighting(ask)
    rgb, family, texture = background(ask, wall)
    specular, shininess = materials(ask)
    noise, strength = sensor_noise(ask)
    return Look(
        camera=primary_camera(ask, view),
        lights=lights,
        ambient=ambient,
        rgb=rgb,
        family=family,
        texture=texture,
        specular=specular,
        shininess=shininess,
        noise=noise,
        strength=strength,
    )


def primary_camera(ask: Ask, view: View) -> Camera:
    """The third-person camera: further away, turned or raised about its target, or tilted."""
    target = jnp.asarray(view.target, jnp.float32)
    arm = jnp.asarray(np.array(view.position) - np.array(view.target), jnp.float32)
    far, factor, _ = ask("camera", "distance")
    arm = arm * jnp.where(far, factor, 1.0)
    arm = rotations.rotate(rotations.about_z(_signed(ask("camera", "azimuth"))), arm)
    level = jnp.cross(jnp.array([0.0, 0.0, 1.0]), arm)
    level = level / jnp.linalg.norm(level)
    raised = rotations.from_vector(level * _signed(ask("camera", "elevation")))
    camera = look_at(target + rotations.rotate(raised, arm), target, view.fovy)

    tilted, degrees, draws = ask("camera", "orientation")
    heading = 2.0 * jnp.pi * draws[1]
    right, up = camera.rotation[:, 0], camera.rotation[:, 1]
    about = jnp.cos(heading) * right + jnp.sin(heading) * up
    tilt = rotations.from_vector(about * jnp.where(tilted, jnp.deg2rad(degrees), 0.0))
    # Not a matrix product: on TPU it would round the clean camera.
    axes = rotations.rotate(jnp.tile(tilt, (3, 1)), camera.rotation.T)
    return Camera(position=camera.position, rotation=axes.T, fovy=camera.fovy)


def _signed(asked: tuple[Array, Array, Array]) -> Array:
    """An angle in rad, to either side, 0 where it does not act."""
    acts, degrees, draws = asked
    sign = jnp.where(draws[1] < 0.5, 1.0, -1.0)
    return jnp.where(acts, sign * jnp.deg2rad(degrees), 0.0)


def lighting(ask: Ask) -> tuple[Lights, Array]:
    """(the lights, ambient colour [3])."""
    tinted, strength, draws = ask("light", "colour")
    # The largest |ln gain| is the band's amount; signs and the other channels are drawn.
    tint = 2.0 * draws[1:4] - 1.0
    tint = tint / jnp.max(jnp.abs(tint))
    gain = jnp.exp(jnp.where(tinted, strength, 0.0) * tint)

    moved, degrees, draws = ask("light", "direction")
    direction = jnp.asarray(LIGHT_DIRECTION / np.linalg.norm(LIGHT_DIRECTION))
    heading = 2.0 * jnp.pi * draws[1]
    sideways = jnp.cross(direction, jnp.stack([jnp.cos(heading), jnp.sin(heading), 0.0]))
    axis = sideways / jnp.linalg.norm(sideways)
    angle = jnp.where(moved, jnp.deg2rad(degrees), 0.0)
    direction = rotations.rotate(rotations.from_vector(axis * angle), direction)

    shiny, intensity, _ = ask("light", "specular")
    faded, share, _ = ask("light", "shadows")
    share = jnp.where(faded, share, 0.0)
    counted, number, draws = ask("light", "count")
    number = jnp.where(counted, number, 0.0)

    # The first lamp's place serves for the light without shadow.
    first = jnp.arange(LAMPS) == 0
    fills = faded & first
    shares = jnp.concatenate([(1.0 - share)[None], jnp.where(fills, share, LAMP_SHARE)])
    lamps = jnp.where(fills[:, None], direction, _lamp_directions(draws))
    colours = shares[:, None] * gain
    lights = Lights(
        kind=jnp.full(1 + LAMPS, DIRECTIONAL, jnp.int32),
        position=jnp.zeros((1 + LAMPS, 3)),
        direction=jnp.concatenate([direction[None], lamps]),
        diffuse=LIGHT_COLOUR * colours,
        specular=jnp.where(shiny, intensity, LIGHT_SPECULAR) * colours,
        active=jnp.concatenate([jnp.ones(1, bool), fills | (jnp.arange(LAMPS) < number)]),
        shadow=jnp.arange(1 + LAMPS) == 0,
    )
    return lights, AMBIENT * gain


def _lamp_directions(draws: Array) -> Array:
    """[LAMPS, 3], from lamps above the horizon into the scene."""
    low, high = LAMP_HEIGHT
    height = jnp.deg2rad(low + (high - low) * draws[1 : 1 + LAMPS])
    heading = 2.0 * jnp.pi * draws[1 + LAMPS : 1 + 2 * LAMPS]
    flat = jnp.cos(height)
    return jnp.stack([flat * jnp.cos(heading), flat * jnp.sin(heading), -jnp.sin(height)], axis=1)


def background(ask: Ask, wall: tuple[Family, ...]) -> tuple[Array, Array, Array]:
    """(colours [S, 3], texture families int32 [S], textures [S, 4]) of SURFACES.

    Args:
        ask: which sub-axes act.
        wall: families of the wall sub-axis.
    """
    count = len(SURFACES)
    tinted, distance, draws = ask("background", "tint")
    direction = 2.0 * draws[1 : 1 + 3 * count].reshape(count, 3) - 1.0
    direction = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    rgb = jnp.asarray(COLOURS) + jnp.where(tinted, distance, 0.0) * direction

    walled, contrast, draws = ask("background", "wall")
    way = 2.0 * draws[13:16] - 1.0
    way = way / jnp.linalg.norm(way)
    is_wall = jnp.arange(count) == WALL
    rgb = rgb + jnp.where(walled & is_wall, WALL_TINT * contrast, 0.0)[:, None] * way

    # Family 0 is the clean, flat one; the last that acts on a surface wins.
    family, texture = jnp.zeros(count, jnp.int32), jnp.zeros((count, 4))
    for sub_axis, families, where in (
        ("texture_seen", SEEN, jnp.ones(count, bool)),
        ("texture_unseen", UNSEEN, jnp.ones(count, bool)),
        ("wall", wall, is_wall),
    ):
        acts, contrast, draws = ask("background", sub_axis)
        pick, zoom, phase, warp = draws[1 : 1 + 4 * count].reshape(4, count)
        numbers = jnp.array([FAMILIES.index(name) for name in families], jnp.int32)
        chosen = numbers[jnp.floor(pick * len(families)).astype(jnp.int32)]
        scale = SCALES[0] * (SCALES[1] / SCALES[0]) ** zoom
        drawn = jnp.stack([scale, jnp.full(count, contrast), phase, warp], axis=1)
        family = jnp.where(acts & where, chosen, family)
        texture = jnp.where((acts & where)[:, None], drawn, texture)
    return jnp.clip(rgb, 0.02, 0.98), family, texture


def materials(ask: Ask) -> tuple[Array, Array]:
    """(specular shares [S], Blinn-Phong exponents [S]) of SURFACES; only the table's change."""
    glossy, amount, draws = ask("background", "material")
    low, high = GLOSS_WIDTHS
    acts = glossy & (jnp.arange(len(SURFACES)) == TABLE)
    exponent = low * (high / low) ** draws[1]
    return jnp.where(acts, amount, GLOSS), jnp.where(acts, exponent, SHININESS)


def sensor_noise(ask: Ask) -> tuple[Array, Array]:
    """(index into CORRUPTIONS, strength) of the noise axis; (0, 1) without noise."""
    kind, strength = jnp.int32(0), jnp.float32(1.0)
    for number, name in enumerate(CORRUPTIONS[1:], start=1):
        acts, amount, _ = ask("noise", name)
        kind = jnp.where(acts, number, kind)
        strength = jnp.where(acts, amount, strength)
    return kind, strength
