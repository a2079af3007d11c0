"""A workdir belongs to one config; a setting that is younger than it counts as left out."""

import pytest

from wamjax.core.errors import UserError
from wamjax.core.files import write_json
from wamjax.train.checkpoint import FOLDER
from wamjax.train.workdir import CONFIG, refuse_other_runs


def test_a_younger_setting_that_is_left_out_is_no_difference(tmp_path):
    (tmp_path / FOLDER / "10").mkdir(parents=True)
    write_json(tmp_path / CONFIG, {"system": {"chunk": 8}})
    for off in (None, False, "none"):
        refuse_other_runs(tmp_path, {"system": {"chunk": 8, "jump": off}})
    with pytest.raises(UserError, match=r"system.jump: 'absent' there, 0 here"):
        refuse_other_runs(tmp_path, {"system": {"chunk": 8, "jump": 0}})
    with pytest.raises(UserError, match=r"system.jump: 'absent' there, 'shortcut' here"):
        refuse_other_runs(tmp_path, {"system": {"chunk": 8, "jump": "shortcut"}})
    with pytest.raises(UserError, match=r"system.chunk: 8 there, 'absent' here"):
        refuse_other_runs(tmp_path, {"system": {"jump": None}})


def test_threads_that_read_are_no_part_of_a_run(tmp_path):
    """Of a run from before the setting, too."""
    (tmp_path / FOLDER / "10").mkdir(parents=True)
    for before in ({}, {"workers": 2}):
        write_json(tmp_path / CONFIG, {"data": {"seed": 1, **before}})
        refuse_other_runs(tmp_path, {"data": {"seed": 1, "workers": 4}})
