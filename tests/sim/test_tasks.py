"""The tasks: experts solve them in every way they name, words decide the goal, things lie well."""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.ticks import OPEN, SHUT, Ticks, positions
from wamjax.core.keys import named_keys
from wamjax.core.runtime import once_jit
from wamjax.core.text import decode_text
from wamjax.sim import layouts, scene, setting
from wamjax.sim.demonstrations import expert_successes
from wamjax.sim.env import TabletopEnv
from wamjax.sim.fixtures import RIM, TRAY_HALF
from wamjax.sim.instructions import COLOURS
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.tasks.record import Layout, Situation, misread
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.variants import base_key, clean_variant, make_variant, perturbation_draws

EXPERTS, IDLE = 64, 16
EXPERT, STILL, CONFUSED = range(3)
ALL = tuple(TASKS)
NAMES = tuple(name for name, task in TASKS.items() if task.scene.robot == "panda")
"""Played here; `test_two_arms` plays the others."""
OPTIONS = tuple(name for name in NAMES if len(TASKS[name].wordings) > 1)
LEAST = {name: 0.85 if name == "stack3" else 0.95 for name in ALL}


class Played:
    """Clean worlds 0..63 by the expert, and the first sixteen by others: one who stays still, and
    an expert who mistakes the things for one another.

    Attributes:
        setting: constants of the worlds.
        first: situations at reset, [E, ...].
        then: situations after each tick, [E, T, ...].
        metrics: after each tick, [E, T].
        mistaken: metrics of who mistakes things, [16, T].
    """

    def __init__(self, name: str):
        env = TabletopEnv(name, physics="c", props=False)

        options = len(env.task.wordings)

        def one(seed, who):
            def tick(state, _):
                true = env.situation(state)
                seen = [true, misread(true, options)[0]]
                expert, confused = (env.task.expert(situation) for situation in seen)
                action = jnp.where(who == STILL, OPEN, jnp.where(who == EXPERT, expert, confused))
                after = env.step(state, action)
                return after, (env.situation(after), after.metrics)

            start = env.reset_variant(clean_variant(seed))
            _, history = jax.lax.scan(tick, start, None, length=env.horizon)
            return start.info["setting"], env.situation(start), history

        counts = {EXPERT: EXPERTS, STILL: IDLE, CONFUSED: IDLE}
        seeds = np.concatenate([np.arange(count) for count in counts.values()]).astype(np.int32)
        out = once_jit(jax.vmap(one))(seeds, np.repeat(list(counts), list(counts.values())))
        out = jax.device_get(out)
        self.mistaken = jax.tree.map(lambda leaf: leaf[-IDLE:], out[2][1])
        out = jax.tree.map(lambda leaf: leaf[:-IDLE], out)
        self.setting, self.first, (self.then, self.metrics) = out
        self.solved = self.metrics["success"][:, -1] > 0.5

    def text(self, world: int) -> str:
        return decode_text(self.setting.text[world])

    def colours(self, world: int) -> list[str]:
        return [COLOURS[index][0] for index in self.setting.palette[world]]


PLAYED: dict[str, Played] = {}


# Their grasps and places are those of the others.
@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow if name in ("place", "stack3", "sort") else ())
        for name in NAMES
    ]
)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def played(name: str) -> Played:
    if name not in PLAYED:
        PLAYED[name] = Played(name)
    return PLAYED[name]


def test_the_expert_solves_the_task_and_stillness_does_not(name: str, played: Played) -> None:
    solved = int(played.solved[:EXPERTS].sum())
    ticks = np.argmax(played.metrics["success"][:EXPERTS], axis=1) + 1
    print(f"{name}: {solved} of {EXPERTS}, after {np.median(ticks):.0f} ticks")
    assert solved >= LEAST[name] * EXPERTS
    assert not played.solved[EXPERTS:].any()
    assert not played.metrics["diverged"].any()
    # The horizon leaves half of the usual time again.
    assert np.median(ticks) * 1.5 < TASKS[name].horizon


