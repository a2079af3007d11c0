"""The seven axes: disjoint bands, exact pairing, and each axis changes its own part only."""

import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.sim.conftest import stack
from wamjax.core.errors import UserError
from wamjax.core.runtime import physics_jit
from wamjax.core.text import decode_text
from wamjax.sim import perturbations, scene
from wamjax.sim.env import TabletopEnv
from wamjax.sim.variants import (
    AXES,
    AXIS_NAMES,
    SEVERITIES,
    clean_variant,
    find_axis,
    make_variant,
    perturbation,
    perturbation_draws,
)

SEED = 11
SUBS = [(axis, sub.name) for axis, subs in AXES.items() for sub in subs]
ROWS = [(None, None, 0), *[(a, s, level) for a, s in SUBS for level in range(1, SEVERITIES + 1)]]


@pytest.fixture(scope="module")
def worlds():
    """(observation, setting, first state) of the clean world and all its twins, in ROWS' order."""
    env = TabletopEnv("push", image_size=48)

    def look(variant):
        state = env.reset_variant(variant)
        return env.observe(state), state.info["setting"], state.pipeline_state.body

    rows = stack([make_variant(axis, sub, level, SEED) for axis, sub, level in ROWS])
    return jax.tree.map(np.asarray, physics_jit(jax.vmap(look))(rows))


def of(axis: str | None, sub: str | None, level: int) -> int:
    return ROWS.index((axis, sub, level))


def test_axes_are_the_seven_in_order() -> None:
    assert AXIS_NAMES == (
        "camera",
        "robot",
        "language",
        "light",
        "background",
        "noise",
        "layout",
    )


def test_bands_are_disjoint_and_grow() -> None:
    for subs in AXES.values():
        for sub in subs:
            assert len(sub.bands) == SEVERITIES
            for low, high in sub.bands:
                assert low <= high
            for (_, high), (low, _) in itertools.pairwise(sub.bands):
                assert high <= low
            assert sub.bands[0][0] < sub.bands[-1][1]


def test_amounts_lie_in_their_band_and_only_where_active() -> None:
    def amounts(variant):
        draws = perturbation_draws(variant)
        return [perturbation(variant, draws, axis, sub) for axis, sub in SUBS]

    variants = stack([make_variant(a, s, level, seed) for a, s, level in ROWS for seed in range(8)])
    found = jax.jit(jax.vmap(amounts))(variants)
    rows = [row for row in ROWS for _ in range(8)]
    for (axis, sub), (active, amount) in zip(SUBS, found, strict=True):
        bands = next(s for s in AXES[axis] if s.name == sub).bands
        for index, row in enumerate(rows):
            assert bool(active[index]) == (row[:2] == (axis, sub))
            if active[index]:
                low, high = bands[row[2] - 1]
                assert low - 1e-5 <= float(amount[index]) <= high + 1e-5
        mine = [i for i, row in enumerate(rows) if row[:2] == (axis, sub)]
        levels = np.asarray(amount)[mine].reshape(SEVERITIES, 8)
        assert np.all(np.diff(levels, axis=0) > 0)


def test_every_variant_gives_sound_observations(worlds) -> None:
    observation, _, _ = worlds
    count = len(ROWS)
    assert observation.frames.shape == (count, 2, 1, 48, 48, 3)
    assert observation.frames.dtype == np.uint8
    assert observation.proprio.shape == (count, 7)
    assert observation.proprio.dtype == np.float32
    assert observation.text.shape == (count, 64)
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
        "spot": moved(setting.layout.spot),
        "colours": moved(setting.colours),
    }


CHANGES = {
    "camera": {"primary"},
    "robot": {"primary", "wrist", "joints"},
    "language": {"text"},
    "light": {"primary", "wrist"},
    "background": {"primary", "wrist"},
    "noise": {"primary", "wrist"},
    "layout": {"primary", "wrist", "cubes", "spot"},
}


