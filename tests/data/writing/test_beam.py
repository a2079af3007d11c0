"""A store whose shards an Apache Beam pipeline made is the store of one process, byte for byte."""

import pathlib
import sys

import fsspec
import pytest

from tests.data.stores import files, make
from tests.data.synthetic import copy
from wamjax.cli.main import main
from wamjax.core.errors import UserError
from wamjax.data.files import tfrecord
from wamjax.data.files.paths import location
from wamjax.data.writing import beam as pipeline
from wamjax.data.writing.plan import Beam
from wamjax.data.writing.recoding import Form

# Of the older protobuf that Beam asks for.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CARD = pathlib.Path(__file__).parents[3] / "data" / "cards" / "tabletop.toml"
SMALL = Form(size=12)


@pytest.fixture(scope="module")
def wanted(tabletop, tmp_path_factory) -> dict[str, bytes]:
    made = tmp_path_factory.mktemp("wanted") / "store"
    return files(make(tabletop, made, SMALL, card=str(CARD)))


@pytest.fixture
def exchange(tmp_path) -> str:
    return f"file://{tmp_path}/exchange"


@pytest.fixture
def beam() -> None:
    pytest.importorskip("apache_beam")


needs_beam = [
    pytest.mark.beam,
    pytest.mark.usefixtures("beam"),
    pytest.mark.filterwarnings("ignore"),
]


class Here:
    """A pipeline that goes through its parts by itself, the last one first."""

    def __init__(self, options: object = None):
        self.parts: list = []

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __or__(self, step: object) -> "Here":
        match step:
            case ("Create", parts):
                self.parts = list(parts)[::-1]
            case ("Map", work):
                for part in self.parts:
                    work(part)
        return self


class Label(tuple):
    def __rrshift__(self, name: str) -> "Label":
        return self


class StandIn:
    """What of Beam the pipeline is written in."""

    Pipeline = Here

    @staticmethod
    def Create(parts: object) -> Label:  # noqa: N802
        return Label(("Create", parts))

    @staticmethod
    def Reshuffle() -> Label:  # noqa: N802
        return Label(("Reshuffle",))

    @staticmethod
    def Map(work: object) -> Label:  # noqa: N802
        return Label(("Map", work))


@pytest.mark.parametrize("handed_over", [False, True])
def test_shards_made_elsewhere_give_the_same_bytes(
    tabletop, wanted, tmp_path, monkeypatch, exchange: str, handed_over: bool
) -> None:
    monkeypatch.setattr(pipeline, "imported", lambda: (StandIn, list))
    given = Beam((), exchange if handed_over else None)
    store = make(tabletop, tmp_path / "store", SMALL, card=str(CARD), beam=given)
    assert files(store) == wanted
    if handed_over:
        assert location(exchange).is_dir()


def test_what_an_earlier_run_left_behind_the_address_is_replaced(
    tabletop, wanted, tmp_path, monkeypatch, exchange: str
) -> None:
    monkeypatch.setattr(pipeline, "imported", lambda: (StandIn, list))
    left = tmp_path / "exchange" / "train-00002"
    left.mkdir(parents=True)
    for name in ("shard.json", "other.npy"):
        (left / name).write_text("{}")
    store = make(
        tabletop, tmp_path / "store", SMALL, card=str(CARD), beam=Beam((), exchange), workers=1
    )
    assert files(store) == wanted
    assert not (left / "other.npy").exists()


def test_workers_that_share_nothing_are_told(tabletop, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "imported", lambda: (StandIn, list))
    monkeypatch.setattr(pipeline, "make", lambda _: None)
    with pytest.raises(UserError, match=r"The workers left no .* or give --beam-exchange"):
        make(tabletop, tmp_path / "store", SMALL, beam=Beam())


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--beam"], "--beam needs Apache Beam: install the extra"),
        (["--beam-option", "runner=DirectRunner"], "are for --beam: give that, too."),
        (["--beam-exchange", "gs://bucket/x"], "are for --beam: give that, too."),
    ],
)
def test_bad_input_is_one_sentence(tabletop, tmp_path, capsys, monkeypatch, flags, problem) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    given = ["data", "prepare", "--from", str(tabletop), "--out", str(tmp_path / "store")]
    assert main([*given, *flags]) == 2
    assert problem in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "store").exists()


class TestApacheBeam:
    """Where Beam is installed."""

    pytestmark = needs_beam

    @pytest.mark.parametrize("handed_over", [False, True])
    def test_the_command_line(self, tabletop, wanted, tmp_path, exchange, handed_over) -> None:
        given = ["data", "prepare", "--from", str(tabletop), "--out", str(tmp_path / "store")]
        given += ["--size", "12", "--shard-steps", "20", "--card", str(CARD), "--beam"]
        if handed_over:
            given += ["--beam-exchange", exchange]
        assert main(given) == 0
        assert files(tmp_path / "store") == wanted

    def test_the_direct_runner_with_processes(self, tabletop, wanted, tmp_path) -> None:
        options = ("direct_num_workers=2", "direct_running_mode=multi_processing")
        given = Beam(options)
        store = make(tabletop, tmp_path / "store", SMALL, card=str(CARD), beam=given)
        assert files(store) == wanted

    def test_bad_episodes_are_told_once(self, tabletop, tmp_path) -> None:
        directory = copy(tabletop, tmp_path / "data")
        path = sorted(directory.glob("*.tfrecord-*"))[1]
        data = bytearray(path.read_bytes())
        data[tfrecord.index(path)[2] + 40] ^= 1
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"1 of 14 episodes .* more than --bad-budget"):
            make(directory, tmp_path / "store", SMALL, beam=Beam())
        one = make(directory, tmp_path / "store", SMALL, beam=Beam(), bad_budget=0.1)
        other = make(directory, tmp_path / "other", SMALL, bad_budget=0.1)
        assert files(one) == files(other)

    def test_a_pipeline_that_fails_is_one_sentence(self, tabletop, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(fsspec, "filesystem", lambda *_: 1 / 0)
        with pytest.raises(UserError, match="The pipeline failed"):
            make(tabletop, tmp_path / "store", SMALL, beam=Beam((), "other://bucket/x"))
