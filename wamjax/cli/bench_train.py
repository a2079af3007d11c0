"""`wamjax bench train`: milliseconds a train step, FLOPs, memory, and what bounds it."""

import argparse
import dataclasses
import os
from typing import Any, get_args

import jax

from wamjax.cli import config_file, output
from wamjax.cli.bench_train_page import as_page, as_text
from wamjax.cli.recipes import built
from wamjax.cli.train import check_embodiments, check_widths, windows_for
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, keep_memory, versions, without_compile_cache
from wamjax.data import Loader
from wamjax.eval.plan.case import Training, case_of_config, case_of_recipe
from wamjax.eval.step_time import WARMUP, StepTime, peak_of, step_time
from wamjax.model.config import Remat
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.recipes.registry import RECIPES, find_recipe
from wamjax.train.run_config import RunConfig

DTYPES = {"tiny": "float32", "full": "bfloat16"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the bench."""
    parser.epilog = (
        "A recipe is trained on random values of the shapes that its encoders make; a config on\n"
        "its data, or on random frames with --random. The state is fresh, nothing is saved.\n\n"
        "Examples:\n"
        "  wamjax bench train --recipe fast_wam --batch 4\n"
        "  wamjax bench train --recipe fast_wam --size full --batch 32   (one H200)\n"
        "  wamjax bench train --config configs/bridge_tiny.py --config.data.dir=DIR\n"
        "  wamjax bench train --recipe all --page docs/results/train_step.md"
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:WHICH]",
        help="a file of configs/; --config.KEY=VALUE replaces a setting",
    )
    parser.add_argument("--recipe", help="a name of `wamjax recipes`, or all")
    parser.add_argument("--form", help="which form of the recipe (default: the usual one)")
    parser.add_argument("--size", choices=["tiny", "full"], default="tiny", help="default tiny")
    parser.add_argument(
        "--batch", type=int, help="examples a step (default: the config's, or 4 a device)"
    )
    parser.add_argument("--repeats", type=int, default=30, help="timed steps (default 30)")
    parser.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        help="of a recipe's products (default float32 for tiny, bfloat16 for full)",
    )
    parser.add_argument(
        "--remat",
        choices=get_args(Remat),
        help="what a recipe's backward pass makes anew (default none for tiny, full for full)",
    )
    parser.add_argument("--random", action="store_true", help="random frames for a config")
    output.arguments(parser, page="write a page there")


def checked(args: argparse.Namespace) -> list[str]:
    """Names of the recipes; none for a config.

    Raises:
        UserError: none or both of a config and a recipe, flags of the other, an unknown name, or
            a number out of range.
    """
    if (args.config is None) == (args.recipe is None):
        raise UserError("wamjax bench train needs either --config FILE or --recipe NAME.")
    for name in ("batch", "repeats"):
        value = getattr(args, name)
        if value is not None and not 1 <= value <= 100_000:
            raise UserError(f"--{name} must be from 1 to 100000, got {value}.")
    output.refuse_no_folder(args)
    if args.config is not None:
        for flag in ("form", "dtype", "remat"):
            if getattr(args, flag) is not None:
                raise UserError(f"--{flag} needs --recipe; a config has its own.")
        return []
    if args.overrides:
        raise UserError(f"{args.overrides[0].split('=')[0]} needs --config.")
    if args.random:
        raise UserError("--random needs --config; a recipe's values are random.")
    if args.recipe == "all" and args.form is not None:
        raise UserError("--form needs the name of one recipe.")
    names = list(RECIPES) if args.recipe == "all" else [find_recipe(args.recipe).name]
    for name in names:
        built(RECIPES[name], args.size, args.form)
    return names


def of_recipe(args: argparse.Namespace, name: str) -> Training:
    """A recipe on values."""
    remat: Any = args.remat or {"tiny": "none", "full": "full"}[args.size]
    rows = args.batch or 4 * jax.device_count()
    dtype = args.dtype or DTYPES[args.size]
    recipe = RECIPES[name]
    return case_of_recipe(recipe, rows, form=args.form, size=args.size, dtype=dtype, remat=remat)


def data_of(config: RunConfig, rows: int) -> Loader:
    """The batches of a run."""
    windows = windows_for(config, None)
    check_widths(config, windows)
    check_embodiments(config, windows)
    if config.data.latents is not None:
        raise UserError("bench train reads frames: leave config.data.latents out.")
    return Loader(windows, rows, 0, 1)


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Everything that is printed."""
    names, load = checked(args), os.getloadavg()
    config = None if names else config_file.load(args.config, args.overrides)
    if jax.default_backend() == "cpu":
        keep_memory()
    dtype = args.dtype or (DTYPES[args.size] if names else "float32")
    peak = peak_of(dtype)
    rows: list[StepTime] = []
    steps = WARMUP + args.repeats
    with (
        without_compile_cache(),
        Progress("bench train", steps * max(len(names), 1), "steps") as progress,
    ):
        if config is not None:
            case = case_of_config(config, args.batch)
            loader = None if args.random else data_of(config, case.rows)
            rows.append(
                step_time(
                    case,
                    make_mesh(config.mesh),
                    peak,
                    repeats=args.repeats,
                    loader=loader,
                    told=progress.advance,
                )
            )
        mesh = MeshConfig(data=1, fsdp=-1)
        for name in names:
            case = of_recipe(args, name)
            rows.append(
                step_time(case, make_mesh(mesh), peak, repeats=args.repeats, told=progress.advance)
            )
    return {
        "device": device_name(),
        "devices": jax.device_count(),
        "versions": versions(),
        "load_before": load,
        "load_after": os.getloadavg(),
        "dtype": dtype,
        "size": args.size if names else None,
        "peak": dataclasses.asdict(peak),
        "rows": [dataclasses.asdict(row) | {"bound": row.bound} | row.rates for row in rows],
    }


def run(args: argparse.Namespace) -> None:
    """Run the bench."""
    output.tell(args, measured(args), as_text, as_page)
