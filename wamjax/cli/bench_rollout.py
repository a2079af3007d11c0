"""`wamjax bench rollout`: episodes per second of a whole evaluation, beside the plain loop."""

import argparse
import dataclasses
import json
import os
import pathlib
import re
from typing import Any, cast

from wamjax.cli.worlds import names
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, versions, without_compile_cache
from wamjax.eval.bench import LOOPS, Check, Span, Speed, measure
from wamjax.eval.bench_case import HEADS, Case
from wamjax.eval.bench_operations import bounds
from wamjax.eval.trained_run import open_run
from wamjax.sim.render import opengl
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.stepping import PHYSICS, Physics, Resolved, resolve
from wamjax.sim.tasks.registry import TASKS, find_task

BOUND_CAMERAS = ("primary", "wrist")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the bench."""
    parser.epilog = (
        "Example:\n  wamjax bench rollout --task stack --size 64 --cameras primary --worlds 64 "
        "--physics c,mjx --against loop"
    )
    parser.add_argument("--task", default="stack", help=f"one of: {', '.join(TASKS)}")
    parser.add_argument("--size", type=int, help="pixels of the square pictures (default 64)")
    parser.add_argument("--cameras", default="primary", help="of the robot's (default primary)")
    parser.add_argument("--worlds", type=int, default=64, help="episodes at once (default 64)")
    parser.add_argument(
        "--policy",
        default="48x2",
        metavar="WIDTHxDEPTH",
        help="the quick start's system, untrained, of this size (default 48x2, 0.4 M parameters; "
        "the quick start's own is 96x3)",
    )
    parser.add_argument("--workdir", help="the policy of this run of `wamjax train` instead")
    parser.add_argument(
        "--physics",
        default="auto",
        help="of: c, mjx, auto, separated by commas (default auto, the faster one for the device)",
    )
    parser.add_argument(
        "--against",
        choices=["loop"],
        help="also time the plain loop: C MuJoCo, OpenGL world by world, the same policy",
    )
    parser.add_argument(
        "--horizon", type=int, help="control steps per episode (default the task's)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws")
    parser.add_argument("--json", action="store_true", help="print JSON")


def chosen_case(args: argparse.Namespace) -> Case:
    """What the flags ask for.

    Raises:
        UserError: an unknown name, or a number out of range.
    """
    task = find_task(args.task)
    cameras = names(args.cameras, find_robot(task.scene.robot).cameras, "--cameras")
    shape = re.fullmatch(r"(\d{1,4})x(\d{1,3})", args.policy)
    if shape is None:
        raise UserError(f"--policy must look like 48x2, got {args.policy!r}.")
    width, depth = (int(number) for number in shape.groups())
    size = 64 if args.size is None else args.size
    case = Case(
        task=task.name,
        size=size,
        cameras=cameras,
        worlds=args.worlds,
        horizon=task.horizon if args.horizon is None else args.horizon,
        width=width,
        depth=depth,
        seed=args.seed,
    )
    if args.workdir is not None:
        case = of_run(case, args.workdir, args.size)
    for flag, value, least, most in (
        ("--size", case.size, 16, 1024),
        ("--worlds", case.worlds, 1, 65536),
        ("--horizon", case.horizon, 1, 10000),
        ("--repeats", args.repeats, 1, 1000),
    ):
        if not least <= value <= most:
            raise UserError(f"{flag} must be from {least} to {most}, got {value}.")
    if not cameras:
        raise UserError("--cameras names no camera; a policy needs one.")
    if case.size % 16:
        raise UserError(f"--size must be a multiple of 16, the policy's patches; got {case.size}.")
    if width % (4 * HEADS) or not width or not depth:
        raise UserError(
            f"--policy must have a width in steps of {4 * HEADS} and a depth from 1, "
            f"got {args.policy!r}."
        )
    return case


def of_run(case: Case, workdir: str, size: int | None) -> Case:
    """The case with the pictures and words that a trained run reads.

    Raises:
        UserError: there is no such run, or it was trained with other pictures.
    """
    system = open_run(pathlib.Path(workdir)).config.system
    if size is not None and size != system.image_size:
        raise UserError(f"that run reads pictures of {system.image_size} pixels; leave --size out.")
    if len(case.cameras) != system.views:
        raise UserError(f"that run looks through {system.views} cameras; name them by --cameras.")
    return dataclasses.replace(
        case, workdir=workdir, size=system.image_size, text_length=system.text_length
    )


def chosen_physics(text: str) -> tuple[Resolved, ...]:
    """ "c,mjx" -> ("c", "mjx"); "auto" is what it means here.

    Raises:
        UserError: an unknown name.
    """
    asked = text.split(",")
    for name in asked:
        if name not in PHYSICS:
            raise UserError(f"--physics: {name!r} does not exist; known: {', '.join(PHYSICS)}.")
    return tuple(dict.fromkeys(resolve(cast(Physics, name)) for name in asked))


def run(args: argparse.Namespace) -> None:
    """Run the bench."""
    case, physics = chosen_case(args), chosen_physics(args.physics)
    library = None
    if args.against is not None:
        library = opengl.backend()
        if library is None:
            raise UserError(f"--against loop cannot be done: {opengl.MISSING}.")
    load = os.getloadavg()
    total = 2 * len(physics) + 1 + args.repeats
    with without_compile_cache(), Progress("bench rollout", total, "pieces") as progress:
        found = measure(
            case,
            physics,
            args.repeats,
            library=library,
            advance=lambda note: progress.advance(note=note),
        )
        seen = dataclasses.replace(case, cameras=BOUND_CAMERAS) if case.workdir is None else case
        progress.say("bench rollout: counting operations")
        found["bounds"] = {"cameras": seen.cameras, "size": seen.size, **bounds(seen)}
    result = {
        "device": device_name(),
        "versions": versions(),
        "load_before": load,
        "load_after": os.getloadavg(),
        "opengl": library,
        "repeats": args.repeats,
        "case": dataclasses.asdict(case),
        **found,
    }
    if args.json:
        print(json.dumps(result, indent=2, default=dataclasses.asdict))
    else:
        print(as_text(result))


def as_text(result: dict[str, Any]) -> str:
    """The result for a reader."""
    case = result["case"]
    lines = [
        f"{result['device']}, jax {result['versions']['jax']}, MuJoCo "
        f"{result['versions']['mujoco']}; load {result['load_before'][0]:.1f} before, "
        f"{result['load_after'][0]:.1f} after",
        f"{case['task']}, {case['worlds']} clean worlds, {case['horizon']} control steps, "
        f"{case['size']} x {case['size']} pixels of {', '.join(case['cameras'])}, a policy of "
        f"{result['parameters']:,} parameters asked {result['plans']} times per episode; median of "
        f"{result['repeats']} rounds (least to most)",
        f"{'':<21} {'episodes/s':>24} {'control steps/s':>26} {'physics':>8} {'drawing':>8} "
        f"{'policy':>7} {'compile':>8} {'over the loop':>22}",
    ]
    for name, speed in result["speeds"].items():
        lines.append(_speed_line(name, speed))
    for name, rate in result["perturbed"].items():
        lines.append(f"{_title(name)} over all seven axes: {_spread(rate, 2)} episodes/s")
    lines.append("by part, per second:")
    for name, row in result["parts"].items():
        lines.append(
            f"  {_title(name):<21} {row['physics_steps']:>10,.0f} physics steps, "
            f"{row['pictures']:>8,.0f} pictures, {row['plans']:>7,.0f} plans"
        )
    if result["loop"] is not None:
        trial = ", ".join(f"{way} {1e3 * s:.1f} ms" for way, s in result["loop"]["trial"].items())
        lines.append(f"  the loop steps by {result['loop']['way']} (a tick: {trial})")
    lines += [_check_line(name, check) for name, check in result["checks"].items()]
    return "\n".join([*lines, *_bound_lines(result["bounds"])])


def _title(name: str) -> str:
    return name if name in LOOPS else f"one program, {name}"


def _spread(one: Span, digits: int) -> str:
    return f"{one.median:,.{digits}f} ({one.least:,.{digits}f} to {one.most:,.{digits}f})"


def _speed_line(name: str, speed: Speed) -> str:
    seconds = speed.seconds
    stepping = seconds["all"] - seconds["drawing"] - seconds["policy"]
    parts = [100 * part / seconds["all"] for part in (stepping, seconds["drawing"])]
    parts.append(100 * seconds["policy"] / seconds["all"])
    ratio = "" if speed.ratio is None else _spread(speed.ratio, 2)
    return (
        f"{_title(name):<21} {_spread(speed.episodes, 2):>24} {_spread(speed.steps, 0):>26} "
        f"{parts[0]:>6.0f} % {parts[1]:>6.0f} % {parts[2]:>5.0f} % {speed.compile_seconds:>6.1f} s "
        f"{ratio:>22}"
    )


def _check_line(name: str, check: Check) -> str:
    return (
        f"checked, {_title(name)}: the expert solves {check.expert_successes} of {check.worlds}; "
        f"the loop, replaying it, gives {check.same_success} of {check.worlds} the same flag, "
        f"positions within {check.position:.1e} (median; at most {check.furthest:.1e}); pictures "
        f"differ by {check.pictures_first:.1f} and {check.pictures_last:.1f} of 255 (first, last), "
        f"first actions by {check.actions:.1e} of their spread"
    )


def _bound_lines(found: dict[str, Any]) -> list[str]:
    lines = [f"operations of an episode with {len(found['cameras'])} cameras, and bounds:"]
    for name, title in (
        ("own", "this policy"),
        ("stated", f"one of {found['stated_parameters'] / 1e6:.0f} M parameters"),
    ):
        work = found[name]["operations"]
        lines.append(
            f"  {title}: physics {work['physics'] / 1e9:.2f}, drawing {work['vector'] / 1e9:.2f} "
            f"(+{work['matrix'] / 1e9:.2f} of products), policy {work['policy'] / 1e9:.2f} GFLOP"
        )
        for device, bound in found[name]["devices"].items():
            lines.append(
                f"    at most {bound['episodes_per_second']:,.0f} episodes/s, so at least "
                f"{bound['seconds_for_all']:.2f} s for {found['episodes']:,}: {device}"
            )
    return lines
