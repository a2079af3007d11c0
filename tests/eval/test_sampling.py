"""The same weights sampled otherwise: what changes, what evaluations are told, what is refused."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.test_configs import ROOT, load
from wamjax.cli.recipe_run import recipe_run
from wamjax.core.errors import UserError
from wamjax.data.normalising.normalise import Normaliser
from wamjax.eval.trained_run import TrainedRun


def run(name: str) -> TrainedRun:
    """A run of that quick start, or of that recipe."""
    file = ROOT / "configs" / f"{name}.py"
    written = load(file).CONFIG if file.is_file() else recipe_run(name)
    nothing: Any = None
    return TrainedRun(config=written, statistics=nothing, weights={}, step=0, final=None)


def test_only_the_sampler_changes():
    joint = run("quickstart")
    other = joint.sampling("action_only", steps=8, temperature=0.5)
    assert other.weights is joint.weights
    system = other.config.system
    assert (system.program, system.solver_steps, system.temperature) == ("action_only", 8, 0.5)
    usual = dataclasses.replace(system, sampled=None, solver_steps=5, temperature=None)
    assert usual == joint.config.system
    assert other.sampling("joint", steps=5, temperature=1.0).config.system.program == "joint"
    assert joint.sampling() == joint
    assert not other.shows_future
    assert joint.sampling("video_then_action").shows_future
    assert run("fast_wam").sampling(steps=3).config.system.solver_steps == 3


def test_an_evaluation_is_told_what_is_not_usual(monkeypatch):
    ones = np.ones(7, np.float32)
    same = Normaliser(shift=0 * ones, scale=ones, inverse=ones, mask=ones > 0)
    for name in ("action_normaliser", "proprio_normaliser"):
        monkeypatch.setattr(TrainedRun, name, property(lambda self: same))
    monkeypatch.setattr(TrainedRun, "from_state", None)

    def told(trained):
        return trained.policy(("front", "wrist")).settings

    joint = run("quickstart")
    assert told(joint) == told(joint.sampling("joint", temperature=1.0)) == "euler 5"
    assert told(joint.sampling("video_then_action")) == "euler 5, video_then_action"
    assert told(joint.sampling("action_only", 3, 0.25)) == "euler 3, action_only, temperature 0.25"
    assert told(run("quickstart_inverse")) == "euler 5"
    assert told(run("fast_wam")) == "euler 0"


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("quickstart_direct", {"program": "joint"}, "direct cannot be sampled as joint: it denois"),
        ("quickstart", {"steps": 0}, "a sampler needs at least one step"),
        ("quickstart_shortcut", {"steps": 3}, "solver_steps must be one of 1, 2, 4, 8, 16"),
        ("quickstart", {"temperature": -1.0}, "temperature must not be negative"),
        ("fast_wam", {"program": "joint"}, "a recipe, whose sampler has no program; see its forms"),
        ("fast_wam", {"program": "joint", "temperature": 1.0}, "no program or temperature"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(name, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        run(name).sampling(**changes)
