"""Configs of runs that were written before some settings were there are read as they were meant."""

import dataclasses
import pathlib

from wamjax.cli.study_sizes import base_run
from wamjax.core.config import difference, from_json, to_json
from wamjax.core.files import read_json
from wamjax.recipes.tabletop import tabletop
from wamjax.train.run_config import RunConfig

# config.json of a run of the study joint_vs_two_stage, as version 0.1.0 wrote it in November 2026.
EARLIER = pathlib.Path(__file__).parent / "earlier_run.json"


def test_an_earlier_run_has_the_config_that_its_study_gives_now():
    stored = read_json(EARLIER)
    found = from_json(RunConfig, stored)
    run = base_run("tiny")
    now = dataclasses.replace(
        run,
        name=found.name,
        system=tabletop("two_stage"),
        data=dataclasses.replace(run.data, dir="demos"),
        train=dataclasses.replace(run.train, save_every=300, keep=4),
    )
    assert difference(to_json(found), to_json(now)) == []
    # Some settings are newer than that run.
    assert "kind" not in stored["system"]["text"]
