"""From the state of a world to pictures: geom poses, looks, cameras, the ray caster, the noise."""

import functools
from typing import Literal, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, Int32, UInt8, typed
from wamjax.sim import instructions, panda, rotations, scene
from wamjax.sim.corruptions import CORRUPTIONS, Corruption, corrupt
from wamjax.sim.kinematics import link_frames
from wamjax.sim.perturbations import SURFACES
from wamjax.sim.render.picture import render, to_uint8
from wamjax.sim.render.scene import Camera, Materials, Scene
from wamjax.sim.setting import Setting
from wamjax.sim.variants import AXES, Variant, find_axis

CameraName = Literal["primary", "wrist"]
CASTERS = ("link5", "link6", "link7", "hand", "finger_left", "finger_right", "cube_a", "cube_b")
"""The solids that cast shadows; the others stand outside the light's way to the workspace."""
CLEAN_BACKGROUND = (0.55, 0.6, 0.65)


@flax.struct.dataclass
class Drawn:
    """Constants of the drawn geoms, in the order of `scene.places().drawn`, G of them."""

    kinds: tuple[int, ...] = flax.struct.field(pytree_node=False)
    casters: tuple[int, ...] = flax.struct.field(pytree_node=False)
    body: np.ndarray
    offset: np.ndarray
    turn: np.ndarray
    size: np.ndarray
    rgb: np.ndarray


@functools.cache
def drawn_geoms() -> Drawn:
    """Read once from the MuJoCo model."""
    model, chosen = scene.build_model(), scene.places().drawn
    names = [model.geom(int(index)).name for index in chosen]
    return Drawn(
        kinds=tuple(int(model.geom_type[index]) for index in chosen),
        casters=tuple(names.index(name) for name in CASTERS),
        body=model.geom_bodyid[chosen],
        offset=model.geom_pos[chosen].astype(np.float32),
        turn=model.geom_quat[chosen].astype(np.float32),
        size=model.geom_size[chosen].astype(np.float32),
        rgb=model.geom_rgba[chosen, :3].astype(np.float32),
    )


@functools.cache
def _rows() -> dict[str, int]:
    """Geom name -> its row among the drawn."""
    model = scene.build_model()
    return {model.geom(int(g)).name: row for row, g in enumerate(scene.places().drawn)}


@typed
def body_poses(
    position: Float[Array, "23"], mocap: Float[Array, "6 3"]
) -> tuple[Float[Array, "20 3"], Float[Array, "20 4"]]:
    """Places (m) and turns of all bodies in the base frame, by MuJoCo's body index.

    Args:
        position: MuJoCo's qpos.
        mocap: places of the spot and the props.
    """
    where, model = scene.places(), scene.build_model()
    origins, turns, _ = link_frames(position[where.arm])
    none = jnp.array([1.0, 0.0, 0.0, 0.0])
    hand_turn = rotations.multiply(turns[-1], jnp.asarray(panda.HAND_QUATERNION))
    hand = origins[-1] + rotations.rotate(turns[-1], jnp.asarray(panda.HAND_OFFSET))
    half_turn = rotations.multiply(hand_turn, jnp.array([0.0, 0.0, 0.0, 1.0]))
    places = jnp.zeros((model.nbody, 3))
    quaternions = jnp.tile(none, (model.nbody, 1))

    def index(name: str) -> int:
        return int(model.body(name).id)

    links = np.array([index(f"link{i + 1}") for i in range(panda.ARM_JOINTS)])
    places = places.at[links].set(origins).at[index("hand")].set(hand)
    quaternions = quaternions.at[links].set(turns).at[index("hand")].set(hand_turn)
    for side, turn, slide in zip(("left", "right"), (hand_turn, half_turn), where.fingers):
        offset = jnp.asarray(panda.FINGER_OFFSET) + jnp.array([0.0, 1.0, 0.0]) * position[slide]
        finger = index(f"finger_{side}")
        places = places.at[finger].set(hand + rotations.rotate(turn, offset))
        quaternions = quaternions.at[finger].set(turn)
    for name, address in zip(scene.CUBES, where.cubes):
        places = places.at[index(name)].set(position[address : address + 3])
        quaternions = quaternions.at[index(name)].set(position[address + 3 : address + 7])
    moved = np.array([index(name) for name in ("spot", *scene.PROPS)])
    return places.at[moved].set(mocap), quaternions


