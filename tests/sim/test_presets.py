"""Presets state what was published; the page in docs/ says what the tables say."""

import itertools
import pathlib

import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.sim import axes_page
from wamjax.sim.axes import (
    ALL_AXES,
    AXES,
    AXIS_NAMES,
    SEVERITIES,
    bands_of,
    find_preset,
    largest,
    sub_axes,
)
from wamjax.sim.corruptions import STRENGTHS
from wamjax.sim.presets import LIBERO_PLUS, OWN, PRESET_NAMES, PRESETS, ROBOTWIN_PLUS
from wamjax.sim.scene import WALL_COLOUR
from wamjax.sim.variants import make_variant

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "axes.md"
ROWS = [
    (name, axis, sub)
    for name, preset in PRESETS.items()
    for axis, table in preset.rows.items()
    for sub in table
]


def edges(axis: str, sub_axis: str, preset: str) -> list[float]:
    """Where adjoining bands meet, outer edges included."""
    bands = bands_of(axis, sub_axis, preset)
    for (_, high), (low, _) in itertools.pairwise(bands):
        assert high == low
    return [bands[0][0], *(high for _, high in bands)]


def test_presets_are_tables_over_the_same_sub_axes() -> None:
    assert PRESET_NAMES == ("wamjax", "libero_plus", "robotwin_plus")
    for name, preset in PRESETS.items():
        assert tuple(preset.rows) == AXIS_NAMES == tuple(preset.shares)
        for axis, table in preset.rows.items():
            assert set(table) == set(sub_axes(axis, name))
            assert set(table) <= set(sub_axes(axis))


@pytest.mark.parametrize(("name", "axis", "sub_axis"), ROWS)
def test_bands_of_presets_lead_away_from_clean(name: str, axis: str, sub_axis: str) -> None:
    bands = bands_of(axis, sub_axis, name)
    clean = next(sub.clean for sub in ALL_AXES[axis] if sub.name == sub_axis)
    assert len(bands) == SEVERITIES
    assert all(low <= high for low, high in bands)
    distance = [abs((low + high) / 2 - clean) for low, high in bands]
    assert all(near <= far for near, far in itertools.pairwise(distance))
    assert largest(axis, sub_axis) >= max(high for _, high in bands)


def test_libero_plus_has_its_published_numbers() -> None:
    name = "libero_plus"
    assert edges("camera", "distance", name)[::5] == [1.15, 2.0]
    assert edges("camera", "azimuth", name)[::5] == [1.0, 75.0]
    for sub in ("distance", "azimuth"):
        np.testing.assert_allclose(np.diff(edges("camera", sub, name), 2), 0, atol=1e-9)
    assert set(bands_of("camera", "elevation", name)) == {(15.0, 15.0)}
    assert [low for low, _ in bands_of("camera", "orientation", name)] == [2, 4, 6, 8, 10]
    assert [low for low, _ in bands_of("robot", "joint_offset", name)] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert set(bands_of("light", "shadows", name)) == {(1.0, 1.0)}
    jitter = [low for low, _ in bands_of("layout", "jitter", name)]
    assert jitter == [0.03, 0.06, 0.09, 0.12, 0.15]
    assert [low for low, _ in bands_of("layout", "distractors", name)] == [1, 2, 3, 4, 5]
    for sub in sub_axes("noise", name):
        rows = [edge for band in bands_of("noise", sub, name) for edge in band]
        assert rows == list(range(1, STRENGTHS + 1))
    shares = {"camera": 1599, "robot": 1550, "language": 1537, "light": 1142}
    shares |= {"background": 1076, "noise": 1601, "layout": 1525}
    assert LIBERO_PLUS.shares == shares
    assert sum(shares.values()) == 10_030
    for axis in ("camera", "background", "layout"):
        rows = LIBERO_PLUS.rows[axis].values()
        assert sum(row.weight for row in rows) == shares[axis]


