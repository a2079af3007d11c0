"""`--config FILE --config.key=value ...`: a config file with overrides, checked before anything."""

import argparse
import pathlib

from absl import flags
from ml_collections import config_flags  # noqa: TID251  (the command line is the other door)

from wamjax.core.config import from_flags
from wamjax.core.errors import UserError
from wamjax.train.run_config import RunConfig


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add --config; overrides stay among the unknown arguments."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE",
        help="a file of configs/; --config.KEY=VALUE replaces a setting",
    )


def load(file: str, overrides: list[str]) -> RunConfig:
    """The run that a config file describes, with overrides.

    Raises:
        UserError: the file is missing or has no get_config, a key is unknown, a type is wrong.
    """
    path = pathlib.Path(file)
    if not path.is_file():
        raise UserError(f"{file} does not exist; give --config a file of configs/.")
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    try:
        values(["wamjax", f"--config={path}", *overrides])
        return from_flags(RunConfig, values.config)
    except UserError:
        raise
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        sentence = " ".join(str(error).strip("'\"").split())
        raise UserError(f"{file}: {sentence}") from error