@pytest.mark.slow
@pytest.mark.parametrize("task", ALL)
def test_the_expert_solves_five_hundred_worlds(task: str) -> None:
    env = TabletopEnv(task, physics="c", props=False)
    solved = int(expert_successes(env, 500).sum())
    print(f"{task}: {solved} of 500")
    assert solved >= LEAST[task] * 500


def flat(one: np.ndarray, other: np.ndarray) -> float:
    """Distance on the table, m."""
    return float(np.linalg.norm(one[:2] - other[:2]))


def _reach(text: str, colours: list[str], end: Situation) -> bool:
    gaps = [flat(end.tips.position[0], cube) for cube in end.blocks.position]
    return bool(gaps[colours.index(text.split()[-2])] < 0.035)


def _push(text: str, colours: list[str], end: Situation) -> bool:
    return "spot" in text and flat(end.blocks.position[0], end.marks[0]) < 0.05


def _lift(text: str, colours: list[str], end: Situation) -> bool:
    return bool(end.blocks.position[0, 2] > 0.12 and end.blocks.position[1, 2] < 0.03)


def _place(text: str, colours: list[str], end: Situation) -> bool:
    assert ("spot" in text) != ("tray" in text)
    goal, other = end.marks[0], end.fixtures[0]
    goal, other = (goal, other) if "spot" in text else (other, goal)
    cube = end.blocks.position[0]
    return flat(cube, goal) < 0.045 and flat(cube, other) > 0.2


def _stack(text: str, colours: list[str], end: Situation) -> bool:
    cubes = end.blocks.position
    pairs = itertools.pairwise(cubes)
    return all(abs(up[2] - low[2] - 0.05) < 0.012 and flat(up, low) < 0.025 for up, low in pairs)


def _drawer(text: str, colours: list[str], end: Situation) -> bool:
    asked = [word for word in text.split() if word in colours]
    assert len(asked) == 1
    which = colours.index(asked[0])
    return bool(end.slides[which] > 0.1 and end.slides[1 - which] < 0.01)


def _sort(text: str, colours: list[str], end: Situation) -> bool:
    crossed = any(word in text for word in ("each other's", "cross", "unlike"))
    zones = end.marks[::-1] if crossed else end.marks
    return all(flat(cube, zone) < 0.05 for cube, zone in zip(end.blocks.position, zones))


GOALS: dict[str, Callable[[str, list[str], Situation], bool]] = {
    "reach": _reach,
    "push": _push,
    "lift": _lift,
    "place": _place,
    "stack": _stack,
    "stack3": _stack,
    "drawer": _drawer,
    "sort": _sort,
}


def at(tree, *places):
    return jax.tree.map(lambda leaf: leaf[places], tree)


def test_what_the_words_ask_for_has_happened(name: str, played: Played) -> None:
    """Read from the instruction and the places alone, right when success is said."""
    task = TASKS[name]
    for world in np.flatnonzero(played.solved):
        end = at(played.then, world, int(np.argmax(played.metrics["success"][world])))
        text, colours = played.text(world), played.colours(world)
        assert GOALS[name](text, colours, end), f"world {world}: {text}"
        spoken = [word for word in text.split() if word in colours]
        if len(task.wordings) == 1:
            assert spoken == colours[: len(spoken)]
    options = played.setting.option[:EXPERTS]
    assert set(options.tolist()) == set(range(len(task.wordings)))


@pytest.mark.parametrize("name", OPTIONS, indirect=True)
def test_the_option_changes_the_goal(name: str, played: Played) -> None:
    """The state that solves one option does not solve the other."""
    task = TASKS[name]
    ends = [
        at(played.then, world, int(np.argmax(played.metrics["success"][world])))
        for world in np.flatnonzero(played.solved)
    ]
    ends = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ends)
    assert jax.vmap(task.solved)(ends).all()
    assert not jax.vmap(task.solved)(ends.replace(option=1 - ends.option)).any()


