"""Bad data: counted with file and offset, passed over within the budget, refused beyond it."""

import io
import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.data.synthetic import LENGTHS, config, copy
from wamjax.core.errors import UserError
from wamjax.data.episodes import read_episodes
from wamjax.data.files import example, tfrecord
from wamjax.data.normalising.statistics import compute_statistics
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.windows.pipeline import Windows, ordered_batches

Flat = dict[str, np.ndarray | list[bytes]]
SECOND = "tabletop-train.tfrecord-00001-of-00004"


def _rewrite(path: pathlib.Path, which: int, change: Callable[[Flat], None]) -> int:
    """Change one record of a shard; its offset."""
    payloads = [r.payload for r in tfrecord.scan(path) if isinstance(r, tfrecord.Record)]
    flat = example.decode(payloads[which])
    change(flat)
    payloads[which] = example.encode(flat)
    with tfrecord.Writer(path) as writer:
        for payload in payloads:
            writer.write(payload)
    return tfrecord.index(path)[which]


def _flip(path: pathlib.Path) -> int:
    offset = tfrecord.index(path)[1]
    data = bytearray(path.read_bytes())
    data[offset + 40] ^= 0x10
    path.write_bytes(data)
    return offset


def _nan(flat: Flat) -> None:
    np.asarray(flat["steps/action"])[3] = np.nan


def _one_frame_too_many(flat: Flat) -> None:
    images = flat["steps/observation/image"]
    assert isinstance(images, list)
    images.append(images[-1])


def _one_action_too_few(flat: Flat) -> None:
    flat["steps/action"] = np.asarray(flat["steps/action"])[:-7]


def _broken_shape(flat: Flat) -> None:
    flat["steps/action"] = np.asarray(flat["steps/action"])[:-1]


def _empty(flat: Flat) -> None:
    for name in list(flat):
        if name.startswith("steps/"):
            del flat[name]


def _no_state(flat: Flat) -> None:
    del flat["steps/observation/state"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (None, "checksum is wrong"),
        (_nan, "not finite at step 0"),
        (_one_frame_too_many, r"image has \d+ entries for \d+ steps"),
        (_one_action_too_few, r"entries for \d+ steps"),
        (_broken_shape, "does not fit its shape"),
        (_empty, "has no steps"),
        (_no_state, "state is missing"),
    ],
)
def test_a_bad_episode_is_counted_and_passed_over(
    tabletop: pathlib.Path,
    tmp_path: pathlib.Path,
    change: Callable[[Flat], None] | None,
    told: str,
) -> None:
    where = copy(tabletop, tmp_path / "data")
    shard = where / SECOND
    offset = _flip(shard) if change is None else _rewrite(shard, 1, change)
    with pytest.raises(UserError, match=rf"1 of 14 episodes .*{SECOND} at byte {offset}: .*{told}"):
        read_episodes(config(where))
    table = read_episodes(config(where, bad_budget=0.1))
    assert table.faults.count == 1
    assert table.lengths.tolist() == [*LENGTHS[:5], *LENGTHS[6:]]
    with pytest.raises(UserError, match=r"more than data\.bad_budget = 0\.05"):
        read_episodes(config(where, bad_budget=0.05))


