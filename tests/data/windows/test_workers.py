"""`data.workers`: batches, and what is noted of bad frames, do not depend on how many there are."""

import dataclasses

import numpy as np
import pytest

from tests.data.synthetic import config, episodes
from wamjax.core.errors import UserError
from wamjax.data import (
    Windows,
    compute_statistics,
    make_loader,
    ordered_batches,
    read_episodes,
    write_rlds,
)  # fmt: skip
from wamjax.data.files import example, tfrecord
from wamjax.data.windows import frames

FIELDS = ("frames", "frame_mask", "camera_mask", "actions", "action_mask", "proprio", "index")


def equal(ours, theirs):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Every seventh image of one camera cannot be decoded; the records are whole."""
    directory = write_rlds(tmp_path_factory.mktemp("rlds"), "tabletop", "1.0.0", episodes())
    for shard in directory.glob("*.tfrecord-*"):
        records = [r.payload for r in tfrecord.scan(shard)]
        with tfrecord.Writer(shard) as writer:
            for payload in records:
                features = example.decode(payload)
                images = features["steps/observation/image"]
                features["steps/observation/image"] = [
                    b"damaged" if t % 7 == 3 else image for t, image in enumerate(images)
                ]
                writer.write(example.encode(features))
    return directory


@pytest.mark.parametrize("slow", [0.0, 1e9])
@pytest.mark.parametrize("cache", [0, 2**30])
def test_batches_do_not_depend_on_workers(damaged, cache, slow, monkeypatch):
    """Whether files are slow, and read side by side, or not."""
    monkeypatch.setattr(frames, "SLOW", slow)
    given = config(damaged, part="all", bad_budget=0.2, cache_bytes=cache, prefetch=2)
    table = read_episodes(given)
    statistics = compute_statistics(given, table)
    taken = {}
    for workers in (1, 2, 5):
        own = dataclasses.replace(given, workers=workers)
        loader = make_loader(own, 8, statistics, episodes=table)
        taken[workers] = [next(loader) for _ in range(12)]
        loader.close()
        assert loader.fingerprint == make_loader(given, 8, statistics, episodes=table).fingerprint
    for workers in (2, 5):
        for ours, theirs in zip(taken[workers], taken[1], strict=True):
            equal(ours, theirs)


def test_bad_frames_are_noted_in_the_same_order(damaged):
    given = config(damaged, part="all", bad_budget=0.2, cache_bytes=0)
    table = read_episodes(given)
    statistics = compute_statistics(given, table)
    noted = []
    for workers in (1, 4):
        windows = Windows(dataclasses.replace(given, workers=workers), statistics, table)
        for _ in ordered_batches(windows, 16, limit=64):
            pass
        noted.append([str(fault) for fault in windows.frames.ledger.faults])
    assert noted[0] == noted[1]
    assert len(noted[0]) > 10


def test_a_thread_s_complaint_is_told(damaged):
    given = config(damaged, part="all", cache_bytes=0, workers=4)
    table = read_episodes(given)
    windows = Windows(given, compute_statistics(given, table), table)
    with pytest.raises(UserError, match=r"data\.bad_budget"):
        windows.batch(np.arange(32))


def test_no_worker_is_refused(damaged):
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        config(damaged, workers=0)