def fingers(turn: np.ndarray) -> np.ndarray:
    """Direction of the fingers' slides in the world, [..., 3], of a tip's quaternion."""
    w, x, y, z = np.moveaxis(turn, -1, 0)
    return np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=-1)


def _faces(played: Played, world: int, index: int) -> int:
    """0 when fingers are left and right of the cube as it leaves the table."""
    lifted = played.then.blocks.position[world, :, index, 2] > 0.04
    line = fingers(played.then.tips.turn[world, int(np.argmax(lifted)), 0])
    return int(abs(line[0]) > abs(line[1]))


def _came_from(played: Played, world: int, line: np.ndarray) -> int | None:
    """0 right and 1 left of a line through cube 0; None where the hand starts near the line."""
    start, cube = played.first.tips.position[world, 0], played.first.blocks.position[world, 0]
    offset = start - cube
    side = line[0] * offset[1] - line[1] * offset[0]
    return None if abs(side) < 0.02 else int(side > 0)


def _way(name: str, played: Played, world: int) -> int | None:
    """How the task was solved, from the path alone."""
    match name:
        case "reach":
            return _came_from(played, world, np.array([1.0, 0.0]))
        case "push":
            line = played.first.marks[world, 0] - played.first.blocks.position[world, 0, :2]
            return _came_from(played, world, line / np.linalg.norm(line))
        case "lift" | "place" | "stack":
            return _faces(played, world, 0)
        case "stack3":
            return _faces(played, world, 1)
        case "drawer":
            pulled = played.then.slides[world].max(axis=-1) > 0.02
            tick = int(np.argmax(pulled))
            hooked = played.then.openings[world, tick, 0] < 0.08
            across = fingers(played.then.tips.turn[world, tick, 0])
            assert hooked == (abs(across[1]) > abs(across[0]))
            return int(hooked)
        case "sort":
            raised = played.then.blocks.position[world, :, :, 2] > 0.05
            return int(np.argmax(raised.any(axis=0) * (len(raised) - np.argmax(raised, axis=0))))
    raise AssertionError(name)


def test_the_wrong_object_is_told_from_the_right_one(name, played) -> None:
    right, wrong = (metrics["other"][:, -1] > 0.5 for metrics in (played.metrics, played.mistaken))
    solved = played.mistaken["success"][:, -1] > 0.5
    print(f"{name}: mistaken in {wrong.mean():.2f}, solved by mistake {solved.mean():.2f}")
    assert not right.any()
    assert wrong.mean() >= 0.5
    assert not (wrong & solved).any()


def test_every_mode_is_taken_and_the_recorded_one_is_what_happened(name, played) -> None:
    modes = TASKS[name].modes
    assert len(set(modes)) == len(modes) == 2
    solved = np.flatnonzero(played.solved)
    told = played.metrics["mode"][:, -1].astype(int)
    counts = np.bincount(told[solved], minlength=2)
    print(f"{name}: {dict(zip(modes, counts.tolist()))}")
    assert counts.min() >= 8
    ways = {world: _way(name, played, world) for world in solved}
    sure = [world for world in solved if ways[world] is not None]
    right = np.mean([ways[world] == told[world] for world in sure])
    print(f"{name}: {len(sure)} sure, {right:.2f} as recorded")
    assert len(sure) > 30
    assert right == 1.0
    # Who stays still shows no way of solving it.
    assert (told[EXPERTS:] == -1).all()


SEEDS = 1000


@functools.cache
def sampler(name: str):
    """(kinds of variant, seeds [n]) -> layouts by the sampler and the axis layout alone."""
    region = find_robot(TASKS[name].scene.robot).region

    def one(kind, seed):
        variant = kind.replace(seed=seed)
        keys = named_keys(base_key(variant), "layout", "choices", "taste")
        layout, draws = TASKS[name].sample(keys["layout"]), perturbation_draws(variant)
        layout = layouts.jittered(layout, region, variant, draws)
        return layouts.moved(layout, region, variant, draws)

    return jax.jit(jax.vmap(one, in_axes=(None, 0)))


