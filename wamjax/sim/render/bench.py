"""How fast the ray caster draws: worlds on a table, drawn several times within one program.

A call draws FRAMES pictures of every world and camera one after the other, as a rollout does (the
camera moves a little each time), so what a program pays once per call is spread as it is there.
Before anything is timed, the pictures are checked against C MuJoCo's rays. The programs take turns
of TURN_SECONDS or one call, if that is longer; a time is the median over the turns, with the
fastest and the slowest beside it.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from wamjax.core.typing import Array
from wamjax.sim.render.camera import look_at, pixel_rays
from wamjax.sim.render.from_mujoco import from_mujoco
from wamjax.sim.render.picture import render, to_uint8
from wamjax.sim.render.scene import Camera, GeomKind, Scene
from wamjax.sim.render.vector import Vector

FRAMES = 8
TURN_SECONDS = 0.1
SOLIDS = ("capsule", "box", "cylinder", "capsule", "sphere", "box", "ellipsoid")
"""The kinds of the things on the table, in turns: two in seven are capsules, two are boxes."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What is drawn.

    Attributes:
        size: H = W, pixels.
        worlds: how many at once.
        geoms: per world, a floor and a table among them.
        cameras: per world.
        shadows: whether the one light casts hard shadows.
    """

    size: int
    worlds: int
    geoms: int
    cameras: int
    shadows: bool

    @property
    def frames(self) -> int:
        """Pictures per call."""
        return FRAMES * self.worlds * self.cameras


@dataclasses.dataclass(frozen=True)
class Timing:
    """What it took.

    Attributes:
        compile_seconds: tracing and compiling, nothing taken from the compile cache.
        warmup_seconds: the first call after that.
        milliseconds: per picture, the median over the turns.
        fastest: the same of the fastest turn.
        slowest: the same of the slowest turn.
        agreement: the share of pixels that show the geom which C MuJoCo's rays hit.
    """

    compile_seconds: float
    warmup_seconds: float
    milliseconds: float
    fastest: float
    slowest: float
    agreement: float


def table_model(geoms: int, seed: int) -> mujoco.MjModel:
    """A floor, a table and `geoms` - 2 solids above it; MuJoCo draws it with a small shadow map.

    Args:
        geoms: at least 3.
        seed: places, turns, sizes and colours.
    """
    draw = np.random.RandomState(seed)
    spec = mujoco.MjSpec()
    spec.visual.headlight.active = 0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 1024
    spec.stat.extent, spec.stat.center = 1.0, np.zeros(3)
    world = spec.worldbody
    plane, box = mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_BOX
    world.add_geom(type=plane, pos=[0, 0, -0.75], size=[0, 0, 0.5], rgba=[0.35, 0.35, 0.4, 1])
    world.add_geom(type=box, pos=[0, 0, -0.025], size=[0.6, 0.65, 0.025], rgba=[0.6, 0.5, 0.4, 1])
    for index in range(geoms - 2):
        quaternion = draw.normal(size=4)
        world.add_geom(
            type=getattr(mujoco.mjtGeom, f"mjGEOM_{SOLIDS[index % len(SOLIDS)].upper()}"),
            pos=draw.uniform((-0.4, -0.4, 0.0), (0.4, 0.4, 0.5)),
            quat=quaternion / np.linalg.norm(quaternion),
            size=draw.uniform(0.03, 0.08, 3),
            rgba=np.append(draw.uniform(0.2, 0.9, 3), 1.0),
        )
    directional = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    world.add_light(
        type=directional, pos=[0, 0, 2], dir=[-0.35, 0.25, -0.9], ambient=[0.3] * 3, castshadow=True
    )
    eye = look_at(jnp.array([1.05, 0.16, 0.6]), jnp.array([0.0, 0.0, 0.1]), 45.0)
    turn = np.zeros(4)
    mujoco.mju_mat2Quat(turn, np.asarray(eye.rotation, np.float64).ravel())
    world.add_camera(pos=np.asarray(eye.position, np.float64), quat=turn, fovy=45.0)
    return spec.compile()


def table_worlds(case: Case) -> tuple[tuple[GeomKind, ...], Scene, Camera]:
    """(kinds, scenes [E], cameras [E, V]); the worlds differ by seed, the cameras by height."""
    kinds: tuple[GeomKind, ...] = ()
    scenes, cameras = [], []
    for seed in range(case.worlds):
        model = table_model(case.geoms, seed)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        kinds, scene, camera = from_mujoco(model, data)
        views = [_raised(camera, 0.05 * view) for view in range(case.cameras)]
        scenes.append(scene)
        cameras.append(jax.tree.map(lambda *leaves: jnp.stack(leaves), *views))
    stack = lambda *leaves: jnp.stack(leaves)  # noqa: E731
    return kinds, jax.tree.map(stack, *scenes), jax.tree.map(stack, *cameras)


def _raised(camera: Camera, metres: Array | float) -> Camera:
    return camera.replace(position=camera.position + metres * jnp.array([0.0, 0.0, 1.0]))


def program(case: Case, kinds: tuple[GeomKind, ...]) -> Callable[[Scene, Camera], Array]:
    """(scenes [E], cameras [E, V]) -> uint8 [FRAMES, E, V, H, W, 3]."""

    def draw(scene: Scene, camera: Camera) -> Array:
        image = render(kinds, scene, camera, case.size, case.size, shadows=int(case.shadows))
        return to_uint8(image.rgb)

    each = jax.vmap(jax.vmap(draw, in_axes=(None, 0)))

    def pictures(scenes: Scene, cameras: Camera) -> Array:
        def step(height: Array, _: None) -> tuple[Array, Array]:
            return height + 0.01, each(scenes, _raised(cameras, height))

        return jax.lax.scan(step, jnp.zeros(()), None, FRAMES)[1]

    return pictures


def agreement(case: Case, kinds: tuple[GeomKind, ...], scene: Scene, camera: Camera) -> float:
    """The share of pixels of world 0 whose geom is the one that C MuJoCo's ray hits."""
    model = table_model(case.geoms, 0)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    def ours(scene: Scene, camera: Camera) -> tuple[Array, Vector]:
        image = render(kinds, scene, camera, case.size, case.size, shadows=0)
        return image.geom.ravel(), pixel_rays(camera, case.size, case.size)[0]

    geom, rays = jax.jit(ours)(scene, camera)
    count = case.size**2
    hit, distance = np.zeros(count, np.int32), np.zeros(count)
    directions = np.stack([np.asarray(axis, np.float64) for axis in rays], axis=-1)
    mujoco.mj_multiRay(
        model,
        data,
        np.asarray(camera.position, np.float64),
        directions.ravel(),
        None,
        True,
        -1,
        hit,
        distance,
        None,
        count,
        mujoco.mjMAXVAL,
    )
    return float((hit == np.asarray(geom)).mean())