def test_a_cut_shard_counts_all_its_missing_episodes(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    where = copy(tabletop, tmp_path / "data")
    shard = where / SECOND
    offsets = tfrecord.index(shard)
    shard.write_bytes(shard.read_bytes()[: offsets[2] + 30])
    with pytest.raises(UserError, match=rf"2 of 14 .*{SECOND} at byte {offsets[2]}: .*cut off"):
        read_episodes(config(where))
    table = read_episodes(config(where, bad_budget=0.2))
    assert table.lengths.tolist() == [*LENGTHS[:6], *LENGTHS[8:]]
    # Cut exactly between two records, only dataset_info.json knows that something is missing.
    shard.write_bytes(shard.read_bytes()[: offsets[2]])
    with pytest.raises(UserError, match="the shard ends after 2 of 4 episodes"):
        read_episodes(config(where))


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_gives_wrong_data(
    tabletop: pathlib.Path, tmp_path: pathlib.Path, seed: int
) -> None:
    """Any damage to a shard is found: what is still read equals what was written."""
    draw = np.random.default_rng(seed)
    where = copy(tabletop, tmp_path / "data")
    shard = where / SECOND
    data = bytearray(shard.read_bytes())
    for place in draw.integers(0, len(data), 3):
        data[place] ^= int(draw.integers(1, 256))
    if seed % 2:
        del data[int(draw.integers(0, len(data))) :]
    shard.write_bytes(data)
    whole = read_episodes(config(tabletop))
    table = read_episodes(config(where, bad_budget=0.99))
    assert table.faults.count == len(whole) - len(table) > 0
    assert set(table.contents) <= set(whole.contents)


def test_a_camera_without_one_readable_image_is_counted_not_called_missing(
    tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    where = copy(tabletop, tmp_path / "data")

    def spoil(flat: Flat) -> None:
        images = flat["steps/observation/image"]
        flat["steps/observation/image"] = [bytes(image)[:50] for image in images]

    _rewrite(where / "tabletop-train.tfrecord-00000-of-00004", 0, spoil)
    settings = config(where, part="all", bad_budget=0.05)
    windows = Windows(settings, compute_statistics(settings))
    batch = next(ordered_batches(windows, LENGTHS[0]))
    assert batch.camera_mask.all()
    assert not batch.frame_mask[: LENGTHS[0] - 1].any()
    assert windows.frames.ledger.count == LENGTHS[0]


@pytest.mark.parametrize("cache", [2**20, 0])
def test_an_undecodable_image_is_masked_and_stood_in_for(
    tabletop: pathlib.Path, tmp_path: pathlib.Path, cache: int
) -> None:
    where = copy(tabletop, tmp_path / "data")

    def spoil(flat: Flat) -> None:
        images = flat["steps/observation/image"]
        assert isinstance(images, list)
        images[2] = images[2][:60]

    offset = _rewrite(where / "tabletop-train.tfrecord-00000-of-00004", 0, spoil)
    settings = config(where, part="all", bad_budget=0.01, cache_bytes=cache)
    statistics = compute_statistics(settings)
    windows = Windows(settings, statistics)
    batch = next(ordered_batches(windows, 3))
    assert batch.frame_mask[:, 0].tolist() == [True, True, False]
    assert batch.frames[2, 0, 0, 0, 0].tolist() == [8, 1 + 8, 8]
    [fault] = windows.frames.ledger.faults
    assert (fault.offset, fault.problem) == (
        offset,
        "steps/observation/image at step 2 cannot be decoded",
    )
    strict = Windows(config(where, part="all", cache_bytes=cache), statistics)
    with pytest.raises(UserError, match=r"1 of 226 images of .* at step 2 cannot be decoded"):
        list(ordered_batches(strict, 3))


def test_a_black_or_empty_camera_is_masked(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = copy(tabletop, tmp_path / "data")
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG")

    def blacken(flat: Flat) -> None:
        count = len(flat["steps/observation/wrist_image"])
        flat["steps/observation/wrist_image"] = [file.getvalue()] * count

    def remove(flat: Flat) -> None:
        flat["steps/observation/image"] = [b""] * len(flat["steps/observation/image"])

    _rewrite(where / SECOND, 0, blacken)
    _rewrite(where / SECOND, 2, remove)
    settings = config(where, part="all")
    table = read_episodes(settings)
    expected = np.ones((14, 2), bool)
    expected[4, 1] = expected[6, 0] = False
    np.testing.assert_array_equal(table.camera_ok, expected)
    windows = Windows(settings, compute_statistics(settings, table), table)
    batch = windows.batch(np.arange(len(windows)))
    np.testing.assert_array_equal(batch.camera_mask, expected[windows.index.episode])
    assert not batch.frames[~batch.camera_mask].any()


def test_not_a_data_set_is_one_sentence(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="is not a directory"):
        RldsSource(tmp_path / "none", "train")
    with pytest.raises(UserError, match="not an RLDS data set directory"):
        RldsSource(tmp_path, "train")
    with pytest.raises(UserError, match="no split 'test': choose one of train"):
        RldsSource(tabletop, "test")
    where = copy(tabletop, tmp_path / "data")
    (where / SECOND).rename(tmp_path / "away")
    with pytest.raises(UserError, match=rf"{SECOND} is missing"):
        RldsSource(where, "train")
    (tmp_path / "away").rename(where / SECOND)
    features = json.loads((where / "features.json").read_text())
    del features["featuresDict"]["features"]["steps"]
    (where / "features.json").write_text(json.dumps(features))
    with pytest.raises(UserError, match="is not RLDS"):
        RldsSource(where, "train")
    (where / "features.json").write_text('{"pythonClassName": "no.such.Feature"}')
    with pytest.raises(UserError, match="names the class"):
        RldsSource(where, "train")
    (where / "features.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        RldsSource(where, "train")
