"""From the state of a world to pictures: geom poses, looks, cameras, the ray caster, the noise."""

import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.typing import Array, Float, Int32, UInt8, typed
from wamjax.sim import instructions, rotations, scene
from wamjax.sim.corruptions import corrupt
from wamjax.sim.fixtures import FIXTURES
from wamjax.sim.kinematics import link_frames
from wamjax.sim.perturbations import GLOSS, SHININESS, SURFACES
from wamjax.sim.render.from_mujoco import MESH
from wamjax.sim.render.mesh import Mesh
from wamjax.sim.render.picture import render, to_uint8
from wamjax.sim.render.scene import Camera, Materials, Scene
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.scene import SceneSpec
from wamjax.sim.setting import Setting
from wamjax.sim.skins import Skin
from wamjax.sim.tasks.record import Layout

CLEAN_BACKGROUND = (0.55, 0.6, 0.65)


@flax.struct.dataclass
class Drawn:
    """Constants of the drawn geoms, G of them: those of the model, then the parts of a skin.

    Attributes:
        kinds: of each geom, static.
        casters: rows of the solids that cast shadows; the others stand outside the light's way to
            the workspace.
        body: MuJoCo's body of each.
        offset: m, in the body's frame.
        turn: quaternion in the body's frame.
        size: m, half sizes.
        rgb: 0..1.
        rows: geom name -> row, of the model's geoms.
        tinted: (rows, indices into the palette).
        meshes: of the parts of a skin.
    """

    kinds: tuple[int, ...] = flax.struct.field(pytree_node=False)
    casters: tuple[int, ...] = flax.struct.field(pytree_node=False)
    body: np.ndarray
    offset: np.ndarray
    turn: np.ndarray
    size: np.ndarray
    rgb: np.ndarray
    rows: dict[str, int] = flax.struct.field(pytree_node=False)
    tinted: tuple[np.ndarray, np.ndarray]
    meshes: tuple[Mesh, ...]


@functools.cache
def drawn_geoms(spec: SceneSpec, skin: Skin | None = None) -> Drawn:
    """Read once from the MuJoCo model; the parts of a skin are drawn instead of its bodies' geoms.

    A part casts shadows where a geom of its body would.
    """
    model, where = scene.build_model(spec), scene.places(spec)
    parts = np.array([model.body(name).id for name in skin.bodies] if skin else [], int)
    chosen = where.drawn[~np.isin(model.geom_bodyid[where.drawn], parts)]
    names = [model.geom(int(index)).name for index in chosen]
    solids = scene.BLOCK_NAMES[: len(spec.blocks)]
    fixed = {int(model.body(kind).id) for kind in spec.fixtures}
    fixed |= {int(model.body(name).id) for kind in spec.fixtures for name in FIXTURES[kind].drawers}
    casting = {*find_robot(spec.robot).casters, *solids}
    casters = [
        row
        for row, name in enumerate(names)
        if name in casting or int(model.geom_bodyid[chosen[row]]) in fixed
    ]
    dark = {int(model.geom(name).bodyid[0]) for name in casting}
    casters += [len(names) + place for place, body in enumerate(parts) if int(body) in dark]
    still = np.tile(np.array([0, 0, 0, 1, 0, 0, 0]), (len(parts), 1))
    offset = np.concatenate([model.geom_pos[chosen], still[:, :3]])
    rows = {name: row for row, name in enumerate(names)}
    tinted, numbers = where.tinted
    return Drawn(
        kinds=(*(int(model.geom_type[index]) for index in chosen), *[MESH] * len(parts)),
        casters=tuple(casters),
        body=np.concatenate([model.geom_bodyid[chosen], parts]),
        offset=offset.astype(np.float32),
        turn=np.concatenate([model.geom_quat[chosen], still[:, 3:]]).astype(np.float32),
        size=np.concatenate([model.geom_size[chosen], 0 * still[:, :3]]).astype(np.float32),
        rgb=np.concatenate(
            [model.geom_rgba[chosen, :3], skin.rgb if skin else np.zeros((0, 3))]
        ).astype(np.float32),
        rows=rows,
        tinted=(
            np.array([rows[model.geom(int(where.drawn[row])).name] for row in tinted], int),
            numbers,
        ),
        meshes=skin.meshes if skin else (),
    )