def build_scene(position: Array, setting: Setting, spot: bool) -> Scene:
    """One world for the ray caster.

    Args:
        position: MuJoCo's qpos, float32 [23].
        setting: the world's constants.
        spot: whether the marked spot is shown.
    """
    drawn, rows = drawn_geoms(), _rows()
    mocap = jnp.concatenate([jnp.append(setting.layout.spot, 0.001)[None], setting.props])
    places, turns = body_poses(position, mocap)
    place, turn = places[drawn.body], turns[drawn.body]
    geom_turn = rotations.multiply(turn, jnp.asarray(drawn.turn))

    colours = jnp.array([rgb for _, rgb in instructions.COLOURS])
    cubes = np.array([rows[name] for name in scene.CUBES])
    behind = np.array([rows[name] for name in SURFACES])
    props = np.array([rows[name] for name in scene.PROPS])
    count, look = len(drawn.kinds), setting.look
    rgb = jnp.asarray(drawn.rgb).at[cubes].set(colours[setting.colours]).at[behind].set(look.rgb)
    visible = jnp.ones(count, bool).at[props].set(setting.props_shown)
    materials = Materials(
        rgb=rgb,
        family=jnp.zeros(count, jnp.int32).at[behind].set(look.family),
        texture=jnp.zeros((count, 4)).at[behind].set(look.texture),
        specular=jnp.full(count, 0.15),
        shininess=jnp.full(count, 16.0),
        visible=visible.at[rows["spot"]].set(spot),
    )
    return Scene(
        position=place + rotations.rotate(turn, jnp.asarray(drawn.offset)),
        rotation=rotations.to_matrix(geom_turn),
        size=jnp.asarray(drawn.size),
        materials=materials,
        lights=look.lights,
        ambient=look.ambient,
        background=jnp.array(CLEAN_BACKGROUND),
    )


def wrist_camera(position: Array) -> Camera:
    """The camera on the hand; no axis moves it."""
    model = scene.build_model()
    camera = model.camera("wrist")
    places, turns = body_poses(position, jnp.zeros((1 + len(scene.PROPS), 3)))
    hand, turn = places[scene.places().hand], turns[scene.places().hand]
    own = rotations.multiply(turn, jnp.asarray(camera.quat, jnp.float32))
    return Camera(
        position=hand + rotations.rotate(turn, jnp.asarray(camera.pos, jnp.float32)),
        rotation=rotations.to_matrix(own),
        fovy=jnp.asarray(scene.WRIST_FOVY),
    )


@typed
def frames(
    position: Float[Array, "23"],
    setting: Setting,
    tick: Int32[Array, ""],
    spot: bool,
    cameras: tuple[CameraName, ...],
    size: int,
) -> UInt8[Array, "V H W 3"]:
    """Square pictures of one world, `size` pixels wide, with the variant's sensor noise.

    Args:
        position: MuJoCo's qpos.
        setting: the world's constants.
        tick: control ticks since reset; noise differs from frame to frame.
        spot: whether the marked spot is shown.
        cameras: which cameras, static.
        size: H = W, static.
    """
    drawn = drawn_geoms()
    world = build_scene(position, setting, spot)
    poses = {"primary": setting.look.camera, "wrist": wrist_camera(position)}
    chosen = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(poses[name] for name in cameras))

    def draw(camera: Camera) -> Array:
        return render(drawn.kinds, world, camera, size, size, casters=drawn.casters).rgb

    kind, severity = noise_of(setting.variant)
    key = jax.random.fold_in(jax.random.PRNGKey(setting.variant.seed), tick)
    return to_uint8(_spoiled(jax.vmap(draw)(chosen), kind, severity, key))


def noise_of(variant: Variant) -> tuple[Array, Array]:
    """(index into CORRUPTIONS, severity) of the noise axis; 0 for worlds of other axes."""
    kinds = jnp.array([CORRUPTIONS.index(cast(Corruption, sub.name)) for sub in AXES["noise"]])
    sub_axis = jnp.clip(jnp.asarray(variant.sub_axis), 0, len(AXES["noise"]) - 1)
    noisy = variant.axis == find_axis("noise")
    return jnp.where(noisy, kinds[sub_axis], 0), jnp.asarray(variant.severity)


def _spoil_all(rgb: Array, kind: Array, severity: Array, key: Array) -> Array:
    """All views [V, H, W, 3] of one world through `corrupt`, each with its own draws."""
    keys = jax.vmap(lambda view: jax.random.fold_in(key, view))(jnp.arange(rgb.shape[0]))
    return jax.vmap(lambda picture, draw: corrupt(picture, kind, severity, draw))(rgb, keys)


@jax.custom_batching.custom_vmap
def _spoiled(rgb: Array, kind: Array, severity: Array, key: Array) -> Array:
    return jax.lax.cond(kind != 0, lambda: _spoil_all(rgb, kind, severity, key), lambda: rgb)


@_spoiled.def_vmap
def _spoiled_in_batch(axis_size: int, in_batched: list[bool], *args: Array) -> tuple[Array, bool]:
    """A batch without a noisy world (demonstrations, training) does not pay for the noise."""
    rgb, kind, severity, key = (
        arg if batched else jnp.broadcast_to(arg, (axis_size, *arg.shape))
        for arg, batched in zip(args, in_batched, strict=True)
    )
    spoiled = jax.lax.cond(
        jnp.any(kind != 0),
        lambda: jax.vmap(_spoil_all)(rgb, kind, severity, key),
        lambda: rgb,
    )
    return spoiled, True