def test_each_axis_changes_its_own_part_only(worlds) -> None:
    for row in ROWS[1:]:
        axis, sub, level = row
        expected = set(CHANGES[axis])
        if sub == "distractors":
            # Distractors only stand there; the wrist camera need not see them.
            expected -= {"cubes", "spot", "wrist"}
        found = {name for name, changed in differs(worlds, row).items() if changed}
        if sub == "distractors":
            found -= {"wrist"}
        if (sub, level) == ("distractors", 1):
            # A single distractor may stand outside the picture.
            expected, found = expected - {"primary"}, found - {"primary"}
        assert found == expected, row


def test_stronger_is_further_from_clean(worlds) -> None:
    _, setting, body = worlds
    for level in range(1, SEVERITIES + 1):
        robot = of("robot", "joint_offset", level)
        offset = np.linalg.norm(body.position[robot, :7] - body.position[0, :7])
        low, high = AXES["robot"][0].bands[level - 1]
        assert low - 1e-5 <= offset <= high + 1e-5

        shift = of("layout", "shift", level)
        moved = body.position[shift] - body.position[0]
        low, high = AXES["layout"][0].bands[level - 1]
        for start in (9, 16):
            assert low - 1e-5 <= np.linalg.norm(moved[start : start + 2]) <= high + 1e-5
        np.testing.assert_allclose(moved[9:11], moved[16:18], atol=1e-6)

        shown = setting.props_shown[of("layout", "distractors", level)]
        assert int(shown.sum()) == level

        camera = setting.look.camera.position
        far = np.linalg.norm(camera[of("camera", "distance", level)] - scene.CAMERA_TARGET)
        near = np.linalg.norm(scene.CAMERA_POSITION - scene.CAMERA_TARGET)
        low, high = AXES["camera"][0].bands[level - 1]
        assert low - 1e-4 <= far / near <= high + 1e-4
    assert not setting.props_shown[0].any()


def test_all_severities_go_the_same_way(worlds) -> None:
    _, setting, body = worlds
    for axis, sub, values in (
        ("robot", "joint_offset", body.position[:, :7]),
        ("layout", "shift", body.position[:, 9:11]),
        ("background", "texture", setting.look.texture[:, :, 0]),
    ):
        ways = values[[of(axis, sub, level) for level in range(1, SEVERITIES + 1)]]
        ways = ways - values[0] if axis != "background" else ways
        ways = ways.reshape(SEVERITIES, -1)
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
            axis=jnp.int32(find_axis("layout")), sub_axis=jnp.int32(1), severity=jnp.int32(5)
        )
        setting = env.reset_variant(variant).info["setting"]
        return setting.props[:, :2], setting.layout

    props, layout = physics_jit(jax.vmap(places))(seeds)
    keep = np.concatenate([layout.cubes[:, :, :2], layout.spot[:, None]], axis=1)
    gaps = np.linalg.norm(np.asarray(props)[:, :, None] - keep[:, None], axis=-1)
    assert np.quantile(gaps.min(axis=(1, 2)), 0.05) > 0.05


def test_instructions_never_name_the_axis(worlds) -> None:
    observation, _, _ = worlds
    words = {*AXIS_NAMES, "severity", "variant", *(sub for _, sub in SUBS)}
    for text in observation.text:
        assert not words & set(decode_text(text).split())


def test_clean_light_is_the_neutral_element() -> None:
    variant = make_variant(None, None, 0, 5)
    look = perturbations.build_look(jax.tree.map(jnp.asarray, variant), perturbation_draws(variant))
    np.testing.assert_allclose(look.rgb, perturbations.COLOURS)
    np.testing.assert_allclose(look.camera.position, scene.CAMERA_POSITION, rtol=1e-6)
    np.testing.assert_array_equal(look.family, 0)
    np.testing.assert_allclose(look.ambient, perturbations.AMBIENT)


def test_names_and_severities_are_checked() -> None:
    with pytest.raises(UserError, match="camera, robot, language"):
        find_axis("weather")
    with pytest.raises(UserError, match="distance, azimuth"):
        make_variant("camera", "roll", 1, 0)
    for severity in (0, 6):
        with pytest.raises(UserError, match=r"1\.\.5"):
            make_variant("camera", "distance", severity, 0)
    assert len({zlib.crc32(f"{a}/{s}".encode()) for a, s in SUBS}) == len(SUBS)
