"""Bad input: one sentence, exit code 2, nothing overwritten."""

import shutil

import pytest

from tests.cli.made_data import make
from wamjax.cli.main import main
from wamjax.sim.manifest import build_manifest, save_manifest

pytestmark = pytest.mark.usefixtures("quick_to_compile", "one_device")


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_device):
    folder = tmp_path_factory.mktemp("made")
    directory, config = make(folder)
    workdir = folder / "run"
    assert main(train(config, directory, workdir)) == 0
    return directory, config, workdir


def train(config, directory, workdir, *overrides):
    return [
        "train",
        f"--config={config}",
        f"--config.data.dir={directory}",
        f"--workdir={workdir}",
        *overrides,
    ]


def snapshot(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def refused(capsys, argv, *words):
    """Run, and give the one sentence on standard error."""
    assert main(argv) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Traceback" not in error
    for word in words:
        assert word in error, error
    return error


def test_a_missing_directory(made, capsys, tmp_path):
    _, config, _ = made
    refused(capsys, train(config, tmp_path / "none", tmp_path / "w"), "none")
    assert not (tmp_path / "w").exists()


def test_a_directory_that_is_not_rlds(made, capsys, tmp_path):
    _, config, _ = made
    (tmp_path / "plain").mkdir()
    refused(capsys, train(config, tmp_path / "plain", tmp_path / "w"), "plain")


def test_a_truncated_shard(made, capsys, tmp_path):
    directory, config, _ = made
    copy = tmp_path / "square" / "1.0.0"
    shutil.copytree(directory, copy)
    shard = next(copy.glob("*.tfrecord*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    before = snapshot(copy)
    refused(capsys, train(config, copy, tmp_path / "w"), shard.name)
    assert snapshot(copy) == before


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("--config.train.stepz=3", ["stepz"]),
        ("--config.train.steps=many", ["steps"]),
        ("--config.train.steps=0", ["steps must be at least 1"]),
        ("--config.data.cameras=('front','wrist_image')", ["front"]),
        ("--config.data.chunk=5", ["chunk"]),
        ("--config.system.training=both", ["training", "joint"]),
        ("--config.system.action_dim=6", ["action_dim"]),
    ],
)
def test_a_wrong_setting(made, capsys, tmp_path, override, words):
    directory, config, _ = made
    refused(capsys, train(config, directory, tmp_path / "w", override), *words)


def test_a_config_file_that_is_not_there(capsys, tmp_path):
    refused(capsys, train(tmp_path / "no.py", tmp_path, tmp_path / "w"), "no.py")


def test_a_workdir_of_another_config(made, capsys):
    directory, config, workdir = made
    before = snapshot(workdir)
    refused(
        capsys,
        train(config, directory, workdir, "--config.train.learning_rate=0.5"),
        "train.learning_rate",
        "0.5",
    )
    assert snapshot(workdir) == before


def test_statistics_of_other_data(made, capsys, tmp_path):
    directory, config, _ = made
    other, _ = make(tmp_path / "other", seed=5)
    workdir = tmp_path / "w"
    assert main(train(config, other, workdir)) == 0
    ours = next(workdir.glob("wamjax_statistics_*.json"))
    mine = tmp_path / "mine"
    assert main(train(config, directory, mine)) == 0
    theirs = next(mine.glob("wamjax_statistics_*.json"))
    ours.write_bytes(theirs.read_bytes())
    capsys.readouterr()
    refused(capsys, train(config, other, workdir), "statistics")


def test_a_run_on_one_data_set_leaves_no_choice(made, capsys):
    here = ["--workdir", str(made[2]), "--data-set", "square"]
    for verb in ("sample", "eval"):
        refused(capsys, [verb, *here], "leave out --data-set")


def test_a_finished_run_is_left_alone(made):
    directory, config, workdir = made
    before = snapshot(workdir / "checkpoints")
    assert main(train(config, directory, workdir)) == 0
    assert snapshot(workdir / "checkpoints") == before


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["sample", "--workdir", "nowhere"], ["nowhere"]),
        (["eval", "--workdir", "nowhere", "--tasks", "juggle"], ["juggle", "reach"]),
        (["eval", "--workdir", "nowhere", "--axes", "smell"], ["smell", "camera"]),
        (["eval", "--workdir", "nowhere", "--severity", "2-9"], ["1..5"]),
        (["eval", "--workdir", "nowhere"], ["nowhere"]),
        (["demos", "--task", "juggle", "--out", "nowhere"], ["juggle", "reach"]),
        (["demos", "--task", "reach", "--episodes", "0", "--out", "nowhere"], ["at least 1"]),
        (["demos", "--task", "reach,juggle", "--out", "nowhere"], ["juggle", "reach"]),
        (["demos", "--task", "none", "--out", "nowhere"], ["task"]),
        (["demos", "--task", "reach", "--episodes", "-3", "--out", "nowhere"], ["at least", "-3"]),
        (
            ["demos", "--task", "reach", "--episodes", "5", "--randomised", "-1", "--out", "none"],
            ["--randomised -1"],
        ),
        (["demos", "--task", "reach", "--check", "-1", "--out", "nowhere"], ["--check", "-1"]),
        (["demos", "--task", "reach", "--shard", "0", "--out", "nowhere"], ["--shard", "0"]),
        (["demos", "--task", "reach", "--image-size", "0", "--out", "nowhere"], ["--image-size"]),
        (["demos", "--task", "reach", "--noise", "-1", "--out", "nowhere"], ["--noise"]),
        (["demos", "--task", "reach", "--noise", "nan", "--out", "nowhere"], ["--noise"]),
        (["demos", "--task", "reach", "--seed", "-1", "--out", "nowhere"], ["--seed", "0..1023"]),
        (["demos", "--task", "reach", "--seed", "1024", "--out", "nowhere"], ["--seed", "1024"]),
        (["demos", "--task", "reach,handover", "--out", "nowhere"], ["aloha and panda"]),
        (["eval", "--workdir", "nowhere", "--manifest", "slow"], ["slow"]),
        (["eval", "--workdir", "nowhere", "--severity", "6"], ["1..5", "6"]),
        (["eval", "--workdir", "nowhere", "--severity", "0"], ["1..5"]),
        (["eval", "--workdir", "nowhere", "--severity", "five"], ["five"]),
        (["eval", "--workdir", "nowhere", "--worlds", "-1"], ["at least one world"]),
        (["eval", "--workdir", "nowhere", "--tasks", "none"], ["task"]),
        (["data", "inspect", "nowhere"], ["nowhere"]),
    ],
)
def test_other_verbs(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(capsys, argv, *words)
    assert not list(tmp_path.iterdir())


def test_an_episode_that_cannot_be_looked_at(made, capsys, tmp_path, monkeypatch):
    directory, _, _ = made
    monkeypatch.chdir(tmp_path)
    look = ["data", "look", str(directory)]
    refused(capsys, [*look, "--episode", "12"], "no episode 12", "12 episodes")
    refused(capsys, [*look, "--episode", "-1"], "no episode -1")
    refused(capsys, [*look, "--episode", "0", "--split", "dev"], "'dev'", "train")
    refused(capsys, ["data", "look", "nowhere", "--episode", "0"], "nowhere")
    assert not list(tmp_path.iterdir())
    damaged = tmp_path / "square" / "1.0.0"
    shutil.copytree(directory, damaged)
    shard = next(damaged.glob("*.tfrecord*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    refused(
        capsys, ["data", "look", str(damaged), "--episode", "11"], "Episode 11", shard.name, "byte"
    )
    assert main(["data", "look", str(damaged), "--episode", "10"]) == 0
    assert (tmp_path / "square-train-episode-10.html").stat().st_size > 1000


def test_demos_do_not_overwrite(made, capsys, tmp_path):
    taken = tmp_path / "tabletop" / "1.0.0"
    taken.mkdir(parents=True)
    refused(capsys, ["demos", "--task", "reach", "--out", str(tmp_path)], "exists")


def test_a_data_set_that_exists_is_refused_before_any_work(capsys, tmp_path, monkeypatch):
    """The expert's 500 worlds are not played first."""
    (tmp_path / "tabletop" / "1.0.0").mkdir(parents=True)
    monkeypatch.setattr("wamjax.cli.demos.check_experts", lambda *_: pytest.fail("played"))
    refused(capsys, ["demos", "--task", "reach", "--out", str(tmp_path)], "exists")


@pytest.mark.parametrize(
    "wrong",
    [["--shard", "0"], ["--episodes", "0"], ["--task", "reach,handover"], ["--noise", "-1"]],
)
def test_wrong_demos_are_refused_before_any_work(capsys, tmp_path, monkeypatch, wrong):
    monkeypatch.setattr("wamjax.cli.demos.check_experts", lambda *_: pytest.fail("played"))
    refused(capsys, ["demos", "--task", "reach", "--out", str(tmp_path / "out"), *wrong])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def manifest(tmp_path):
    worlds = build_manifest(["reach"], ["camera"], clean=2, per_axis=2, severities=(1,), seed=0)
    return save_manifest(tmp_path / "worlds.json", worlds)


def evaluated(manifest, *more):
    return ["eval", "--workdir", "nowhere", "--manifest", str(manifest), *more]


def test_a_manifest_that_was_changed(capsys, manifest):
    text = manifest.read_text()
    manifest.write_text(text.replace('"severity": 1', '"severity": 2'))
    assert manifest.read_text() != text
    refused(capsys, evaluated(manifest), "worlds.json", "changed")


def test_a_manifest_without_the_task(capsys, manifest):
    refused(capsys, evaluated(manifest, "--tasks", "reach,push"), "no world of push", "reach")


def test_a_manifest_that_is_none(capsys, manifest, tmp_path):
    manifest.write_text("[1, 2")
    refused(capsys, evaluated(manifest), "worlds.json")
    manifest.write_text("{}")
    refused(capsys, evaluated(manifest), "not a manifest")
    refused(capsys, evaluated(tmp_path / "gone.json"), "gone.json")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["demos", "--task", "reach", "--out", "nowhere", "--physics", "warp"], ["mjx", "auto"]),
        (["demos", "--task", "reach", "--out", "nowhere", "--action", "polar"], ["ee_delta"]),
        (["demos", "--task", "reach", "--out", "nowhere", "--episodes", "many"], ["many"]),
        (["demos", "--task", "reach"], ["--out"]),
        (["eval", "--workdir", "nowhere", "--physics", "warp"], ["mjx", "auto"]),
        (["eval", "--workdir", "nowhere", "--preset", "hard"], ["hard", "libero_plus"]),
    ],
)
def test_choices_that_do_not_exist(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    for word in words:
        assert word in error, error
    assert not list(tmp_path.iterdir())


def test_an_unknown_verb_and_flag_exit_with_2(capsys):
    for argv in (["fly"], ["train"], ["doctor", "--wings"]):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 2
    assert main(["doctor", "--config.x=1"]) == 2