def sampled(name: str, sub_axis: str | None, severity: int) -> Layout:
    """Of 1,000 worlds, clean or moved by a sub-axis of layout."""
    kind = make_variant("layout" if sub_axis else None, sub_axis, severity, 0)
    return jax.device_get(sampler(name)(kind, np.arange(SEEDS, dtype=np.int32)))


def sides(name: str, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """(centres [n, K, 2] of circles that cover each block, their radius [K]), K circles in all."""
    centres, radii, owners = [], [], []
    for index, block in enumerate(TASKS[name].scene.blocks):
        along, across = block.half[:2]
        place, yaw = layout.blocks[:, index, :2], layout.blocks[:, index, 2]
        heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        reach = along - across
        for share in np.linspace(-1, 1, 2 * round(reach / across) + 1):
            centres.append(place + share * reach * heading)
            radii.append(across)
            owners.append(index)
    return np.stack(centres, axis=1), np.array([radii, owners])


@pytest.mark.parametrize("task", ALL)
def test_things_lie_apart_and_in_reach(task: str) -> None:
    spec, layout = TASKS[task].scene, sampled(task, None, 0)
    robot = find_robot(spec.robot)
    low, high = np.array(robot.workspace)
    places = np.concatenate([layout.blocks[..., :2], layout.marks, layout.fixtures[..., :2]], 1)
    assert np.all((places > low[:2]) & (places < high[:2]))
    assert np.all((layout.tips > low) & (layout.tips < high))
    assert layout.tips[..., 2].min() > 0.12
    blocks = len(spec.blocks)
    gaps = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    if blocks > 1:
        centres, (radii, owners) = sides(task, layout)
        free = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=-1)
        free = (free - radii[:, None] - radii)[:, owners[:, None] != owners].min()
        print(f"{task}: {free:.3f} m between blocks")
        # An open finger, 2 cm thick, goes between two blocks that are grasped.
        assert free > (0.02 if spec.grasping else 0.0)
    for one, mark in itertools.product(range(blocks), range(len(spec.marks))):
        assert gaps[:, one, blocks + mark].min() > 0.055
    for one, fixture in itertools.product(range(blocks), range(layout.fixtures.shape[1])):
        away = np.abs(layout.blocks[:, one, :2] - layout.fixtures[:, fixture, :2]).max(axis=-1)
        assert away.min() > TRAY_HALF + RIM + 2**0.5 * spec.blocks[one].half[0]
    # The sampler reaches the whole table and not one corner of it.
    assert places.std(axis=0).min() > 0.01
    assert len(np.unique(places.round(6), axis=0)) == SEEDS


@pytest.mark.parametrize("task", ["place", "stack3", "sort"])
@pytest.mark.parametrize("sub_axis", ["jitter", "moved"])
@pytest.mark.parametrize("severity", [1, 5])
def test_perturbed_layouts_do_not_put_things_into_each_other(task, sub_axis, severity) -> None:
    """In one world of a hundred the named thing finds no way that is wholly clear."""
    layout = sampled(task, sub_axis, severity)
    spec, places = TASKS[task].scene, layout.blocks[..., :2]
    low, high = np.array(find_robot(spec.robot).region)
    everything = np.asarray(jax.vmap(layouts.places_of)(jax.tree.map(jnp.asarray, layout)))
    assert np.all((everything > low - 1e-3) & (everything < high + 1e-3))
    gaps = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    gaps = gaps + np.eye(gaps.shape[1])
    within = (gaps < 0.06).any(axis=(1, 2))
    if spec.fixtures:
        away = np.abs(places - layout.fixtures[:, :1, :2]).max(axis=-1)
        within |= (away < TRAY_HALF + RIM + spec.blocks[0].half[0]).any(axis=1)
    print(f"{task} {sub_axis} {severity}: {within.sum()} of {SEEDS}")
    assert within.mean() <= (0.01 if sub_axis == "moved" else 0.0)


