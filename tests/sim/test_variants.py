"""The seven axes: disjoint bands, exact pairing, and each axis changes its own part only."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.conftest import stack
from wamjax.core.errors import UserError
from wamjax.core.runtime import program_jit
from wamjax.core.text import decode_text
from wamjax.sim import scene
from wamjax.sim.axes import (
    ALL_AXES,
    AXES,
    AXIS_NAMES,
    BONUS_AXES,
    SEVERITIES,
    bands_of,
    find_axis,
    find_sub_axis,
    largest,
    sub_axes,
)
from wamjax.sim.env import TabletopEnv
from wamjax.sim.instructions import TEXT_LENGTH
from wamjax.sim.presets import OWN, PRESET_NAMES
from wamjax.sim.robots import PANDA
from wamjax.sim.variants import (
    clean_variant,
    code_of,
    make_variant,
    perturbation,
    perturbation_draws,
)

SEED = 11
LEVELS = range(1, SEVERITIES + 1)
SUBS = [(axis, sub.name) for axis, subs in ALL_AXES.items() for sub in subs]
SEEN = {"primary", "wrist"}
CHANGES: dict[tuple[str, str], set[str]] = {
    ("robot", "joint_offset"): {*SEEN, "joints"},
    ("robot", "base_offset"): {*SEEN, "cubes", "spot"},
    ("robot", "gripper_opening"): {*SEEN, "joints"},
    **{("language", sub): {"text"} for sub in sub_axes("language")},
    ("layout", "jitter"): {*SEEN, "cubes", "spot"},
    ("layout", "moved"): {*SEEN, "cubes"},
    # Distractors only stand there.
    ("layout", "distractors"): {"primary"},
    **{("camera", sub): {"primary"} for sub in sub_axes("camera")},
    **{("light", sub): SEEN for sub in sub_axes("light")},
    **{("background", sub): SEEN for sub in sub_axes("background")},
    ("background", "wall"): {"primary"},
    **{("noise", sub): SEEN for sub in sub_axes("noise")},
}
"""What a sub-axis changes of the observation and of the world's state, and nothing else."""
FAINT = {
    ("layout", "distractors"): {"primary", "wrist"},
    ("background", "material"): SEEN,
    ("robot", "gripper_opening"): SEEN,
    ("robot", "base_offset"): SEEN,
}
"""Pictures that need not show it: one distractor may stand outside, a faint gloss may be too dark,
a finger that moves by millimetres covers few pixels."""
ROWS = [(None, None, 0), *[(a, s, level) for a, s in CHANGES for level in LEVELS]]


@pytest.fixture(scope="module")
def worlds():
    """(observation, setting, first state) of the clean world and all its twins, in ROWS' order."""
    env = TabletopEnv("push", image_size=48)

    def look(variant):
        state = env.reset_variant(variant)
        return env.observe(state), state.info["setting"], state.pipeline_state.body

    rows = stack([make_variant(axis, sub, level, SEED) for axis, sub, level in ROWS])
    return jax.tree.map(np.asarray, program_jit(jax.vmap(look))(rows))


def of(axis: str | None, sub: str | None, level: int) -> int:
    return ROWS.index((axis, sub, level))


def test_axes_are_the_seven_in_order_and_the_bonus_comes_after() -> None:
    assert AXIS_NAMES == (
        "camera",
        "robot",
        "language",
        "light",
        "background",
        "noise",
        "layout",
    )
    assert [find_axis(name) for name in AXIS_NAMES] == list(range(1, 8))
    assert tuple(BONUS_AXES) == ("dynamics",)
    assert find_axis("dynamics") == 8
    assert sum(len(subs) for subs in AXES.values()) == 28


