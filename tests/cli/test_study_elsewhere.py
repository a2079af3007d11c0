"""`wamjax study --also`: arms that another machine ran are neither trained nor tried again."""

import json
import pathlib

import pytest

from tests.cli.small_study import get_study
from tests.eval.study import made_up
from tests.eval.study.made_up import played
from wamjax.cli import study, study_run
from wamjax.cli.main import main
from wamjax.cli.study_place import Place
from wamjax.core.config import to_json
from wamjax.core.files import read_json, write_json
from wamjax.eval.study.records import COSTS, EPISODES, read_episodes, write_episodes
from wamjax.train.checkpoint import FOLDER
from wamjax.train.workdir import CONFIG

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = str(ROOT / "tests" / "cli" / "small_study.py")
RATES = {"direct": 0.3, "cotrain": 0.9}
WORLDS = {"clean": 4, "camera": 2, "light": 2}
STUDY = get_study()

pytestmark = pytest.mark.usefixtures("one_device")


def records(workdir: pathlib.Path, *arms: str, statistics: str = "of here") -> pathlib.Path:
    """As a machine leaves them that ran these arms."""
    place, folder = Place(study=STUDY, workdir=workdir), workdir / STUDY.name
    mine = [e for e in played(STUDY, RATES, worlds=WORLDS) if e.condition.split("/")[0] in arms]
    write_episodes(folder / EPISODES, mine)
    costs = made_up.costs(STUDY, made_up.budgets(STUDY))
    costs["runs"] = {
        run.name: costs["runs"][run.name]
        | {"content": place.content_of(run), "statistics": statistics}
        for run in STUDY.runs
        if run.arm.name in arms
    }
    costs["conditions"] = {
        key: told for key, told in costs["conditions"].items() if key.split("/")[0] in arms
    }
    write_json(folder / COSTS, costs | {"manifest_sha256": place.manifest.sha256})
    return workdir


@pytest.fixture
def untrained(monkeypatch) -> list[str]:
    """Which runs would have been trained; nothing is, and nothing is demonstrated."""
    asked: list[str] = []
    monkeypatch.setattr(study_run, "train", lambda place, run: asked.append(run.name))
    monkeypatch.setattr(
        study_run, "tried", lambda place, condition, runs, before: asked.append(condition.key)
    )
    monkeypatch.setattr(study, "demonstrate", lambda place, data: asked.append(data.name))
    return asked


def test_what_two_machines_ran_is_one_study(tmp_path, untrained, capsys):
    one, other = records(tmp_path / "one", "direct"), records(tmp_path / "other", "cotrain")
    words = ["study", SMALL, "--workdir", str(tmp_path / "all"), "--also", f"{one},{other}"]
    assert main([*words, "--page", str(tmp_path / "shown")]) == 0
    assert untrained == []
    folder = tmp_path / "all" / "small"
    assert read_episodes(folder / EPISODES) == list(played(STUDY, RATES, worlds=WORLDS))
    found = read_json(folder / "study.json")
    assert found["conditions"].keys() == {condition.key for condition in STUDY.conditions}
    assert found["manifest_sha256"] == Place(study=STUDY, workdir=one).manifest.sha256
    assert f"--also {one},{other}" in (tmp_path / "shown" / "small.md").read_text()
    assert (folder / "study.html").is_file()
    assert main(["study", SMALL, "--workdir", str(tmp_path / "all"), "--check"]) == 0
    # What was gathered is itself a source.
    words = ["study", SMALL, "--workdir", str(tmp_path / "b"), "--also", str(tmp_path / "shown")]
    assert main(words) == 0
    assert read_json(tmp_path / "b" / "small" / "study.json") == found


def test_what_nobody_ran_is_run(tmp_path, untrained):
    one = records(tmp_path / "one", "direct")
    words = ["study", SMALL, "--workdir", str(tmp_path / "all"), "--stage"]
    assert main([*words, "arms", "--also", str(one)]) == 0
    assert untrained == [
        "cotrain/clean/seed0", "cotrain/clean/seed1", "cotrain/clean/1/own/source"
    ]  # fmt: skip
    untrained.clear()
    assert main([*words, "prepare", "--also", str(one)]) == 0
    assert untrained == ["clean"]


def test_a_finished_training_of_another_config_is_refused(tmp_path, capsys):
    place = Place(study=STUDY, workdir=tmp_path)
    run = next(iter(STUDY.runs))
    folder, config = place.run_folder(run), to_json(place.config_of(run))
    (folder / FOLDER / "12").mkdir(parents=True)
    write_json(folder / "final.json", {"finished": True})
    write_json(folder / CONFIG, config)
    assert study_run.train(place, run) == {"finished": True}
    write_json(folder / CONFIG, config | {"train": config["train"] | {"learning_rate": 0.5}})
    assert main(["study", SMALL, "--workdir", str(tmp_path), "--stage", "arms"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "belongs to another config (train.learning_rate: 0.5 there" in told


def test_a_report_of_some_arms(tmp_path, untrained, capsys):
    one = records(tmp_path / "one", "direct")
    words = ["study", SMALL, "--workdir", str(tmp_path / "all"), "--also", str(one)]
    assert main([*words, "--arms", "direct"]) == 0
    found = read_json(tmp_path / "all" / "small" / "study.json")
    assert list(found["arms"]) == ["direct"]
    assert untrained == []
    assert main(["study", SMALL, "--workdir", str(tmp_path / "all"), "--check"]) == 0
    write_json(tmp_path / "all" / "small" / "study.json", found | {"arms": {"other": {}}})
    assert main(["study", SMALL, "--workdir", str(tmp_path / "all"), "--check"]) == 2
    assert "is of arms that small has not" in capsys.readouterr().err
    assert main([*words, "--arms", "cotrain"]) == 2
    assert "--arms leaves out direct, which the report needs" in capsys.readouterr().err


def test_other_demonstrations_are_told_or_refused(tmp_path, untrained, capsys):
    one = records(tmp_path / "one", "direct")
    other = records(tmp_path / "other", "cotrain", statistics="of there")
    words = ["study", SMALL, "--workdir", str(tmp_path / "all"), "--also", f"{one},{other}"]
    assert main(words) == 2
    told = "demonstrations clean are not the same numbers for direct and for cotrain"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "all" / "small" / "study.json").exists()
    assert main([*words, "--unmatched", "windows"]) == 0
    found = read_json(tmp_path / "all" / "small" / "study.json")
    assert found["unmatched"] == {"windows": [told]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda costs: costs | {"manifest_sha256": "0" * 64},
            "was tried in other worlds than this study's",
        ),
        (
            lambda costs: json.loads(json.dumps(costs).replace('"content": "', '"content": "x')),
            "was trained with another config than the study asks for now",
        ),
        (lambda costs: {"runs": {}}, "holds no costs of a study"),
    ],
)
def test_records_of_something_else_are_one_sentence(change, sentence, tmp_path, untrained, capsys):
    one = records(tmp_path / "one", "direct", "cotrain")
    path = one / "small" / COSTS
    write_json(path, change(read_json(path)))
    words = ["study", SMALL, "--workdir", str(tmp_path / "all"), "--also", str(one)]
    assert main(words) == 2
    assert sentence in capsys.readouterr().err.strip().splitlines()[-1]
    assert untrained == []


def test_a_folder_without_records_is_one_sentence(tmp_path, untrained, capsys):
    words = ["study", SMALL, "--workdir", str(tmp_path / "all"), "--also", str(tmp_path / "no")]
    assert main(words) == 2
    assert "does not exist" in capsys.readouterr().err.strip().splitlines()[-1]
