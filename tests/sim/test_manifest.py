"""Manifests: the hash names the worlds, twins share seeds, wrong names are refused."""

import collections
import json

import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.sim import manifest as module
from wamjax.sim.axes import AXIS_NAMES, sub_axes
from wamjax.sim.manifest import (
    EVALUATION_SEEDS,
    apportion,
    build_manifest,
    load_manifest,
    named_manifest,
    quick_manifest,
    save_manifest,
    standard_manifest,
    world_seeds,
)
from wamjax.sim.presets import LIBERO_PLUS, OWN, PRESET_NAMES

ALL = (1, 2, 3, 4, 5)
TASKS = ("reach", "push")


def build(**changes):
    values = {
        "tasks": ("reach", "push"),
        "axes": AXIS_NAMES,
        "clean": 12,
        "per_axis": 10,
        "severities": ALL,
        "seed": 3,
    } | changes
    tasks, axes = values.pop("tasks"), values.pop("axes")
    return build_manifest(tasks, axes, **values)


def test_rows_cover_what_was_asked_for_evenly() -> None:
    manifest = build()
    count = collections.Counter((row["task"], row["axis"]) for row in manifest.rows)
    for task in ("reach", "push"):
        assert count[task, "clean"] == 12
        for axis in AXIS_NAMES:
            assert count[task, axis] == 10
    manifest = build(per_axis=300)
    for axis in AXIS_NAMES:
        subs = sub_axes(axis)
        rows = [r for r in manifest.rows if (r["task"], r["axis"]) == ("reach", axis)]
        cells = collections.Counter((row["sub_axis"], row["severity"]) for row in rows)
        assert len(cells) == 5 * len(subs)
        assert set(cells.values()) == {300 // (5 * len(subs))}


def test_twins_share_the_seeds_of_the_clean_worlds() -> None:
    manifest = build()
    seeds = {}
    for row in manifest.rows:
        seeds.setdefault((row["task"], row["axis"]), []).append(row["seed"])
    clean = seeds["reach", "clean"]
    assert len(set(clean)) == 12
    assert all(0 <= seed < EVALUATION_SEEDS for seed in clean)
    for axis in AXIS_NAMES:
        assert seeds["reach", axis] == clean[:10]


def test_variants_follow_the_rows() -> None:
    manifest = build()
    variants = manifest.variants("push")
    rows = [row for row in manifest.rows if row["task"] == "push"]
    assert variants.seed.dtype == np.int32
    assert variants.seed.tolist() == [row["seed"] for row in rows]
    assert variants.severity.tolist() == [row["severity"] for row in rows]
    assert {row["preset"] for row in rows} == {"", OWN}
    axes = ["clean", *AXIS_NAMES]
    assert [axes[number] for number in variants.axis] == [row["axis"] for row in rows]


def test_the_hash_names_the_worlds() -> None:
    assert build().sha256 == build().sha256
    others = [
        build(seed=4),
        build(clean=13),
        build(axes=AXIS_NAMES[:-1]),
        build(severities=(1, 2)),
        build(tasks=("reach",)),
        build(axes=("noise",)),
        build(axes=("noise",), preset="libero_plus"),
    ]
    assert len({manifest.sha256 for manifest in (build(), *others)}) == 8


def test_the_hash_covers_the_bands_of_the_rows_and_the_families(monkeypatch, tmp_path) -> None:
    noise, background = build(axes=("noise",)), build(axes=("background",))
    path = save_manifest(tmp_path / "manifest.json", noise)
    real = module.bands_of
    changed = ((0.0, 1.0),) * 5

    def bands(axis, sub, preset):
        return changed if (axis, sub) == ("noise", "fog") else real(axis, sub, preset)

    monkeypatch.setattr(module, "bands_of", bands)
    assert build(axes=("noise",)).sha256 != noise.sha256
    assert build(axes=("background",)).sha256 == background.sha256
    with pytest.raises(UserError, match="other severity bands"):
        load_manifest(path)
    monkeypatch.setattr(module, "UNSEEN", ("wood",))
    assert build(axes=("background",)).sha256 != background.sha256


def test_a_manifest_survives_the_disk_and_forgery_does_not(tmp_path) -> None:
    path = save_manifest(tmp_path / "manifest.json", build())
    assert load_manifest(path) == build()
    content = json.loads(path.read_text())
    content["rows"][0]["seed"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="changed"):
        load_manifest(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="not a manifest"):
        load_manifest(path)
    with pytest.raises(UserError, match="does not exist"):
        load_manifest(tmp_path / "absent.json")


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="known axes: camera"):
        build(axes=("weather",))
    with pytest.raises(UserError, match="known tasks: reach, push"):
        build(tasks=("juggle",))
    with pytest.raises(UserError, match="known presets: wamjax"):
        build(preset="libero")
    with pytest.raises(UserError, match="known manifests: quick, standard"):
        named_manifest("full", TASKS, 0)
    with pytest.raises(UserError, match="known tasks: reach, push"):
        named_manifest("quick", ("juggle",), 0)
    for make in (quick_manifest, standard_manifest):
        with pytest.raises(UserError, match="known presets: wamjax"):
            make(TASKS, 0, "libero")
        with pytest.raises(UserError, match="at least one task"):
            make((), 0)
        with pytest.raises(UserError, match="come twice"):
            make(("push", "push"), 0)
    with pytest.raises(UserError, match="come twice"):
        build(axes=("light", "light"))
    for severity in (0, 6):
        with pytest.raises(UserError, match=r"1\.\.5"):
            build(severities=(severity,))
    with pytest.raises(UserError, match="at least one"):
        build(clean=0, per_axis=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"severity": 6}, r"1\.\.5"),
        ({"sub_axis": "roll"}, "distance, azimuth"),
        ({"preset": "libero"}, "known presets"),
        ({"task": "juggle"}, "known tasks"),
    ],
)
def test_a_row_that_names_no_world_is_refused(tmp_path, changes, message) -> None:
    """Even where the hash fits."""
    path = save_manifest(tmp_path / "manifest.json", build(axes=("camera",), clean=0))
    content = json.loads(path.read_text())
    content["rows"][0] |= changes
    content["sha256"] = module._hash(content["rows"], content["world"])
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        load_manifest(path)