def test_no_world_starts_solved(name: str, played: Played) -> None:
    assert not jax.vmap(TASKS[name].solved)(jax.tree.map(jnp.asarray, played.first)).any()
    assert (played.metrics["success"][:, 0] == 0).all()


def test_named_things_have_different_colours() -> None:
    """For all choices that the seed can make; and the colours look different."""
    fractions = np.linspace(0.0, 0.999, 9, dtype=np.float32)
    choices = np.array(list(itertools.product(fractions, repeat=3)))
    first = np.concatenate([choices[:, :2], choices[:, :1]], axis=1)
    tastes = np.repeat(choices[:, 2:], 4, axis=1)
    palettes = np.asarray(jax.vmap(lambda c, t: setting._palette(3, c, t))(first, tastes))
    assert all(len(set(palette)) == 3 for palette in palettes.tolist())
    assert {tuple(palette) for palette in palettes.tolist()} == set(
        itertools.permutations(range(len(COLOURS)), 3)
    )
    rgb = np.array([colour for _, colour in COLOURS] + [scene.MARK_COLOUR, scene.TABLE_COLOUR])
    gaps = np.linalg.norm(rgb[:, None] - rgb, axis=-1) + np.eye(len(rgb))
    assert gaps.min() > 0.3


@pytest.fixture(scope="module")
def table() -> Ticks:
    return Ticks(TabletopEnv("stack", physics="c", props=False), 32)


def cubes(ticks: Ticks, states) -> tuple[np.ndarray, np.ndarray]:
    """(places [E, 2, 3], quaternions [E, 2, 4]) of both cubes."""
    poses = [positions(states)[:, a : a + 7] for a in scene.places(ticks.env.task.scene).blocks]
    both = np.stack(poses, axis=1)
    return both[..., :3], both[..., 3:]


def drift(ticks: Ticks, before, after) -> tuple[float, float]:
    """(m, degrees) that a cube has moved at most."""
    (place, turn), (later, turned) = cubes(ticks, before), cubes(ticks, after)
    cosine = np.minimum(np.abs(np.sum(turn * turned, axis=-1, dtype=np.float64)), 1.0)
    angle = 2 * np.degrees(np.arccos(cosine))
    return float(np.linalg.norm(later - place, axis=-1).max()), float(angle.max())


def clean_worlds(count: int) -> list:
    return [make_variant(None, None, 0, seed) for seed in range(count)]


def test_a_scene_at_rest_stays_at_rest(table: Ticks) -> None:
    """Ten seconds beside an idle hand."""
    start = table.reset(clean_worlds(32))
    moved, turned = drift(table, start, table.act(start, OPEN, 100))
    print(f"10 s at rest: {1e6 * moved:.0f} um, {turned:.4f} degrees")
    assert moved < 1e-3
    assert turned < 0.5


def test_a_held_cube_hardly_slips_and_a_tower_stands(table: Ticks) -> None:
    """Three seconds in the hand, then ten seconds on the other cube.

    Friction is soft in MuJoCo: measured, a cube creeps down by 1.5 mm a second.
    """
    carried = table.expert(table.reset(clean_worlds(32)), 19)
    held = cubes(table, carried)[0][:, 0, 2] > 0.05
    assert held.sum() > 16
    later = table.act(carried, SHUT, 30)
    hang = [
        cubes(table, states)[0][:, 0] - np.asarray(table.tips(states))
        for states in (carried, later)
    ]
    slip = np.linalg.norm(hang[1] - hang[0], axis=-1)[held]
    print(f"3 s in the hand: {1e3 * slip.max():.2f} mm over {held.sum()} worlds")
    assert slip.max() < 5e-3
    assert cubes(table, later)[0][held, 0, 2].min() > 0.04

    built = table.expert(carried, 40)
    solved = np.asarray(built.metrics["success"]) > 0.5
    assert solved.all()
    moved, turned = drift(table, built, table.act(built, OPEN, 100))
    print(f"10 s as a tower: {1e3 * moved:.2f} mm, {turned:.2f} degrees")
    assert moved < 1e-3
    assert turned < 0.5