def test_bands_are_disjoint_and_grow() -> None:
    for subs in ALL_AXES.values():
        for sub in subs:
            assert len(sub.bands) == SEVERITIES
            assert sub.clean <= sub.bands[0][0]
            for low, high in sub.bands:
                assert low <= high
            for (_, high), (low, _) in itertools.pairwise(sub.bands):
                assert high <= low
            assert sub.bands[0][0] < sub.bands[-1][1]
            assert sub.enters
            assert sub.source


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_amounts_lie_in_their_band_and_only_where_active(preset: str) -> None:
    subs = [(a, s) for a, s in SUBS if preset == OWN or (a in AXES and s in sub_axes(a, preset))]
    rows = [(None, None, 0), *[(a, s, level) for a, s in subs for level in LEVELS]]

    def amounts(variant):
        draws = perturbation_draws(variant)
        return [perturbation(variant, draws, axis, sub) for axis, sub in subs]

    variants = [make_variant(a, s, n, seed, preset) for a, s, n in rows for seed in range(8)]
    found = jax.jit(jax.vmap(amounts))(stack(variants))
    rows = [row for row in rows for _ in range(8)]
    for (axis, sub), (active, amount) in zip(subs, found, strict=True):
        mine = np.array([row[:2] == (axis, sub) for row in rows])
        np.testing.assert_array_equal(active, mine)
        levels = np.asarray(amount)[mine].reshape(SEVERITIES, 8)
        for values, (low, high) in zip(levels, bands_of(axis, sub, preset), strict=True):
            assert np.all((values >= low - 1e-4) & (values <= high + 1e-4)), (axis, sub)
        if preset == OWN:
            assert np.all(np.diff(levels, axis=0) > 0)


def test_whole_amounts_are_whole_and_every_one_comes() -> None:
    def amount(variant):
        return perturbation(variant, perturbation_draws(variant), "layout", "distractors")[1]

    for preset, level, expected in ((OWN, 4, range(5, 10)), ("robotwin_plus", 1, range(3, 6))):
        rows = [make_variant("layout", "distractors", level, n, preset) for n in range(300)]
        found, counts = np.unique(jax.vmap(amount)(stack(rows)), return_counts=True)
        assert found.tolist() == list(expected)
        assert counts.min() > 0.6 * 300 / len(found)


def test_draws_depend_on_seed_axis_and_sub_axis_alone() -> None:
    draws = jax.jit(perturbation_draws)
    one = draws(make_variant("robot", "joint_offset", 1, 3))
    for level, preset in ((5, OWN), (2, "libero_plus")):
        other = draws(make_variant("robot", "joint_offset", level, 3, preset))
        np.testing.assert_array_equal(one, other)
    for other in (("robot", "joint_offset", 1, 4), ("robot", "base_offset", 1, 3)):
        assert np.abs(one - draws(make_variant(*other))).max() > 0.1
    assert len({code_of(axis, sub) for axis, sub in SUBS}) == len(SUBS)
    assert 0 not in {code_of(axis, sub) for axis, sub in SUBS}


def test_the_largest_amount_is_that_of_any_preset() -> None:
    assert largest("layout", "jitter") == 0.15
    assert largest("robot", "joint_offset") == 0.5
    assert largest("light", "direction") == 76.0


def test_every_variant_gives_sound_observations(worlds) -> None:
    observation, _, _ = worlds
    count = len(ROWS)
    assert observation.frames.shape == (count, 2, 1, 48, 48, 3)
    assert observation.frames.dtype == np.uint8
    assert observation.proprio.shape == (count, 7)
    assert observation.proprio.dtype == np.float32
    assert observation.text.shape == (count, TEXT_LENGTH)
    assert observation.text.dtype == np.uint8
    assert np.all(np.isfinite(observation.proprio))
    assert np.all(observation.camera_mask)
    # No picture is a single colour.
    assert observation.frames.reshape(count, 2, -1).std(axis=-1).min() > 2


def differs(worlds, row: tuple) -> dict[str, bool]:
    """What of a twin differs from the clean world, beyond the last bit of vectorised sines."""
    observation, setting, body = worlds
    twin = ROWS.index(row)

    def moved(values: np.ndarray) -> bool:
        return bool(np.abs(values[0].astype(np.float64) - values[twin]).max() > 1e-6)

    def repainted(view: int) -> bool:
        pictures = observation.frames[:, view, 0].astype(np.int32)
        return bool((np.abs(pictures[0] - pictures[twin]) > 2).sum() > 20)

    return {
        "primary": repainted(0),
        "wrist": repainted(1),
        "text": moved(observation.text),
        "joints": moved(body.position[:, :9]),
        "cubes": moved(body.position[:, 9:]),
        "spot": moved(setting.layout.marks),
        "colours": moved(setting.palette),
    }


