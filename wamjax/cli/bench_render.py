"""`wamjax bench render`: pictures per second by resolution, worlds, geoms, cameras and shadows."""

import argparse
import dataclasses
import json
import math
import statistics
from typing import Any

from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, versions, without_compile_cache
from wamjax.sim.render import opengl
from wamjax.sim.render.bench import (
    FRAMES,
    Case,
    Timing,
    measure,
    table_model,
    table_worlds,
    vector_rate,
)
from wamjax.sim.render.operations import (
    CEILINGS,
    Ceiling,
    Operations,
    bytes_written,
    most_frames,
    per_frame,
    per_kind,
)

# Flag -> (default, least, greatest, what it is).
AXES = {
    "size": ("64,128", 16, 1024, "pixels of the square pictures"),
    "worlds": ("16,1,64", 1, 65536, "worlds drawn at once"),
    "geoms": ("26,10,50", 3, 256, "geoms of each world"),
    "cameras": ("1,2", 1, 64, "cameras in each world"),
    "shadows": ("1,0", 0, 1, "1 with the shadows of one light, 0 without"),
}
OPENGL_WORLDS, OPENGL_REPEATS = 3, 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the bench."""
    parser.epilog = (
        "The first value of each flag makes the base case; every further value is measured with the"
        "\nfirst values of the others.\n\nExamples:\n  wamjax bench render\n"
        "  wamjax bench render --size 64,256 --worlds 64 --geoms 26 --cameras 1 --against opengl"
    )
    for name, (default, _, _, line) in AXES.items():
        parser.add_argument(
            f"--{name}", default=default, metavar="N[,N]", help=f"{line} (default {default})"
        )
    parser.add_argument("--repeats", type=int, default=7, help="timed turns of each (default 7)")
    parser.add_argument(
        "--against",
        choices=["opengl"],
        help="also time mujoco.Renderer, world by world, with a shadow map of 1024",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def numbers(name: str, text: str) -> list[int]:
    """The values of one flag, each once.

    Raises:
        UserError: not whole numbers within the flag's range.
    """
    _, least, greatest, _ = AXES[name]
    try:
        values = [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(
            f"--{name} takes whole numbers separated by commas, got {text!r}."
        ) from None
    for value in values:
        if not least <= value <= greatest:
            raise UserError(f"--{name} must be from {least} to {greatest}, got {value}.")
    return list(dict.fromkeys(values))


def chosen_cases(args: argparse.Namespace) -> list[Case]:
    """The base case, then one case for each further value of each flag."""
    values = {name: numbers(name, getattr(args, name)) for name in AXES}
    base = Case(**{**{name: listed[0] for name, listed in values.items()}, "shadows": False})
    base = dataclasses.replace(base, shadows=bool(values["shadows"][0]))
    cases = [base]
    for name, listed in values.items():
        for value in listed[1:]:
            cases.append(dataclasses.replace(base, **{name: type(getattr(base, name))(value)}))
    return cases


def of_opengl(cases: list[Case]) -> list[dict[str, Any]]:
    """mujoco.Renderer's time per picture for each size, geom count and shadow setting."""
    found = []
    settings = dict.fromkeys((case.size, case.geoms, case.shadows) for case in cases)
    with Progress(f"bench opengl ({opengl.backend()})", len(settings), "settings") as progress:
        for size, geoms, shadows in settings:
            models = [table_model(geoms, seed) for seed in range(OPENGL_WORLDS)]
            made = opengl.draw(models, size, size, shadows=shadows, repeats=OPENGL_REPEATS)
            times = made.milliseconds.ravel()
            found.append(
                {
                    "size": size,
                    "geoms": geoms,
                    "shadows": shadows,
                    "milliseconds": float(statistics.median(times)),
                    "fastest": float(times.min()),
                    "slowest": float(times.max()),
                }
            )
            progress.advance()
    return found


def roofline(base: Case, timing: Timing) -> dict[str, Any]:
    """Operations by ray and by picture, and what they imply for several devices."""
    kinds = table_worlds(dataclasses.replace(base, worlds=1, cameras=1))[0]
    frame = per_frame(kinds, base.size, base.size, shadows=int(base.shadows))
    written = bytes_written(base.size, base.size)
    own = Ceiling("this device, multiply-adds measured", vector_rate(), math.inf)
    return {
        "per_ray": {
            kind: {"eye": dataclasses.asdict(eye), "shadow": dataclasses.asdict(shade)}
            for kind, (eye, shade) in per_kind().items()
        },
        "per_frame": dataclasses.asdict(frame),
        "bytes_per_frame": written,
        "reached_flops_per_second": frame.arithmetic / (timing.milliseconds / 1e3),
        "ceilings": [
            {
                "name": ceiling.name,
                "flops_per_second": ceiling.arithmetic,
                "most_frames_per_second": most_frames(frame, written, ceiling),
            }
            for ceiling in (own, *CEILINGS)
        ],
    }