def test_a_preset_has_its_own_sub_axes_and_number() -> None:
    manifest = build(per_axis=100, preset="robotwin_plus")
    for axis in AXIS_NAMES:
        rows = [row for row in manifest.rows if row["axis"] == axis]
        assert {row["sub_axis"] for row in rows} == set(sub_axes(axis, "robotwin_plus"))
        assert {row["severity"] for row in rows} == set(ALL)
    numbers = manifest.variants("push").preset
    rows = [row for row in manifest.rows if row["task"] == "push"]
    assert numbers.tolist() == [0 if row["axis"] == "clean" else 2 for row in rows]


def check_laws(manifest) -> None:
    """Every world once; every perturbed one has a clean twin; seeds are those of evaluations."""
    worlds = [tuple(row.values()) for row in manifest.rows]
    assert len(set(worlds)) == len(worlds)
    clean = {(row["task"], row["seed"]) for row in manifest.rows if row["axis"] == "clean"}
    assert {(row["task"], row["seed"]) for row in manifest.rows} == clean
    assert all(0 <= row["seed"] < EVALUATION_SEEDS for row in manifest.rows)


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_quick_has_every_sub_axis_at_every_severity_twice(preset: str) -> None:
    manifest = quick_manifest(TASKS, 0, preset)
    check_laws(manifest)
    cells = collections.Counter(
        (row["task"], row["axis"], row["sub_axis"], row["severity"])
        for row in manifest.rows
        if row["axis"] != "clean"
    )
    assert set(cells.values()) == {2}
    assert len(cells) == 2 * 5 * sum(len(sub_axes(axis, preset)) for axis in AXIS_NAMES)
    if preset == OWN:
        assert len(manifest.variants("push").seed) == 350


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_standard_has_the_shares_of_libero_plus(preset: str) -> None:
    manifest = standard_manifest(TASKS, 0, preset)
    check_laws(manifest)
    count = collections.Counter(row["axis"] for row in manifest.rows)
    assert sum(count.values()) - count["clean"] in (10_010, 10_030)
    if preset != "robotwin_plus":
        assert {axis: count[axis] for axis in AXIS_NAMES} == LIBERO_PLUS.shares
    for axis in AXIS_NAMES:
        rows = [row for row in manifest.rows if row["axis"] == axis]
        tasks = collections.Counter(row["task"] for row in rows)
        assert max(tasks.values()) - min(tasks.values()) <= 1
        levels = collections.Counter(row["severity"] for row in rows)
        assert set(levels) == set(ALL)
        # One world per cell and task is all that rounding can do.
        assert max(levels.values()) - min(levels.values()) <= 2 * len(sub_axes(axis, preset))
    if preset == "libero_plus":
        subs = collections.Counter(row["sub_axis"] for row in manifest.rows)
        for sub, row in LIBERO_PLUS.rows["camera"].items():
            assert abs(subs[sub] - row.weight) <= 10


def test_named_manifests_are_made_by_their_seed() -> None:
    for name, make in (("quick", quick_manifest), ("standard", standard_manifest)):
        assert named_manifest(name, TASKS, 1) == make(TASKS, 1)
        assert make(TASKS, 1).sha256 != make(TASKS, 2).sha256
    assert {row["task"] for row in quick_manifest(("push",), 0).rows} == {"push"}


def test_seeds_and_hash_are_the_same_on_every_machine(monkeypatch) -> None:
    """Apart from the tables, which may change."""
    assert world_seeds(0, 3) == [719524693, 1047869609, 708232861]
    monkeypatch.setattr(module, "_world", lambda rows: {})
    manifest = build(axes=("camera",), clean=2, per_axis=4)
    assert manifest.sha256 == "60244898767f1c8460f4f982bbdd80c21d14044fbac3637eb33ffc1c5d9bc1d1"


def test_seeds_differ_and_more_of_them_start_the_same() -> None:
    seeds = world_seeds(0, 20_000)
    assert len(set(seeds)) == 20_000
    assert world_seeds(0, 100) == seeds[:100]
    assert world_seeds(1, 100) != seeds[:100]


def test_apportion_gives_everything_out_in_proportion() -> None:
    for total in (0, 1, 7, 1599):
        for weights in ([1] * 8, [313, 496, 496, 294], [3]):
            counts = apportion(total, weights, "a")
            assert sum(counts) == total
            for count, weight in zip(counts, weights, strict=True):
                assert abs(count - total * weight / sum(weights)) < 1
    # Leftovers do not always go to the first.
    firsts = [apportion(1, [1, 1, 1, 1], salt)[0] for salt in "abcdefghijklmnop"]
    assert 0 < sum(firsts) < 16
