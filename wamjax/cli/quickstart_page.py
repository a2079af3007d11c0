"""A quick start as Markdown, for docs/ and between two marks of the README.

python -m wamjax.cli.quickstart_page runs/quickstart docs/results/quickstart.md README.md
"""

import argparse
import pathlib
from typing import Any

from wamjax.core.files import read_json
from wamjax.core.progress import seconds

BEGIN, END = "<!-- results -->\n", "<!-- end -->\n"
COMMAND = "bash launch/quickstart.sh"


def _rate(cell: dict[str, Any]) -> str:
    low, high = (100 * end for end in cell["wilson95"])
    solved = f"{cell['successes']}/{cell['episodes']}"
    return f"{100 * cell['rate']:.1f} % ({low:.1f} to {high:.1f}), {solved}"


def _rows(results: dict[str, Any], worlds: list[str]) -> list[str]:
    """A table: a line for each task and kind of worlds, a column for each policy."""
    policies = results["policies"]
    first = next(iter(policies.values()))
    lines = ["| task | worlds | " + " | ".join(policies) + " |", "|---" * (2 + len(policies)) + "|"]
    for task in first:
        for name in worlds:
            found = [own[task] for own in policies.values()]
            cells = [own["clean"] if name == "clean" else own["axes"][name] for own in found]
            lines.append(f"| {task} | {name} | " + " | ".join(map(_rate, cells)) + " |")
    return lines


def _times(phases: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds(spent)}" for name, spent in phases.items())


def _device(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    return f"Device: {results['device']}. Versions: {versions}. Seed {results['seed']}."


def page(results: dict[str, Any], phases: dict[str, float], sample: dict[str, Any]) -> str:
    """The whole result.

    Args:
        results, phases, sample: results.json, seconds by phase, sample.json of a quick start.
    """
    trained = results["policies"]["trained"]
    axes = [*next(iter(trained.values()))["axes"]]
    means = [
        f"| {task} | {100 * own['mean_with_clean']:.1f} % "
        f"| {100 * own['mean_without_clean']:.1f} % |"
        for task, own in trained.items()
    ]
    beats = sample["frame_error"] < sample["repeat_frame_error"]
    video = "it beats it" if beats else "it does not beat it in mean absolute error"
    actions = (
        f"action error {sample['action_error']:.3f}, mean action "
        f"{sample['mean_action_error']:.3f}, repeating the last action "
        f"{sample['last_action_error']:.3f}"
    )
    return "\n".join(
        [
            "# The quick start, measured",
            "",
            "<!-- Made by `python -m wamjax.cli.quickstart_page`. -->",
            "",
            f"    {COMMAND}",
            "",
            f"{_device(results)} Compile cache empty at the start.",
            f"Manifest sha256 `{results['manifest_sha256']}`.",
            "",
            "Success rate, Wilson 95 % interval, solved worlds of all worlds. Every policy meets "
            "the same worlds.",
            "",
            *_rows(results, ["clean", *axes]),
            "",
            "| task | mean of the seven axes and clean | mean of the seven axes |",
            "|---|---|---|",
            *means,
            "",
            "| cost | |",
            "|---|---|",
            *(f"| {name} | {seconds(spent)} |" for name, spent in phases.items()),
            f"| all phases | {seconds(sum(phases.values()))} |",
            f"| weights | {results['parameters']:,} |",
            f"| training | {results['train_flops'] / 1e12:.1f} TFLOP |",
            f"| one chunk, one robot | {results['ms_per_chunk']:.1f} ms "
            f"(p95 {results['ms_per_chunk_p95']:.1f}) |",
            f"| evaluation, policy and drawing included | {results['env_steps_per_second']:.0f} "
            "control steps/s |",
            "",
            "Held-out demonstrations (normalised units, one sample for each window): "
            f"{actions}. Predicted frames: {sample['frame_error']:.4f} against "
            f"{sample['repeat_frame_error']:.4f} for repeating the newest one: {video}.",
            "",
        ]
    )


def short(results: dict[str, Any], phases: dict[str, float], link: str) -> str:
    """What the README says of it."""
    trained = results["policies"]["trained"]
    means = " and ".join(
        f"{100 * own['mean_without_clean']:.0f} % of `{task}`" for task, own in trained.items()
    )
    return "\n".join(
        [
            f"Measured by that command ({results['device']}; jax {results['versions']['jax']}; "
            "success rates with Wilson 95 % intervals):",
            "",
            *_rows(results, ["clean"]),
            "",
            f"Averaged over the seven axes (clean left out) the trained policy solves {means}. "
            f"After the install the run took {seconds(sum(phases.values()))}: {_times(phases)}.",
            f"The policy has {results['parameters']:,} weights and needs "
            f"{results['ms_per_chunk']:.1f} ms for a chunk. All numbers: [{link}]({link}).",
            "",
            "![The report](docs/report.png)",
            "",
        ]
    )


def main(words: list[str] | None = None) -> None:
    """Write the page, and the part of the README between the marks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workdir", type=pathlib.Path, help="of the quick start")
    parser.add_argument("page", type=pathlib.Path, help="the page to write")
    parser.add_argument("readme", type=pathlib.Path, help="a file with the two marks")
    args = parser.parse_args(words)
    results = read_json(args.workdir / "results.json")
    phases = read_json(args.workdir / "phases.json")["seconds"]
    sample = read_json(args.workdir / "sample.json")
    args.page.write_text(page(results, phases, sample), encoding="utf-8")
    link = args.page.resolve().relative_to(args.readme.resolve().parent).as_posix()
    before, rest = args.readme.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    told = before + BEGIN + short(results, phases, link) + END + after
    args.readme.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