def test_robotwin_plus_has_its_published_numbers() -> None:
    """Ranges are cut into fifths, distributions at their quantiles (drawn here once more)."""
    name = "robotwin_plus"
    rng = np.random.default_rng(0)

    def quantiles(values: np.ndarray) -> np.ndarray:
        return np.quantile(values, [0.2, 0.4, 0.6, 0.8])

    distance = bands_of("camera", "distance", name)
    assert (distance[0][1], distance[-1][0]) == (1.0, 0.85)
    assert edges("camera", "orientation", name) == [0, 1, 2, 3, 4, 5]
    assert edges("light", "specular", name)[::5] == [0.3, 6.0]
    joints = np.clip(rng.normal(0, 0.1, (200_000, 7)), -0.225, 0.225)
    found = edges("robot", "joint_offset", name)[1:-1]
    np.testing.assert_allclose(found, quantiles(np.linalg.norm(joints, axis=1)), rtol=0.02)
    assert {edge for band in bands_of("robot", "gripper_opening", name) for edge in band} == {
        0.05,
        0.95,
    }
    gain = rng.uniform(0, 3.5, (200_000, 3))
    found = edges("light", "colour", name)[1:-1]
    np.testing.assert_allclose(found, quantiles(np.abs(np.log(gain)).max(1)), rtol=0.02)
    polar = np.where(
        rng.random(200_000) < 0.35, rng.uniform(68, 82, 200_000), rng.uniform(8, 82, 200_000)
    )
    np.testing.assert_allclose(
        edges("light", "direction", name)[1:4], quantiles(polar)[:3], rtol=0.02
    )
    tint = np.array(WALL_COLOUR) * (rng.uniform(0.4, 1.8, (200_000, 3)) - 1)
    found = edges("background", "tint", name)[1:-1]
    np.testing.assert_allclose(found, quantiles(np.linalg.norm(tint, axis=1)), rtol=0.02)
    shift = np.hypot(*rng.normal(0, 0.02, (2, 200_000)))
    np.testing.assert_allclose(edges("layout", "jitter", name)[1:-1], quantiles(shift), rtol=0.03)
    distractors = bands_of("layout", "distractors", name)
    assert [n for low, high in distractors for n in range(int(low), int(high) + 1)] == list(
        range(3, 16)
    )
    # Sigma 3.25 of 240 rows of pixels is this row of strengths, which are sigma at 256.
    assert bands_of("noise", "gaussian_blur", name)[0][0] == pytest.approx(
        3.25 * 256 / 240, abs=0.01
    )
    assert bands_of("noise", "zoom_blur", name)[0][0] == pytest.approx(
        1 + (1.2225 - 1.11) / 0.05, abs=1e-6
    )
    weights = [row.weight for row in ROBOTWIN_PLUS.rows["language"].values()]
    assert weights == [15, 25, 10]


def test_what_is_not_published_has_the_own_bands() -> None:
    for sub in ("colour", "direction", "specular"):
        assert bands_of("light", sub, "libero_plus") == bands_of("light", sub)


def test_sources_name_paper_and_commit() -> None:
    for preset, commit in ((LIBERO_PLUS, "4976dc3"), (ROBOTWIN_PLUS, "8f07761")):
        assert "arXiv 2" in preset.source
        assert commit in preset.source
        assert len(preset.defects) >= 4


def test_unknown_presets_and_their_missing_sub_axes_are_refused() -> None:
    with pytest.raises(UserError, match="known presets: wamjax, libero_plus, robotwin_plus"):
        find_preset("libero")
    with pytest.raises(UserError, match=r"robotwin_plus.*distance, orientation"):
        make_variant("camera", "azimuth", 1, 0, "robotwin_plus")
    with pytest.raises(UserError, match="has no axis 'dynamics'"):
        make_variant("dynamics", "mass", 1, 0, "libero_plus")
    with pytest.raises(UserError, match="has no sub-axis"):
        make_variant("camera", "roll", 1, 0, "libero_plus")


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == axes_page.page(), (
        "run python -m wamjax.sim.axes_page > docs/axes.md"
    )


def test_the_page_shows_every_row_and_every_defect() -> None:
    page = axes_page.page()
    for sub in (sub for subs in ALL_AXES.values() for sub in subs):
        assert f"| `{sub.name}` | {sub.unit} |" in page
    for preset in PRESETS.values():
        assert preset.source in page
        assert all(defect in page for defect in preset.defects)
    assert OWN in page
    columns = {line.count("|") - 1 for line in page.splitlines() if line.startswith("|")}
    # Six columns and the five severities; four and the five.
    assert columns == {11, 9}
    assert sum(map(len, AXES.values())) == 28
