"""Statistics by several processes are those of one, bit for bit, whoever is done first."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from tests.data.lerobot_sets import write_v21, write_v30
from tests.data.stores import make
from tests.data.synthetic import config, copy, episodes
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.core.pool import Workers
from wamjax.data.config import DataConfig
from wamjax.data.files import tfrecord
from wamjax.data.normalising import streamed
from wamjax.data.normalising.statistics import BINS
from wamjax.data.normalising.streamed import stream_statistics
from wamjax.data.sources.kinds import open_source

LEROBOT: dict[str, Any] = {
    "cameras": ("observation.images.front",),
    "proprio_key": "observation.state",
    "instruction_key": None,
    "gripper_dim": None,
}


def backwards(self: Workers, work: Any, parts: Any, advance: Any) -> Any:
    """As if the last part were done first."""
    for part in reversed(parts):
        yield part, work(part, lambda: advance(1))


@pytest.fixture(scope="module")
def damaged(tabletop, tmp_path_factory) -> pathlib.Path:
    """A wrong checksum in one shard, a break that hides the rest of another."""
    directory = copy(tabletop, tmp_path_factory.mktemp("damaged") / "data")
    first, second = sorted(directory.glob("*.tfrecord-*"))[:2]
    data = bytearray(first.read_bytes())
    data[tfrecord.index(first)[2] + 40] ^= 1
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[: tfrecord.index(second)[2] + 5])
    return directory


@pytest.fixture(scope="module")
def sets(tabletop, damaged, tmp_path_factory) -> dict[str, DataConfig]:
    root = tmp_path_factory.mktemp("sets")
    v21 = write_v21(root / "v21")
    return {
        "rlds": config(tabletop),
        "damaged": config(damaged, bad_budget=0.5),
        "store": config(make(tabletop, root / "store")),
        "lerobot": config(v21, **LEROBOT),
        "files": config(write_v30(root / "v30", v21, [0, 1, 2], 1), **LEROBOT),
    }


@pytest.mark.parametrize("kind", ["rlds", "damaged", "store", "lerobot", "files"])
def test_the_order_in_which_parts_are_done_is_no_matter(sets, monkeypatch, kind: str) -> None:
    alone = stream_statistics([sets[kind]])
    monkeypatch.setattr(Workers, "spread", backwards)
    for workers in (1, 2, 3, 50):
        assert stream_statistics([sets[kind]], workers) == alone
    # One shard a part, too.
    monkeypatch.setattr(streamed, "LARGEST", 1)
    assert stream_statistics([sets[kind]], 5) == alone


def test_several_sets_are_merged_in_the_order_they_were_given(sets, monkeypatch) -> None:
    both = [sets["store"], sets["damaged"]]
    alone = stream_statistics(both)
    monkeypatch.setattr(Workers, "spread", backwards)
    assert stream_statistics(both, 4) == alone
    assert stream_statistics(both[::-1], 4).episodes == alone.episodes


def test_two_processes(sets) -> None:
    """One wrong checksum and two episodes behind a break: 3 of 14, each counted once."""
    both = [sets["damaged"], sets["store"]]
    found = stream_statistics(both, 2)
    assert found == stream_statistics(both)
    assert found.episodes == 14 + 14 - 3
    assert found.fingerprint["members"][0]["selection"]["skipped"] == 3


def test_the_sentence_about_too_much_damage_is_the_same(damaged, monkeypatch) -> None:
    given = config(damaged, bad_budget=0.1)
    with pytest.raises(UserError, match=r"of 14 episodes of .* more than --bad-budget") as alone:
        stream_statistics([given])
    monkeypatch.setattr(Workers, "spread", backwards)
    with pytest.raises(UserError) as shared:
        stream_statistics([given], 3)
    assert str(shared.value) == str(alone.value)


def test_quantiles_are_numpys_within_half_a_bin(tabletop, monkeypatch) -> None:
    monkeypatch.setattr(Workers, "spread", backwards)
    found = stream_statistics([config(tabletop)], 4).action
    rows = np.concatenate([episode.actions[:-1] for episode in episodes()]).astype(np.float64)
    bound = np.ptp(rows, axis=0) / (2 * BINS) + 1e-12
    for ours, q in ((found.q01, 0.01), (found.q99, 0.99)):
        assert (np.abs(np.quantile(rows, q, axis=0) - ours) <= bound).all()


def test_shards_together_are_the_scan(sets) -> None:
    """Which is what lets processes share them."""
    for given in sets.values():
        source = open_source(given.dir, given.split)
        shards = range(len(source.description.shards))
        apart = [_known(item) for shard in shards for item in source.scan([shard])]
        assert apart == [_known(item) for item in source.scan()]


def _known(item: Any) -> Any:
    return item if hasattr(item, "fault") else (item.place, item.content())


def test_data_that_change_between_the_passes_are_refused(tabletop, monkeypatch) -> None:
    monkeypatch.setattr(streamed, "count", half(streamed.count))
    with pytest.raises(UserError, match="The data changed while they were read"):
        stream_statistics([config(tabletop)])


def half(count: Any) -> Any:
    def counted(counting: Any, tick: Any) -> Any:
        part = dataclasses.replace(counting.part, shards=counting.part.shards[1:])
        return count(dataclasses.replace(counting, part=part), tick)

    return counted


def test_the_command_line(tabletop, capsys) -> None:
    given = ["data", "stats", str(tabletop), "--json"]
    assert main(given) == 0
    told = capsys.readouterr()
    assert "stats: 28/28 episodes" in told.err
    assert main([*given, "--workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(told.out)
    assert main([*given, "--workers", "0"]) == 2
    assert "--workers must be at least 1, got 0." in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupt_ends_all_processes(tabletop) -> None:
    """While they still import, too: what they are interrupted in is not shown."""
    command = [sys.executable, "-m", "wamjax", "data", "stats", *[str(tabletop)] * 300]
    command += ["--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    there = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(there.read_text().split()) < 3:  # the two, and multiprocessing's tracker
        time.sleep(0.01)
    children = there.read_text().split()
    # As a terminal does it: to the whole group.
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "interrupted" in error
    assert "Traceback" not in error
    deadline = time.monotonic() + 10
    while any(pathlib.Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
