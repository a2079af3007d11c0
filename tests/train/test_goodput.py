"""Where the time went: the parts are the whole, over kills, stops and going back."""

import json
import pathlib
import random
import time

import pytest

from tests.train.test_loop import TerminatedLoader, go, run
from tests.train.test_spikes import BrokenLoader
from wamjax.core.files import read_json
from wamjax.train.goodput import FILE, PARTS, Goodput


def test_the_parts_sum_to_the_wall_time(tmp_path: pathlib.Path):
    draws, began, spent = random.Random(1), time.monotonic(), 0.0
    for start in range(1, 4):
        account = Goodput(tmp_path)
        began = time.monotonic()
        for _ in range(30):
            with account.of(draws.choice(PARTS[:-1])):
                time.sleep(draws.uniform(0, 0.003))
        if start == 2:
            account.goes_on_from(None)
        spent += time.monotonic() - began
        account.write()
    told = read_json(tmp_path / FILE)
    assert told["starts"] == 3
    assert set(told["parts"]) == set(PARTS)
    assert sum(told["parts"].values()) == pytest.approx(told["wall"], abs=1e-6)
    assert told["wall"] == pytest.approx(spent, rel=0.05)
    assert told["parts"]["lost"] > 0
    assert min(told["parts"].values()) >= 0


def test_work_since_the_checkpoint_is_lost_and_no_more(tmp_path: pathlib.Path):
    account = Goodput(tmp_path)
    with account.of("step"):
        time.sleep(0.02)
    saved = json.loads(json.dumps(account.told()))
    with account.of("step"):
        time.sleep(0.03)
    with account.of("data"):
        time.sleep(0.01)
    account.write()
    again = Goodput(tmp_path)
    again.goes_on_from(saved)
    parts = again.told()["parts"]
    assert parts["step"] == saved["parts"]["step"]
    assert 0.04 <= parts["lost"] < 0.5
    # A second start from the same checkpoint loses nothing twice.
    again.goes_on_from(saved)
    assert again.told()["parts"]["lost"] == parts["lost"]


def test_a_damaged_account_is_begun_anew(tmp_path: pathlib.Path):
    (tmp_path / FILE).write_text('{"parts": {"step": 3')
    assert Goodput(tmp_path).told()["starts"] == 1


def test_a_run_accounts_for_all_of_its_starts(tmp_path: pathlib.Path):
    config = run(patience=3)
    began = time.monotonic()
    go(config, tmp_path, loader=TerminatedLoader(8, at=4), evaluate=lambda *_: {"eval/one": 1.0})
    loader = BrokenLoader(8, range(12, 15))
    final, said = go(config, tmp_path, loader=loader, evaluate=lambda *_: {"eval/one": 1.0})
    told = final["goodput"]
    assert told["starts"] == 2
    assert told["rollbacks"] == 1
    assert sum(told["parts"].values()) == pytest.approx(told["wall"], abs=1e-6)
    assert told["wall"] <= time.monotonic() - began
    assert all(told["parts"][name] > 0 for name in PARTS), told
    assert "in 2 start(s)" in said
    assert "1 rollback(s)" in said
    assert read_json(tmp_path / FILE)["wall"] >= told["wall"]
