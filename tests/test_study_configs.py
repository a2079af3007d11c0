"""Every file of configs/studies/ is a study at all sizes, and what it compares is matched."""

import pathlib

import pytest

from wamjax.cli.study import budgets_of, load
from wamjax.cli.study_place import Place, manifest_of
from wamjax.cli.study_sizes import SIZES
from wamjax.eval.study.matching import unmatched
from wamjax.flow.levels import draw_levels

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "configs" / "studies").glob("*.py"))

pytestmark = pytest.mark.usefixtures("one_device")


def test_there_are_studies():
    assert {path.stem for path in FILES} >= {"joint_vs_two_stage", "cost", "sim_to_real"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", SIZES)
def test_a_study_is_named_by_its_file_and_has_worlds(path, size):
    study = load(str(path), size)
    assert study.name == path.stem
    assert len(study.seeds) >= 3
    assert {row["task"] for row in manifest_of(study).rows} == {*study.tasks}


@pytest.mark.parametrize(
    ("path", "size"),
    [
        pytest.param(
            path,
            size,
            id=f"{path.stem}-{size}",
            # Many programs to walk, or large ones.
            marks=[pytest.mark.slow] if size != "tiny" or path.stem == "recipes" else [],
        )
        for path in FILES
        for size in SIZES
    ],
)
def test_arms_are_matched(path, size):
    study = load(str(path), size)
    told = unmatched(study, budgets_of(study))
    assert {*told} <= {*study.differs}, told


def test_studies_of_one_workdir_share_their_trainings(tmp_path):
    """The same folder is the same config, whichever study asks for it."""
    configs = {}
    for path in FILES:
        place = Place(study=load(str(path), "tiny"), workdir=tmp_path)
        for run in place.study.runs:
            config = place.config_of(run)
            assert configs.setdefault(place.run_folder(run), config) == config
    # A study's own checkpoints are among those that every run keeps.
    steps = {config.train.steps // config.train.save_every for config in configs.values()}
    assert min(steps) >= 4


def test_shared_levels_are_one_level():
    import jax

    study = load(str(ROOT / "configs" / "studies" / "joint_vs_two_stage.py"), "tiny")
    system = study.arm("joint_shared").config.system
    video, action = draw_levels(system.levels, jax.random.key(0), 64).values()
    assert (video == action).all()
    # Both walk on one grid when they are sampled, too.
    sampler = system.sampler(system.program)
    assert sampler.video_shift == sampler.action_shift
