"""Steps skipped again and again: back to a good checkpoint, past the data, and not for ever."""

import dataclasses
import pathlib
from typing import Any

import pytest

from tests.train.test_loop import TerminatedLoader, go, run
from tests.train.test_spikes import BrokenLoader
from tests.train.toy import ToyLoader
from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.train.config import StageConfig
from wamjax.train.intact import steps_in
from wamjax.train.metrics import read_metrics

# Batches 7 to 9 are broken: steps 8 to 10 are skipped.
BROKEN = range(7, 10)
CONFIG = run(patience=3, save_every=5, log_every=4)


class JumpingLoader(ToyLoader):
    """Good batches alone: 0 to 4, then those from 10 on, as after going back from 10 to 5."""

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            yield batch
            if self.next == 5 * self.batch:
                self.next = 10 * self.batch


def test_a_run_goes_back_and_passes_over_the_data(tmp_path: pathlib.Path):
    final, said = go(CONFIG, tmp_path / "back", loader=BrokenLoader(8, BROKEN))
    assert "3 steps in a row were skipped, up to step 10: goes back to step 5" in said
    assert "passes over data after step 5" in said
    assert final["rollbacks"] == [{"to": 5, "until": 10}]
    assert final["goodput"]["rollbacks"] == 1
    assert final["goodput"]["parts"]["lost"] > 0
    # The same weights as of a run that was never given those data.
    other, _ = go(CONFIG, tmp_path / "jump", loader=JumpingLoader(8))
    assert final["state_sha256"] == other["state_sha256"]
    steps = [row["step"] for row in read_metrics(tmp_path / "back")]
    assert steps == sorted({*steps})
    assert steps[-1] == 20


def test_where_rows_are_logged_does_not_matter(tmp_path: pathlib.Path):
    finals = []
    for every in (1, 4, 100):
        config = dataclasses.replace(
            CONFIG, train=dataclasses.replace(CONFIG.train, log_every=every)
        )
        loader = BrokenLoader(8, BROKEN)
        finals.append(go(config, tmp_path / str(every), loader=loader)[0]["state_sha256"])
    assert len({*finals}) == 1


class KilledAt(BrokenLoader):
    """Raises at the first batch after the jump, before anything is saved again."""

    def make(self, start: int) -> Any:
        if start == 11 * self.batch and self.armed:
            raise KeyboardInterrupt
        return super().make(start)

    armed = False

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.armed = True


def test_a_run_killed_right_after_it_went_back_passes_over_the_same_data(tmp_path: pathlib.Path):
    whole, _ = go(CONFIG, tmp_path / "whole", loader=BrokenLoader(8, BROKEN))
    with pytest.raises(KeyboardInterrupt):
        go(CONFIG, tmp_path / "killed", loader=KilledAt(8, BROKEN))
    rows = read_json(tmp_path / "killed" / "passed_over.json")
    assert rows["5"]["until"] == 10
    assert rows["5"]["data"]["next_example"] == 10 * 8
    final, said = go(CONFIG, tmp_path / "killed", loader=BrokenLoader(8, BROKEN))
    assert "passes over data after step 5" in said
    assert final["state_sha256"] == whole["state_sha256"]
    assert final["rollbacks"] == whole["rollbacks"]


def test_a_stop_among_skipped_steps_keeps_the_count(tmp_path: pathlib.Path):
    """The checkpoint saved there is not gone back to; the count goes on from it."""
    # Batches are made up to three steps ahead; whichever step hears the signal is a skipped one.
    config, broken = run(patience=6, save_every=5, log_every=4), range(7, 13)
    whole, _ = go(config, tmp_path / "whole", loader=BrokenLoader(8, broken))

    class Both(BrokenLoader, TerminatedLoader):
        def __init__(self, at: int):
            TerminatedLoader.__init__(self, 8, at)
            self.broken, self.value = broken, float("nan")

    stopped, _ = go(config, tmp_path / "stopped", loader=Both(at=11))
    assert 8 <= stopped["step"] <= 11
    final, said = go(config, tmp_path / "stopped", loader=BrokenLoader(8, broken))
    assert "it was saved among skipped steps" in said
    assert final["rollbacks"] == [{"to": 5, "until": 13}]
    assert final["state_sha256"] == whole["state_sha256"]


def test_without_a_checkpoint_it_goes_back_to_the_start(tmp_path: pathlib.Path):
    final, said = go(CONFIG, tmp_path, loader=BrokenLoader(8, range(1, 4)))
    assert "goes back to step 0" in said
    assert final["rollbacks"] == [{"to": 0, "until": 4}]
    assert final["step"] == 20


def test_a_run_goes_back_into_the_stage_before(tmp_path: pathlib.Path):
    stages = (
        StageConfig(name="a", fraction=0.4, objective="joint"),
        StageConfig(name="b", fraction=0.6, objective="joint"),
    )
    config = run(stages=stages, patience=3, save_every=7)
    final, said = go(config, tmp_path, loader=BrokenLoader(8, range(9, 12)))
    assert "goes back to step 7" in said
    assert said.count("stage a (joint)") == 2
    assert final["step"] == 20


def test_going_back_has_an_end(tmp_path: pathlib.Path):
    wanted = r"skipped up to step 8, though the run went back to step 5 3 times already; lower"
    with pytest.raises(UserError, match=wanted):
        go(CONFIG, tmp_path, loader=BrokenLoader(8, range(5, 1000)))
    with pytest.raises(UserError, match="3 times already"):
        go(CONFIG, tmp_path, loader=BrokenLoader(8, range(5, 1000)))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["5"]


def test_a_save_point_among_skipped_steps_waits_for_the_next_that_is_taken(tmp_path: pathlib.Path):
    config = run(patience=3, save_every=5, keep=9)
    go(config, tmp_path, loader=BrokenLoader(8, range(8, 10)))
    assert steps_in(tmp_path / "checkpoints") == [5, 11, 15, 20]


def test_skipped_steps_alone_do_not_hurt(tmp_path: pathlib.Path):
    final, _ = go(CONFIG, tmp_path, loader=BrokenLoader(8, range(7, 9)))
    assert final["rollbacks"] == []
    assert final["skipped_steps"] == 2
    rows = [row for row in read_metrics(tmp_path) if "loss" in row]
    assert sum(row["skipped"] for row in rows) == 2