def measure(
    cases: Sequence[Case], repeats: int, advance: Callable[[str], None] = lambda note: None
) -> list[Timing]:
    """Compile, check and time every case, in turns.

    Args:
        cases: what is drawn.
        repeats: turns of each case.
        advance: called with a note after each compilation and each round of turns.

    Raises:
        RuntimeError: a picture is wrong; nothing was timed.
    """
    programs, first = [], []
    for case in cases:
        kinds, scenes, cameras = table_worlds(case)
        begun = time.perf_counter()
        compiled = jax.jit(program(case, kinds)).lower(scenes, cameras).compile()
        compile_seconds = time.perf_counter() - begun
        begun = time.perf_counter()
        pictures = jax.block_until_ready(compiled(scenes, cameras))
        warmup_seconds = time.perf_counter() - begun
        one = (
            jax.tree.map(lambda leaf: leaf[0], scenes),
            jax.tree.map(lambda leaf: leaf[0, 0], cameras),
        )
        share = agreement(case, kinds, *one)
        if share < 0.995 or np.asarray(pictures).std() < 10:
            raise RuntimeError(f"wrong picture of {case}: {share:.4f} of the geoms are MuJoCo's")
        begun = time.perf_counter()
        jax.block_until_ready(compiled(scenes, cameras))
        calls = math.ceil(TURN_SECONDS / (time.perf_counter() - begun))
        programs.append((compiled, scenes, cameras, calls))
        first.append((compile_seconds, warmup_seconds, share))
        advance("compiled and checked")
    spent: list[list[float]] = [[] for _ in cases]
    for _ in range(repeats):
        for case, (compiled, scenes, cameras, calls), times in zip(
            cases, programs, spent, strict=True
        ):
            begun = time.perf_counter()
            for _ in range(calls):
                jax.block_until_ready(compiled(scenes, cameras))
            times.append(1e3 * (time.perf_counter() - begun) / calls / case.frames)
        advance("timed")
    return [
        Timing(compiling, warming, statistics.median(times), min(times), max(times), share)
        for (compiling, warming, share), times in zip(first, spent, strict=True)
    ]


def vector_rate(seconds: float = 0.5) -> float:
    """FLOP/s of chained multiply-adds on this device: the measured ceiling of vector units."""
    chains, links, numbers = 8, 64, 1 << 18

    @jax.jit
    def run(x: Array) -> Array:
        # Independent chains hide the latency of each multiply-add.
        values = [x + number for number in range(chains)]
        for _ in range(links):
            values = [value * x + 0.5 for value in values]
        return sum(values, jnp.zeros_like(x))

    x = jnp.linspace(-0.5, 0.5, numbers)
    jax.block_until_ready(run(x))
    best, begun = 0.0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        jax.block_until_ready(run(x))
        best = max(best, 2.0 * chains * links * numbers / (time.perf_counter() - start))
    return best
