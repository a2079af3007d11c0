import dataclasses

import pytest

from wamjax.core.config import from_flags, from_json, to_flags, to_json
from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.recipes.config import CodecConfig, SystemConfig
from wamjax.recipes.objectives import STAGES
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.train.augment import OCTO
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.run_config import SAME, RunConfig, stages_for
from wamjax.train.workdir import refuse_other_config

RUN = RunConfig(name="run", system=SystemConfig(), data=DataConfig(dir="somewhere"))


def test_a_run_comes_back_from_flags_and_json():
    assert from_flags(RunConfig, to_flags(RUN)) == RUN
    assert from_json(RunConfig, to_json(RUN)) == RUN


@pytest.mark.parametrize("name", SAME)
def test_system_and_data_must_agree(name: str):
    flags = to_flags(RUN)
    flags.data[name] = (flags.data[name] or 0) + 1
    with pytest.raises(UserError, match=rf"system\.{name} is (\d+|None) but data\.{name} is \d+"):
        from_flags(RunConfig, flags)


def test_a_run_from_before_embodiments_and_sparse_memories_still_opens():
    run = dataclasses.replace(
        RUN,
        system=RecipeConfig(recipe="x_vla"),
        data=dataclasses.replace(RUN.data, history=1, future=0),
    )
    old = to_json(run)
    assert old["system"].pop("embodiment") is None
    assert old["data"].pop("history_stride") is None
    younger = {"relative": False, "goal": "none", "only_solved": False, "idle": None, "workers": 2}
    for name, value in younger.items():
        assert old["data"].pop(name) == value
    assert from_json(RunConfig, old) == run


def test_a_run_from_before_programs_and_temperatures_still_opens_and_goes_on():
    old, now = to_json(RUN), to_json(RUN)
    for name in ("sampled", "temperature", "feature_weight", "without"):
        assert old["system"].pop(name) is None
    assert from_json(RunConfig, old) == RUN
    refuse_other_config("it belongs", old, now)


def test_there_is_a_view_for_every_camera():
    flags = to_flags(RUN)
    flags.data.cameras = ("image",)
    with pytest.raises(UserError, match=r"system\.views is 2"):
        from_flags(RunConfig, flags)


def test_stages_follow_the_objective_unless_they_are_given():
    for training in STAGES:
        system = dataclasses.replace(RUN.system, training=training)
        stages = dataclasses.replace(RUN, system=system).stages
        assert stages == stages_for(system)
        assert sum(stage.fraction for stage in stages) == pytest.approx(1.0)
    given = (StageConfig(name="mine", objective="cotrain"),)
    assert dataclasses.replace(RUN, train=TrainConfig(stages=given)).stages == given


def test_an_objective_that_the_system_does_not_have_is_refused():
    value = to_json(dataclasses.replace(RUN, train=TrainConfig(stages=(StageConfig(),))))
    value["train"]["stages"][0]["objective"] = "dream"
    with pytest.raises(UserError, match=r"stage main asks for 'dream'; .* joint"):
        from_json(RunConfig, value)
    # It has weights that the others lack.
    value["train"]["stages"][0]["objective"] = "latent"
    with pytest.raises(UserError, match="stage main asks for 'latent'"):
        from_json(RunConfig, value)


def test_latents_leave_the_codec_and_the_pictures_as_they_are():
    system = dataclasses.replace(RUN.system, codec=CodecConfig(kind="autoencoder"))
    on_frames = dataclasses.replace(RUN, system=system)
    data = dataclasses.replace(RUN.data, latents="somewhere")
    assert [stage.name for stage in on_frames.stages] == ["codec", "joint"]
    [joint] = dataclasses.replace(on_frames, data=data).stages
    assert (joint.name, joint.fraction) == ("joint", 1.0)
    with pytest.raises(ValueError, match=r"leave train\.augment out"):
        dataclasses.replace(on_frames, data=data, train=TrainConfig(augment=OCTO))
    with pytest.raises(ValueError, match=r"stage codec trains the codec.*leave the stage out"):
        dataclasses.replace(on_frames, data=data, train=TrainConfig(stages=on_frames.stages))


def test_a_run_from_before_latents_still_opens():
    old = to_json(RUN)
    assert old["data"].pop("latents") is None
    assert from_json(RunConfig, old) == RUN
