"""Data sets that were interrupted: whole or not visible, and the same bytes as without a break."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests.data.synthetic import episode
from wamjax.cli import demos as module
from wamjax.cli.demos import Demos, write_demos
from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.core.runtime import once_jit
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.writing import rlds as writer
from wamjax.data.writing.rlds import Resumable, write_rlds
from wamjax.sim import demonstrations, drawing
from wamjax.sim.tasks.registry import TASKS

COUNT, SHARD = 8, 3


class KilledError(Exception):
    """In place of a killed process."""


def files(directory: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def numbered(stop: int | None = None, count: int = COUNT, log: list[int] | None = None):
    """A source of made-up episodes that breaks off after `stop` of them in all."""

    def start(position: Any) -> Iterator[tuple[Episode, Any]]:
        for number in range(0 if position is None else position["next"], count):
            if number == stop:
                raise KilledError
            if log is not None:
                log.append(number)
            yield episode(number, 4 + number % 3), {"next": number + 1}
        if stop == count:
            raise KilledError

    return start


def write(directory: pathlib.Path, start, identity: str = "one", shard: int = SHARD):
    made = Resumable(identity=identity, start=start)
    return write_rlds(directory, "tabletop", "1.0.0", made, shard_episodes=shard)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files(write(tmp_path_factory.mktemp("whole"), numbered()))


@pytest.mark.parametrize("stop", range(COUNT + 1))
def test_a_source_that_is_taken_up_again_gives_the_same_bytes(whole, tmp_path, stop: int) -> None:
    """Broken off before any episode, inside a shard, at its end, and after the last one."""
    with pytest.raises(KilledError):
        write(tmp_path, numbered(stop))
    # Nothing that a reader would take for a data set is there.
    assert not (tmp_path / "tabletop" / "1.0.0").exists()
    assert all(path.name.startswith(".") for path in (tmp_path / "tabletop").iterdir())
    log: list[int] = []
    done = write(tmp_path, numbered(log=log))
    assert files(done) == whole
    assert log == list(range(stop // SHARD * SHARD, COUNT))
    assert [path.name for path in done.parent.iterdir()] == ["1.0.0"]


def test_several_breaks_give_the_same_bytes(whole, tmp_path) -> None:
    for stop in (1, 4, 4, 7):
        with pytest.raises(KilledError):
            write(tmp_path, numbered(stop))
    assert files(write(tmp_path, numbered())) == whole


def test_a_plain_source_gives_the_same_bytes(whole, tmp_path) -> None:
    plain = (episode(number, 4 + number % 3) for number in range(COUNT))
    assert files(write_rlds(tmp_path, "tabletop", "1.0.0", plain, shard_episodes=SHARD)) == whole


@pytest.mark.parametrize("change", [{"identity": "two"}, {"shard": 2}])
def test_another_identity_starts_anew(tmp_path, change: dict[str, Any]) -> None:
    with pytest.raises(KilledError):
        write(tmp_path, numbered(7))
    log: list[int] = []
    done = write(tmp_path, numbered(log=log), **change)
    assert log == list(range(COUNT))
    other = tmp_path / "other"
    assert files(done) == files(write(other, numbered(), **change))
    assert len(RldsSource(done, "train")) == COUNT


def test_what_was_half_written_is_written_again(whole, tmp_path) -> None:
    """A killed process leaves torn shards behind the noted ones."""
    with pytest.raises(KilledError):
        write(tmp_path, numbered(5))
    work = tmp_path / "tabletop" / ".1.0.0.incomplete"
    assert json.loads((work / "progress.json").read_text())["lengths"] == [SHARD]
    (work / "shard-00001").write_bytes(b"torn")
    (work / "shard-00002").write_bytes(b"torn, too")
    assert files(write(tmp_path, numbered())) == whole


def test_a_kill_after_the_last_shard_or_while_they_are_named(whole, tmp_path, monkeypatch) -> None:
    """All shards are there, and some have their last names already; none is made again."""

    def killed(*args: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(writer, "_finish", killed)
        with pytest.raises(KilledError):
            write(tmp_path, numbered())
    work = tmp_path / "tabletop" / ".1.0.0.incomplete"
    (work / "shard-00000").rename(work / "tabletop-train.tfrecord-00000-of-00003")
    log: list[int] = []
    assert files(write(tmp_path, numbered(log=log))) == whole
    assert log == []


def test_an_episode_that_does_not_fit_is_refused_after_a_break(tmp_path) -> None:
    with pytest.raises(KilledError):
        write(tmp_path, numbered(SHARD))

    def start(position: Any) -> Iterator[tuple[Episode, Any]]:
        yield dataclasses.replace(episode(0, 4), metadata={"task": "reach"}), {"next": 1}

    with pytest.raises(ValueError, match="the first one"):
        write(tmp_path, start)
    assert not (tmp_path / "tabletop" / "1.0.0").exists()


def test_no_episode_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no episode"):
        write(tmp_path, numbered(count=0))


DEMOS = Demos(tasks=("reach", "lift"), clean=3, randomised=2, image_size=32, physics="c")
PER_TASK = DEMOS.clean + DEMOS.randomised


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        return write_demos(tmp_path_factory.mktemp("demos"), DEMOS, shard=2)


ENVS: dict[Any, Any] = {}


def drawn(spec, position, setting, tick, cameras, size, skin):
    """In place of the ray caster, which takes long to compile: stripes of state and look."""
    del spec, tick, skin
    seen = jnp.concatenate([position, setting.look.camera.position])
    row = 128 + 127 * jnp.sin(40 * jnp.resize(seen, size))
    return jnp.broadcast_to(row[:, None], (len(cameras), size, size, 3)).astype(jnp.uint8)


def small(patch: pytest.MonkeyPatch) -> None:
    """Batches of eight worlds, one camera, and one program per task and look for all runs."""
    collect, build = module.collect_from, module.TabletopEnv

    def environment(task, **options):
        key = (task, *sorted(options.items()))
        if key not in ENVS:
            ENVS[key] = build(task, cameras=("primary",), **options)
        return ENVS[key]

    patch.setattr(demonstrations, "program_jit", once_jit)
    patch.setattr(drawing, "frames", drawn)
    patch.setattr(module, "TabletopEnv", environment)
    patch.setattr(module, "collect_from", lambda *a, **k: collect(*a, **k, batch=8))


@pytest.mark.parametrize(
    "stop", [pytest.param(1, marks=pytest.mark.slow), 4, pytest.param(6, marks=pytest.mark.slow)]
)
def test_demonstrations_that_are_taken_up_again_are_the_same(
    demonstrated, tmp_path, monkeypatch, stop: int
) -> None:
    """Broken off in the first task, between its looks, and in the second task."""
    small(monkeypatch)
    source = module.episodes_from

    def breaking(demos: Demos, position: Any) -> Iterator[tuple[Episode, Any]]:
        for number, item in enumerate(source(demos, position)):
            if number == stop:
                raise KilledError
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(module, "episodes_from", breaking)
        with pytest.raises(KilledError):
            write_demos(tmp_path, DEMOS, shard=2)
    assert not (tmp_path / "tabletop" / "1.0.0").exists()
    assert files(write_demos(tmp_path, DEMOS, shard=2)) == files(demonstrated)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    demonstrated, tmp_path, monkeypatch
) -> None:
    small(monkeypatch)
    again = write_demos(tmp_path / "again", DEMOS, shard=2)
    assert files(again) == files(demonstrated)
    other = write_demos(tmp_path / "other", dataclasses.replace(DEMOS, seed=1), shard=2)
    shards = [name for name in files(other) if ".tfrecord" in name]
    assert all(files(other)[name] != files(demonstrated).get(name) for name in shards)


def test_looks_differ_and_are_recorded(demonstrated) -> None:
    source = RldsSource(demonstrated, "train")
    assert len(source) == 2 * PER_TASK
    episodes = [source.episode(number) for number in range(len(source))]
    told = [(item.metadata["task"], item.metadata["looks"]) for item in episodes]
    assert told == [
        (task, look)
        for task in DEMOS.tasks
        for look, count in (("clean", DEMOS.clean), ("randomised", DEMOS.randomised))
        for _ in range(count)
    ]
    for first in (0, PER_TASK):
        clean, randomised = episodes[first], episodes[first + DEMOS.clean]
        # The same world twice: the same start, another picture.
        assert clean.metadata["seed"] == randomised.metadata["seed"]
        starts = [item.steps["observation/state"][0] for item in (clean, randomised)]
        np.testing.assert_allclose(*starts, atol=1e-5)
        pictures = [bytes(item.steps["observation/image"][0]) for item in (clean, randomised)]
        assert pictures[0] != pictures[1]
    modes = {item.metadata["mode"] for item in episodes}
    assert modes <= {mode for task in DEMOS.tasks for mode in TASKS[task].modes}


def test_one_data_set_has_one_robot(tmp_path) -> None:
    robots = {task.scene.robot: name for name, task in TASKS.items()}
    assert len(robots) > 1
    mixed = dataclasses.replace(DEMOS, tasks=tuple(robots.values()))
    with pytest.raises(UserError, match=" and ".join(sorted(robots))):
        write_demos(tmp_path, mixed)
    assert not list(tmp_path.iterdir())
