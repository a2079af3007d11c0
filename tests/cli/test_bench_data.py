"""`wamjax bench data`: what it counts, and what it refuses."""

import json
import pathlib

import numpy as np
import pytest

from tests.data.synthetic import config, episodes
from wamjax.cli.main import main
from wamjax.data import Windows, compute_statistics, read_episodes, write_rlds
from wamjax.data.files.pictures import encoded
from wamjax.data.looking.speed import PARTS, measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / "configs" / "bridge_tiny.py")


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    directory = write_rlds(tmp_path_factory.mktemp("rlds"), "tabletop", "1.0.0", episodes())
    given = config(directory, cameras=("image", "wrist_image"), image_size=8)
    table = read_episodes(given)
    return Windows(given, compute_statistics(given, table), table)


def test_a_window_s_bytes_are_those_of_its_pictures(windows):
    speed = measure(windows, 4, 3)
    assert (speed.windows, speed.batch, speed.frames) == (12, 4, 2 * windows.config.frames)
    order, source = windows.order(), windows.episodes.source
    total = 0
    for i in range(12):
        number = int(order[i])
        row, episode = windows.index.row[number], windows.index.episode[number]
        start, length = windows.episodes.starts[episode], windows.episodes.lengths[episode]
        times = {min(int(row - start + step), int(length) - 1) for step in windows.plan.offsets}
        shown = source.pictures(windows.episodes.places[episode], windows.episodes.cameras)
        total += sum(len(image) for camera in shown for image in encoded(shown[camera], [*times]))
    assert speed.bytes == pytest.approx(total / 12)


def test_times_are_told_apart(windows):
    speed = measure(windows, 8, 4)
    assert {*speed.parts} == {*PARTS}
    assert all(seconds > 0 for seconds in speed.parts.values())
    assert 0 < speed.kept < speed.whole
    assert speed.rest >= 0
    assert speed.first > 0
    assert 0 < speed.p50 <= speed.p95
    assert speed.workers == windows.config.workers
    # What was measured has changed nothing: the frames are those of a loader that is not timed.
    numbers = np.arange(6)
    again = Windows(windows.config, windows.statistics, windows.episodes)
    np.testing.assert_array_equal(windows.batch(numbers).frames, again.batch(numbers).frames)


def test_it_prints_a_line_a_data_set(bridge_directory, capsys):
    words = ["bench", "data", "--config", CONFIG, f"--config.data.dir={bridge_directory}"]
    words += ["--config.train.batch=4", "--batches", "2"]
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert "frames of 64 pixels" in told[0]
    assert told[-1].split()[:3] == ["bridge_dataset", "tfrecord", "9"]
    assert main([*words, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["windows"], row["frames"]) == (8, 9)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config", CONFIG, "--batches", "0"], "--batches must be from 1 to 10000, got 0"),
        (["--config", CONFIG, "--config.data.dir=/nowhere"], "/nowhere is not a directory"),
        (["--config", CONFIG, "--config.data.speed=1"], "speed"),
    ],
)
def test_what_cannot_be_measured_is_refused(words, sentence, capsys):
    assert main(["bench", "data", *words]) == 2
    assert sentence in capsys.readouterr().err