def test_each_sub_axis_changes_its_own_part_only(worlds) -> None:
    assert set(CHANGES) <= set(SUBS)
    for row in ROWS[1:]:
        axis, sub, level = row
        found = {name for name, changed in differs(worlds, row).items() if changed}
        unsure = set[str]().union(*(names for of, names in FAINT.items() if of == (axis, sub)))
        assert found - unsure == CHANGES[axis, sub] - unsure, row
        assert found <= CHANGES[axis, sub] | unsure, row
        assert found or level < SEVERITIES, row


def test_stronger_is_further_from_clean(worlds) -> None:
    _, setting, body = worlds
    for level in LEVELS:
        robot = of("robot", "joint_offset", level)
        offset = np.linalg.norm(body.position[robot, :7] - body.position[0, :7])
        low, high = bands_of("robot", "joint_offset")[level - 1]
        assert low - 1e-5 <= offset <= high + 1e-5

        jitter = of("layout", "jitter", level)
        moved = body.position[jitter] - body.position[0]
        _, high = bands_of("layout", "jitter")[level - 1]
        for start in (9, 16):
            assert 0 < np.linalg.norm(moved[start : start + 2]) <= high + 1e-5

        shown = int(setting.props_shown[of("layout", "distractors", level)].sum())
        low, high = bands_of("layout", "distractors")[level - 1]
        assert low <= shown <= high or shown == len(scene.PROPS)

        camera = setting.look.camera.position
        far = np.linalg.norm(camera[of("camera", "distance", level)] - np.array(PANDA.view.target))
        near = np.linalg.norm(np.array(PANDA.view.position) - np.array(PANDA.view.target))
        low, high = bands_of("camera", "distance")[level - 1]
        assert low - 1e-4 <= far / near <= high + 1e-4
    assert not setting.props_shown[0].any()


def test_all_severities_go_the_same_way(worlds) -> None:
    _, setting, body = worlds
    for axis, sub, values in (
        ("robot", "joint_offset", body.position[:, :7]),
        ("layout", "jitter", body.position[:, 9:11]),
    ):
        ways = values[[of(axis, sub, level) for level in LEVELS]] - values[0]
        ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
        np.testing.assert_allclose(ways, np.tile(ways[0], (SEVERITIES, 1)), atol=1e-3)
    shown = setting.props_shown[[of("layout", "distractors", level) for level in (1, 3, 5)]]
    assert np.all(shown[0] <= shown[1])
    assert np.all(shown[1] <= shown[2])


def test_distractors_stand_beside_cubes_and_spot() -> None:
    env = TabletopEnv("push")
    seeds = jnp.arange(100, dtype=jnp.int32)

    def places(seed):
        variant = clean_variant(seed).replace(
            axis=jnp.int32(find_axis("layout")),
            sub_axis=jnp.int32(find_sub_axis("layout", "distractors")),
            severity=jnp.int32(5),
        )
        setting = env.reset_variant(variant).info["setting"]
        return setting.props[:, :2], setting.layout

    props, layout = program_jit(jax.vmap(places))(seeds)
    keep = np.concatenate([layout.blocks[:, :, :2], layout.marks], axis=1)
    gaps = np.linalg.norm(np.asarray(props)[:, :, None] - keep[:, None], axis=-1)
    assert np.quantile(gaps.min(axis=(1, 2)), 0.05) > 0.05


def test_instructions_never_name_the_variant(worlds) -> None:
    """Outside the language axis the bytes are those of the clean world; inside it, other words."""
    observation, _, _ = worlds
    words = {*ALL_AXES, "severity", "variant", *(sub for _, sub in SUBS)}
    for (axis, _, _), text in zip(ROWS, observation.text, strict=True):
        if axis != "language":
            np.testing.assert_array_equal(text, observation.text[0])
        said = decode_text(text).split()
        assert not words & set(said)
        assert not any(character.isdigit() or character == "_" for character in "".join(said))


def test_names_and_severities_are_checked() -> None:
    with pytest.raises(UserError, match="camera, robot, language"):
        find_axis("weather")
    with pytest.raises(UserError, match="distance, azimuth"):
        make_variant("camera", "roll", 1, 0)
    for severity in (0, 6):
        with pytest.raises(UserError, match=r"1\.\.5"):
            make_variant("camera", "distance", severity, 0)
