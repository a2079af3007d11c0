"""A run that was asked to end is told apart from one that is done."""

import pytest

from wamjax.cli import train
from wamjax.cli.main import UNFINISHED, main
from wamjax.train.stop import Stop


@pytest.mark.parametrize(("finished", "code"), [(True, 0), (False, UNFINISHED)])
def test_the_exit_code_says_whether_the_run_goes_on(finished, code, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train, "run_training", lambda *_: {"finished": finished, "step": 3})
    words = ["train", "--config", "configs/bridge_tiny.py", "--workdir", str(tmp_path), "--json"]
    assert main(words) == code
    assert '"step": 3' in capsys.readouterr().out


def test_a_handler_that_python_did_not_set_is_left_as_the_systems(monkeypatch):
    # What jax's preemption service sets for one host, signal.signal returns as None.
    set_to = []
    monkeypatch.setattr(
        "wamjax.train.stop.signal.signal", lambda _, handler: set_to.append(handler)
    )
    with Stop():
        pass
    assert set_to[-1] is not None
