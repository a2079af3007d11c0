"""Memory is bounded by the budget in the config, and does not grow with the batches."""

import dataclasses
import pathlib

import numpy as np
import pytest

from tests.data.lerobot_sets import write_v21
from tests.data.sources.test_lerobot import CAMERAS
from tests.data.sources.test_lerobot import config as lerobot_config
from tests.data.synthetic import config, episode
from tests.memory import resident
from wamjax.data import Loader, Windows, compute_statistics, read_episodes, write_rlds
from wamjax.data.windows.members import members_of

MIB = 2**20
SIDE = 32


@pytest.fixture(scope="module")
def rlds(tmp_path_factory):
    made = (episode(number, 40, SIDE) for number in range(60))
    given = config(write_rlds(tmp_path_factory.mktemp("rlds"), "many", "1.0.0", made))
    return dataclasses.replace(given, image_size=SIDE, cameras=("image", "wrist_image"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return lerobot_config(write_v21(tmp_path_factory.mktemp("videos") / "set"), cameras=CAMERAS)


@pytest.mark.parametrize("budget", [0, MIB, 3 * MIB])
def test_kept_frames_stay_within_the_budget(rlds, budget):
    given = dataclasses.replace(rlds, cache_bytes=budget)
    table = read_episodes(given)
    windows = Windows(given, compute_statistics(given, table), table)
    assert windows.frames.store.nbytes <= budget
    # Whole episodes are kept, as many as fit.
    one = 40 * 2 * SIDE * SIDE * 3
    assert windows.frames.kept_episodes == budget // one


@pytest.mark.parametrize(("which", "batches"), [("rlds", 150), ("videos", 40)])
def test_memory_is_flat_over_batches(which, batches, request):
    given = request.getfixturevalue(which)
    given = dataclasses.replace(given, cache_bytes=MIB, prefetch=2)
    table = read_episodes(given)
    loader = Loader(Windows(given, compute_statistics(given, table), table), 16, 0, 1)
    for _ in range(batches // 3):
        next(loader)
    before = resident()
    for _ in range(batches):
        batch = next(loader)
    grown = resident() - before
    size = sum(
        np.asarray(value).nbytes
        for value in dataclasses.asdict(batch).values()
        if value is not None
    )
    loader.close()
    # Three batches are made ahead or held; more than that would be a leak.
    assert grown < 3 * size + 4 * MIB, f"{grown / MIB:.1f} MiB in {batches} batches"


def test_the_data_sets_of_a_mixture_share_the_budget(rlds, tmp_path):
    cards = pathlib.Path(__file__).resolve().parents[3] / "data" / "cards"
    (tmp_path / "m.toml").write_text("[x]\nweights = { tabletop = 1, viola = 1, toto = 2 }\n")
    for name in ("tabletop", "viola", "toto"):
        (tmp_path / name).mkdir()
    given = dataclasses.replace(
        rlds, dir="", mixture="x", mixtures=str(tmp_path / "m.toml"), root=str(tmp_path),
        cards=str(cards), cameras=("primary", "wrist"), cache_bytes=3000,
    )  # fmt: skip
    assert [member.config.cache_bytes for member in members_of(given)] == [1000] * 3