def run(args: argparse.Namespace) -> None:
    """Run the bench."""
    cases = chosen_cases(args)
    if args.repeats < 1:
        raise UserError(f"--repeats must be at least 1, got {args.repeats}.")
    if args.against == "opengl" and opengl.backend() is None:
        raise UserError(f"--against opengl cannot be done: {opengl.MISSING}.")
    total = len(cases) + args.repeats
    with without_compile_cache(), Progress("bench render", total, "rounds") as progress:
        timings = measure(cases, args.repeats, lambda note: progress.advance(note=note))
    result = {
        "device": device_name(),
        "versions": versions(),
        "frames_per_call": FRAMES,
        "repeats": args.repeats,
        "cases": [
            {
                **dataclasses.asdict(case),
                **dataclasses.asdict(timing),
                "frames_per_second": 1e3 / timing.milliseconds,
            }
            for case, timing in zip(cases, timings, strict=True)
        ],
        "roofline": roofline(cases[0], timings[0]),
        "opengl": of_opengl(cases) if args.against else None,
    }
    print(json.dumps(result, indent=2) if args.json else as_text(result))


def as_text(result: dict[str, Any]) -> str:
    """The result for a reader."""
    lines = [
        f"{result['device']}, jax {result['versions']['jax']}; {result['repeats']} turns of "
        f"each; {result['frames_per_call']} pictures per world and camera in a call; median "
        "(fastest to slowest); geoms of the pictures checked against C MuJoCo's rays",
        f"{'size':>5} {'worlds':>6} {'geoms':>5} {'cameras':>7} {'shadows':>7} "
        f"{'ms per picture':>24} {'pictures/s':>10} {'compile':>8} {'warm-up':>8}",
    ]
    for row in result["cases"]:
        spread = f"({row['fastest']:.2f} to {row['slowest']:.2f})"
        lines.append(
            f"{row['size']:>5} {row['worlds']:>6} {row['geoms']:>5} {row['cameras']:>7} "
            f"{'yes' if row['shadows'] else 'no':>7} {row['milliseconds']:>7.2f} {spread:>16} "
            f"{row['frames_per_second']:>10.0f} {row['compile_seconds']:>6.1f} s "
            f"{row['warmup_seconds']:>6.2f} s"
        )
    for row in result["opengl"] or []:
        shadows = "with shadows" if row["shadows"] else "without shadows"
        lines.append(
            f"mujoco.Renderer {row['size']} pixels, {row['geoms']} geoms, {shadows}: "
            f"{row['milliseconds']:.2f} ({row['fastest']:.2f} to {row['slowest']:.2f}) ms per "
            f"picture, {1e3 / row['milliseconds']:.0f} pictures/s"
        )
    return "\n".join([*lines, *_roofline_text(result["roofline"])])


def _roofline_text(found: dict[str, Any]) -> list[str]:
    lines = ["floating-point operations (and comparisons, selections, integers) per ray and geom:"]
    for kind, counts in found["per_ray"].items():
        eye, shade = (Operations(**counts[name]) for name in ("eye", "shadow"))
        shaded = f"to a light {shade.arithmetic:.0f} (+{shade.other:.0f})"
        if kind == "plane":
            shaded = "casts no shadow"
        lines.append(f"  {kind:<10} from the eye {eye.arithmetic:.0f} (+{eye.other:.0f}), {shaded}")
    frame = Operations(**found["per_frame"])
    lines.append(
        f"the first case: {frame.arithmetic / 1e6:.1f} MFLOP (+{frame.other / 1e6:.1f} M others) "
        f"per picture, looks by matrix product {frame.matrix / 1e6:.1f} MFLOP more on "
        f"accelerators; {found['reached_flops_per_second'] / 1e9:.1f} GFLOP/s reached"
    )
    for ceiling in found["ceilings"]:
        lines.append(
            f"  at most {ceiling['most_frames_per_second']:,.0f} pictures/s with "
            f"{ceiling['flops_per_second'] / 1e12:.3g} TFLOP/s: {ceiling['name']}"
        )
    return lines
