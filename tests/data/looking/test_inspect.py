import json
import pathlib

import numpy as np
from PIL import Image

from tests.data.synthetic import LENGTHS, copy
from wamjax.data.files import tfrecord
from wamjax.data.files.images import is_black
from wamjax.data.looking.contact_sheet import contact_sheet
from wamjax.data.looking.inspect import report, report_text


def test_report_of_the_real_bridge_sample_names_its_defects(bridge_directory: pathlib.Path) -> None:
    found = json.loads(json.dumps(report(bridge_directory), allow_nan=False))
    train = found["splits"]["train"]
    assert (train["episodes"], train["steps"]) == (25, 250)
    assert train["length"] == {"min": 10, "median": 10, "max": 10}
    assert train["different_instructions"] == 4
    assert train["cameras"]["observation/image_3"]["episodes_with_picture"] == 0
    assert train["cameras"]["observation/image_0"]["size"] == [64, 64]
    told = "\n".join(found["suspicious"])
    for defect in (
        "train and val share 25 episodes",
        "train: observation/image_3 shows nothing in any episode",
        "has_image_0 is true in 0 episodes but observation/image_0 has a picture in 25",
        "is_last is never set",
        "25 of 250 actions are zero in all but the last dimension, 25 of them on the first step",
        "reward is always zero",
    ):
        assert defect in told
    assert "has_image_3" not in told
    text = report_text(found)
    assert "put carrot on plate" in text
    assert "3.5 MB in 1 shards" in text


def test_report_of_clean_data_has_no_suspicion_but_the_constant(tabletop: pathlib.Path) -> None:
    found = report(tabletop)
    assert found["splits"]["train"]["steps"] == sum(LENGTHS)
    assert found["splits"]["train"]["control_hz"] == [10.0]
    assert found["suspicious"] == [
        "train: action is constant in dimensions [3] of 7",
        "train: 1 episodes have fewer than two steps",
    ]


def test_bad_records_are_listed_not_refused(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = copy(tabletop, tmp_path / "data")
    shard = where / "tabletop-train.tfrecord-00002-of-00004"
    offset = tfrecord.index(shard)[1]
    shard.write_bytes(shard.read_bytes()[: offset + 50])
    found = report(where)
    [fault] = found["splits"]["train"]["faults"]
    assert f"{shard} at byte {offset}: the record is cut off (3 episodes)" == fault
    assert "1 records or images cannot be read" in found["suspicious"][-1]
    assert fault in report_text(found)
    contact_sheet(where, tmp_path / "sheet.png", episodes=14)


def test_contact_sheet_shows_frames_of_each_camera(
    bridge_directory: pathlib.Path, tabletop: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    path = contact_sheet(tabletop, tmp_path / "a" / "sheet.png", episodes=3, frames=5)
    picture = np.asarray(Image.open(path))
    assert picture.shape[1] == 128 + 5 * 116 + 4
    assert picture.std() > 20
    real = contact_sheet(bridge_directory, tmp_path / "bridge.png", episodes=2, frames=4)
    colours = np.asarray(Image.open(real))
    # Three cameras a block; the fourth is black and only named in the title.
    assert colours.shape[0] == 30 + 2 * (30 + 3 * 116 + 12)
    tile = colours[30 + 30 + 20 : 30 + 30 + 110, 128 + 20 : 128 + 110]
    assert not is_black(tile)
