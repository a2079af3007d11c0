"""`--config FILE --config.key=value ...`: a config file with overrides, checked before anything."""

import argparse
import importlib.util
import inspect
import pathlib
import types

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
        metavar="FILE[:WHICH]",
        help="a file of configs/, and which of its variants; --config.KEY=VALUE replaces a setting",
    )


def module_of(file: str) -> types.ModuleType:
    """A file of configs/, run.

    Raises:
        UserError: it is missing, no Python file, or does not run.
    """
    path = pathlib.Path(file)
    if not path.is_file():
        raise UserError(f"{file} does not exist; give a file of configs/.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{file} is not a Python file; give a file of configs/.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError, NameError) as error:
        raise UserError(f"{file} does not run: {error}; correct it.") from error
    return module


def load(file: str, overrides: list[str]) -> RunConfig:
    """The run that a config file describes, with overrides.

    Raises:
        UserError: the file is missing or has no get_config, a key is unknown, a type is wrong.
    """
    name, colon, which = file.partition(":")
    module = module_of(name)
    if not hasattr(module, "get_config"):
        raise UserError(f"{file} has no get_config(); give --config a file of configs/.")
    if colon and not inspect.signature(module.get_config).parameters:
        raise UserError(f"{name} has no variants; leave out {colon}{which}.")
    values, argv = flags.FlagValues(), ["wamjax", *overrides]
    try:
        config = module.get_config(which) if colon else module.get_config()
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        values(argv)
        return from_flags(RunConfig, values.config)
    except UserError:
        raise
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        sentence = " ".join(str(error).strip("'\"").split())
        raise UserError(f"{file}: {sentence}") from error
