"""Statistics episode by episode are those of the whole, and look at no image."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from tests.data.stores import make
from tests.data.synthetic import config, episodes
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.data import compute_statistics
from wamjax.data.files import pictures
from wamjax.data.files.stored import Records
from wamjax.data.normalising.statistics import BINS
from wamjax.data.normalising.streamed import stream_statistics
from wamjax.data.writing.rlds import write_rlds

CARD = pathlib.Path(__file__).parents[3] / "data" / "cards" / "tabletop.toml"


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    out = tmp_path_factory.mktemp("second")
    return write_rlds(out, "tabletop", "1.0.0", episodes((30, 4)))


def test_they_are_those_of_a_scan(tabletop, bridge_directory) -> None:
    bridge = {"cameras": ("image_0",), "instruction_key": None}
    for given in (
        config(tabletop, holdout=0.0),
        config(tabletop, holdout=0.0, card=str(CARD), cameras=("wrist",)),
        config(bridge_directory, holdout=0.0, **bridge),
    ):
        assert stream_statistics([given]) == compute_statistics(given)


def test_several_data_sets_are_one(tabletop, second) -> None:
    found = stream_statistics([config(tabletop), config(second)])
    made = [*episodes(), *episodes((30, 4))]
    rows = np.concatenate([episode.actions[:-1] for episode in made]).astype(np.float64)
    assert (found.episodes, found.action.count) == (16, len(rows))
    np.testing.assert_allclose(found.action.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.action.std, rows.std(0), rtol=1e-12)
    bound = np.ptp(rows, axis=0) / (2 * BINS) + 1e-12
    assert (np.abs(np.quantile(rows, 0.99, axis=0) - found.action.q99) <= bound).all()
    assert len(found.fingerprint["members"]) == 2


def test_no_image_is_decoded_and_of_a_store_none_is_read(tabletop, tmp_path, monkeypatch) -> None:
    store = make(tabletop, tmp_path / "store")
    for place, name in ((Records, "read"), (pictures, "decode_each")):
        monkeypatch.setattr(place, name, lambda *_: pytest.fail("an image was looked at"))
    mine, theirs = (stream_statistics([config(directory)]) for directory in (store, tabletop))
    assert mine.fingerprint != theirs.fingerprint
    assert dataclasses.replace(mine, fingerprint=theirs.fingerprint) == theirs


def test_the_command_line(tabletop, second, capsys) -> None:
    both = ["data", "stats", str(tabletop), str(second)]
    assert main([*both, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["steps"] == 147
    assert main([*both, "--card", str(CARD), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["action"] == plain["action"]
    assert told["layouts"]["action"][6].startswith("right gripper 1 absolute")
    assert main([*both, "--card", "none.toml"]) == 2
    assert main([*both, "--bad-budget", "2"]) == 2
    assert main([*both, "--action-key", "none"]) == 2


def test_data_that_do_not_fit_together_are_refused(tabletop, bridge_directory) -> None:
    wide = config(tabletop, proprio_key=None, proprio_width=7)
    with pytest.raises(UserError, match="7 numbers an action and 0 a state, the data before have"):
        stream_statistics([config(tabletop), wide])
