"""Which frame and action a token stands for, per recipe, against numbers written by hand."""

import dataclasses

import numpy as np
import pytest

from tests.recipes.conformance import tiny
from wamjax.cli.recipe_run import recipe_run
from wamjax.data.windows.windows import Plan
from wamjax.recipes import lingbot_va
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES
from wamjax.recipes.timeline import Timeline

# name -> (frames up to now, frames after now); UniVLA's latent words look on to the chunk's end
NEEDS = {
    "pi0": (1, 0), "pi05": (1, 0), "openvla_oft": (1, 0), "x_vla": (1, 0), "octo": (2, 0),
    "motus": (1, 2), "ge_act": (2, 2), "cosmos_policy": (1, 1), "lingbot_va": (2, 2),
    "ript_vla": (1, 0), "dreamzero": (3, 2), "fast_wam": (1, 2), "uwm": (1, 1), "hidden": (1, 2),
    "univla": (1, 2), "vla_jepa": (1, 2),
}  # fmt: skip
# Windows record nothing that these learn; a config refuses them.
REFUSED = {("lingbot_va", "async")}


@pytest.mark.parametrize("name", RECIPES)
def test_frames_needed(name):
    config = RecipeConfig(recipe=name)
    assert (config.history, config.future) == NEEDS[name]


def test_ge_acts_memory_is_sparse():
    """Frames at every second stride; the future follows stride by stride."""
    config = RecipeConfig(recipe="ge_act", frame_stride=3)
    run = recipe_run("ge_act")
    assert (config.history_stride, run.data.history_stride) == (6, 8)
    plan = Plan(config.history, config.future, 3, 8, history_stride=config.history_stride)
    assert plan.offsets.tolist() == [-6, 0, 3, 6]
    line = Timeline(tiny("ge_act", None))
    segments = [s for s in tiny("ge_act", None).training.segments if s.stream == "video"]
    assert [line.frames(s).tolist() for s in segments[::2]] == [[0, 1], [2, 3]]
    # What changes is counted from now, not from a frame of the memory.
    assert {line.reference(s) for s in segments if s.copy == "noisy"} == {1}


def test_a_run_whose_data_have_another_memory_is_refused():
    run = recipe_run("ge_act")
    with pytest.raises(ValueError, match=r"system.history_stride is 8 but data.history_stride is"):
        dataclasses.replace(run, data=dataclasses.replace(run.data, history_stride=None))


def test_what_a_value_is_of_is_what_the_chunk_leads_to():
    run = recipe_run("cosmos_policy")
    assert run.data.future * run.data.frame_stride == run.data.chunk == 8
    assert run.data.value_discount == 0.99
    with pytest.raises(ValueError, match=r"system.value_discount is 0.99 but data.value_disc"):
        dataclasses.replace(run, data=dataclasses.replace(run.data, value_discount=None))


def test_every_recipe_can_be_trained_on_windows():
    for name in RECIPES:
        for form in RECIPES[name].forms or ("",):
            if (name, form) in REFUSED:
                continue
            config = RecipeConfig(recipe=name, form=form)
            assert config.history >= 1
            assert config.chunk == (16 if form == "real_robot" else 8)


def test_an_episode_of_blocks_has_its_newest_block_after_now():
    line = Timeline(tiny("dreamzero", None))
    segments = tiny("dreamzero", None).training.segments
    actions = [line.actions(s) for s in segments if s.stream == "action"]
    np.testing.assert_array_equal(actions[0], np.arange(-8, 0))
    np.testing.assert_array_equal(actions[1], np.arange(8))
    clean = [line.frames(s).tolist() for s in segments if s.kind == "video/clean"]
    assert clean == [[0], [1, 2], [3, 4]]
    noisy = [s for s in segments if s.kind == "video/noisy"]
    # What changes is counted from the frame before the block.
    assert [line.reference(s) for s in noisy] == [0, 2]


def test_what_no_frame_precedes_is_not_predicted():
    """LingBot-VA's training denoises the first frames of an episode too, seeing none before."""
    line = Timeline(tiny("lingbot_va", None))
    noisy = [s for s in tiny("lingbot_va", None).training.segments if s.kind == "video/noisy"]
    assert [line.follows(s) for s in noisy] == [False, False, True, True]
    for name in ("dreamzero", "fast_wam", "uwm", "motus", "ge_act", "hidden"):
        noisy = [s for s in tiny(name, None).training.segments if s.kind == "video/noisy"]
        assert all(Timeline(tiny(name, None)).follows(s) for s in noisy), name


def test_actions_behind_a_frame_lead_to_it():
    """LingBot-VA: two past frames, two future ones, four actions lead to each."""
    line = Timeline(tiny("lingbot_va", None))
    segments = tiny("lingbot_va", None).training.segments
    found = {s.start: line.actions(s).tolist() for s in segments if s.kind == "action/noisy"}
    assert [found[start] for start in sorted(found)] == [
        [-8, -7, -6, -5], [-4, -3, -2, -1], [0, 1, 2, 3], [4, 5, 6, 7],
    ]  # fmt: skip


def test_read_outs_of_two_steps_look_at_two_frames():
    line = Timeline(tiny("octo", None))
    looks = [s for s in tiny("octo", None).training.segments if s.stream == "feature"]
    assert [line.look(s) for s in looks] == [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "nothing"}, "does not exist"),
        ({"recipe": "pi0", "form": "joint"}, "form 'joint' does not exist"),
        ({"recipe": "fast_wam", "image_size": 50}, "multiple of 4"),
        ({"recipe": "ge_act", "views": 1}, "needs 2 cameras"),
        ({"recipe": "pi0", "solver_steps": -1}, "must not be negative"),
    ],
)
def test_an_impossible_recipe_is_refused(settings, message):
    with pytest.raises(Exception, match=message):
        RecipeConfig(**settings)


@pytest.mark.parametrize(("form", "frames"), [("release", 2), ("paper", 2), ("real_robot", 4)])
def test_frames_are_as_far_apart_as_the_actions_between_them(form, frames):
    """LingBot-VA has four actions for each frame; others have none of their own for a frame."""
    config = RecipeConfig(recipe="lingbot_va", form=form, views=3)
    assert (config.by_frame, config.timeline.future) == (4, frames)
    with pytest.raises(ValueError, match="4 actions for each frame: frame_stride must be 4, got 2"):
        RecipeConfig(recipe="lingbot_va", form=form, views=3, frame_stride=2)
    assert RecipeConfig(recipe="ge_act", frame_stride=3).by_frame is None
    odd = dataclasses.replace(lingbot_va.ROBOTWIN["tiny"], chunk=9)
    with pytest.raises(ValueError, match="a chunk of 9 actions cannot be cut among 2 frames"):
        lingbot_va.piece(odd, "action", "noisy", 2)