@typed
def body_poses(
    spec: SceneSpec, position: Float[Array, "q"], layout: Layout, props: Float[Array, "D 3"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n 4"]]:
    """Places (m) and turns of all bodies in the world, by MuJoCo's body index.

    Args:
        spec: what is on the table.
        position: MuJoCo's qpos.
        layout: where marks and fixtures are.
        props: where the distractors are.
    """
    where, model, robot = scene.places(spec), scene.build_model(spec), find_robot(spec.robot)
    places = jnp.asarray(model.body_pos, jnp.float32)
    turns = jnp.asarray(model.body_quat, jnp.float32)

    def put(name: str, place: Array, turn: Array | None = None) -> None:
        nonlocal places, turns
        body = int(model.body(name).id)
        places = places.at[body].set(place)
        if turn is not None:
            turns = turns.at[body].set(turn)

    for index, arm in enumerate(robot.arms):
        origins, spins, _ = link_frames(arm, position[where.arms[index]])
        links = np.array([int(model.body(name).id) for name in arm.links])
        places, turns = places.at[links].set(origins), turns.at[links].set(spins)
        grip = arm.gripper
        hand = origins[-1] + rotations.rotate(spins[-1], jnp.asarray(grip.hand_offset))
        hand_turn = rotations.multiply(spins[-1], jnp.asarray(grip.hand_turn))
        put(grip.body, hand, hand_turn)
        for side, name in enumerate(grip.joints):
            turn = rotations.multiply(hand_turn, jnp.asarray(grip.turns[side]))
            finger = hand + rotations.rotate(hand_turn, jnp.asarray(grip.offsets[side]))
            slide = jnp.asarray(grip.axes[side]) * position[where.fingers[index][side]]
            put(name, finger + rotations.rotate(turn, slide), turn)
    for name, address in zip(scene.BLOCK_NAMES, where.blocks):
        put(name, position[address : address + 3], position[address + 3 : address + 7])
    for index, mark in enumerate(spec.marks):
        put(mark.name, jnp.append(layout.marks[index], 0.001))
    slide = 0
    for index, kind in enumerate(spec.fixtures):
        fixture = FIXTURES[kind]
        base = jnp.append(layout.fixtures[index, :2], fixture.height)
        turn = rotations.about_z(layout.fixtures[index, 2])
        put(kind, base, turn)
        for name, offset in zip(fixture.drawers, fixture.offsets, strict=True):
            out = jnp.asarray(offset) - jnp.array([1.0, 0.0, 0.0]) * position[where.slides[slide]]
            put(name, base + rotations.rotate(turn, out), turn)
            slide += 1
    for index in range(spec.props):
        put(scene.PROPS[index], props[index])
    return places, turns


def build_scene(
    spec: SceneSpec, position: Array, setting: Setting, skin: Skin | None = None
) -> Scene:
    """One world for the ray caster.

    Args:
        spec: what is on the table.
        position: MuJoCo's qpos, float32 [q].
        setting: the world's constants.
        skin: what the robot looks like, if not like the model's primitives.
    """
    drawn, look = drawn_geoms(spec, skin), setting.look
    places, turns = body_poses(spec, position, setting.layout, setting.props)
    place, turn = places[drawn.body], turns[drawn.body]
    geom_turn = rotations.multiply(turn, jnp.asarray(drawn.turn))

    colours = jnp.array([rgb for _, rgb in instructions.COLOURS])
    tinted, numbers = drawn.tinted
    behind = np.array([drawn.rows[name] for name in SURFACES])
    props = np.array([drawn.rows[name] for name in scene.PROPS[: spec.props]], int)
    count = len(drawn.kinds)
    rgb = jnp.asarray(drawn.rgb).at[tinted].set(colours[setting.palette[numbers]])
    materials = Materials(
        rgb=rgb.at[behind].set(look.rgb),
        family=jnp.zeros(count, jnp.int32).at[behind].set(look.family),
        texture=jnp.zeros((count, 4)).at[behind].set(look.texture),
        specular=jnp.full(count, GLOSS).at[behind].set(look.specular),
        shininess=jnp.full(count, SHININESS).at[behind].set(look.shininess),
        visible=jnp.ones(count, bool).at[props].set(setting.props_shown),
    )
    centre = place + rotations.rotate(turn, jnp.asarray(drawn.offset))
    return Scene(
        position=centre.at[behind].add(jnp.append(setting.ground, 0.0)),
        rotation=rotations.to_matrix(geom_turn),
        size=jnp.asarray(drawn.size),
        materials=materials,
        lights=look.lights,
        ambient=look.ambient,
        background=jnp.array(CLEAN_BACKGROUND),
        meshes=drawn.meshes,
    )


def wrist_camera(spec: SceneSpec, name: str, places: Array, turns: Array) -> Camera:
    """A camera on a hand; no axis moves it.

    Args:
        spec: what is on the table.
        name: of the camera in the model.
        places: of all bodies, from `body_poses`.
        turns: likewise.
    """
    model = scene.build_model(spec)
    camera = model.camera(name)
    hand, turn = places[int(camera.bodyid[0])], turns[int(camera.bodyid[0])]
    own = rotations.multiply(turn, jnp.asarray(camera.quat, jnp.float32))
    return Camera(
        position=hand + rotations.rotate(turn, jnp.asarray(camera.pos, jnp.float32)),
        rotation=rotations.to_matrix(own),
        fovy=jnp.asarray(find_robot(spec.robot).wrist_fovy),
    )


@typed
def frames(
    spec: SceneSpec,
    position: Float[Array, "q"],
    setting: Setting,
    tick: Int32[Array, ""],
    cameras: tuple[str, ...],
    size: int,
    skin: Skin | None = None,
) -> UInt8[Array, "V H W 3"]:
    """Square pictures of one world, `size` pixels wide, with the variant's sensor noise.

    Args:
        spec: what is on the table, static.
        position: MuJoCo's qpos.
        setting: the world's constants.
        tick: control ticks since reset; noise differs from frame to frame.
        cameras: which cameras, static.
        size: H = W, static.
        skin: what the robot looks like, if not like the model's primitives, static.
    """
    drawn = drawn_geoms(spec, skin)
    world = build_scene(spec, position, setting, skin)
    places, turns = body_poses(spec, position, setting.layout, setting.props)
    poses = [
        setting.look.camera if name == "primary" else wrist_camera(spec, name, places, turns)
        for name in cameras
    ]
    chosen = jax.tree.map(lambda *leaves: jnp.stack(leaves), *poses)

    def draw(camera: Camera) -> Array:
        return render(drawn.kinds, world, camera, size, size, casters=drawn.casters).rgb

    key = jax.random.fold_in(jax.random.PRNGKey(setting.variant.seed), tick)
    look = setting.look
    return to_uint8(_spoiled(jax.vmap(draw)(chosen), look.noise, look.strength, key))


def _spoil_all(rgb: Array, kind: Array, strength: Array, key: Array) -> Array:
    """All views [V, H, W, 3] of one world through `corrupt`, each with its own draws."""
    keys = jax.vmap(lambda view: jax.random.fold_in(key, view))(jnp.arange(rgb.shape[0]))
    return jax.vmap(lambda picture, draw: corrupt(picture, kind, strength, draw))(rgb, keys)


@jax.custom_batching.custom_vmap
def _spoiled(rgb: Array, kind: Array, strength: Array, key: Array) -> Array:
    return jax.lax.cond(kind != 0, lambda: _spoil_all(rgb, kind, strength, key), lambda: rgb)


@_spoiled.def_vmap
def _spoiled_in_batch(axis_size: int, in_batched: list[bool], *args: Array) -> tuple[Array, bool]:
    """A batch without a noisy world (demonstrations, training) does not pay for the noise."""
    rgb, kind, strength, key = (
        arg if batched else jnp.broadcast_to(arg, (axis_size, *arg.shape))
        for arg, batched in zip(args, in_batched, strict=True)
    )
    spoiled = jax.lax.cond(
        jnp.any(kind != 0),
        lambda: jax.vmap(_spoil_all)(rgb, kind, strength, key),
        lambda: rgb,
    )
    return spoiled, True
