"""Manifests: the hash names the worlds, twins share seeds, wrong names are refused."""

import collections
import json

import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.sim.manifest import (
    EVALUATION_SEEDS,
    build_manifest,
    load_manifest,
    save_manifest,
)
from wamjax.sim.variants import AXES, AXIS_NAMES

ALL = (1, 2, 3, 4, 5)


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
    for axis, subs in AXES.items():
        rows = [r for r in manifest.rows if (r["task"], r["axis"]) == ("reach", axis)]
        cells = collections.Counter((row["sub_axis"], row["severity"]) for row in rows)
        assert len(cells) == 5 * len(subs)
        assert set(cells.values()) == {10 // (5 * len(subs))}


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
    ]
    assert len({manifest.sha256 for manifest in (build(), *others)}) == 6


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
    for severity in (0, 6):
        with pytest.raises(UserError, match=r"1\.\.5"):
            build(severities=(severity,))
    with pytest.raises(UserError, match="at least one"):
        build(clean=0, per_axis=0)
