"""What starts wamjax elsewhere: the shell is correct, and the command is one that wamjax takes."""

import argparse
import os
import pathlib
import shlex
import subprocess

import pytest

from wamjax.cli import data
from wamjax.data.files.paths import Remote, location

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
NAMES = {"PROJECT": "my-project", "REGION": "europe-west4", "BUCKET": "gs://my-bucket"}


def dry(*arguments: str, **names: str) -> subprocess.CompletedProcess:
    """What launch/dataflow_prepare.sh would run."""
    return subprocess.run(
        ["bash", str(LAUNCH / "dataflow_prepare.sh"), *arguments],
        env={**os.environ, "DRY": "1", **names},
        capture_output=True,
        text=True,
        check=False,
    )


def parsed(line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    data.arguments(parser)
    words = shlex.split(line.removeprefix("+ "))
    assert words[:3] == ["wamjax", "data", "prepare"]
    return parser.parse_args(words[2:])


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.sh")), ids=lambda path: path.name)
def test_the_shell_reads_it(path: pathlib.Path) -> None:
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


@pytest.mark.parametrize("image", ["", "europe-docker.pkg.dev/my-project/wamjax:1"])
def test_dataflow_gets_a_command_that_wamjax_takes(image: str) -> None:
    given = ("gs://data/droid/1.0.1", "stores/My_Droid", "--size", "128", "--card", "droid.toml")
    done = dry(*given, **NAMES, IMAGE=image)
    assert done.returncode == 0, done.stderr
    args = parsed(done.stdout.strip())
    assert (args.source, args.out, args.size, args.card) == (given[0], given[1], "128", given[5])
    assert args.beam
    assert isinstance(location(args.beam_exchange), Remote)
    options = dict(option.split("=", 1) for option in args.beam_option)
    assert options["runner"] == "DataflowRunner"
    assert options["job_name"] == "wamjax-prepare-my-droid"
    assert ("sdk_container_image" in options) == bool(image)
    assert ("setup_file" in options) != bool(image)


def test_what_is_missing_is_told() -> None:
    assert dry("gs://data/x", "store", PROJECT="", REGION="r", BUCKET="gs://b").returncode != 0
    told = dry()
    assert told.returncode == 2
    assert "Usage: PROJECT=" in told.stderr


@pytest.mark.beam
@pytest.mark.filterwarnings("ignore")
def test_beam_knows_every_option() -> None:
    pytest.importorskip("apache_beam")
    from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
        PipelineOptions,
    )

    args = parsed(dry("gs://data/x", "store", **NAMES).stdout.strip())
    flags = [f"--{option}" for option in args.beam_option]
    known = PipelineOptions(flags).get_all_options(drop_default=True)
    assert set(known) == {option.partition("=")[0] for option in args.beam_option}
