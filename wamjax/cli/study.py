"""`wamjax study`: arms that differ in one thing, trained alike and tried in the same worlds."""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from wamjax.cli.config_file import module_of
from wamjax.cli.study_jobs import EMITTERS, command, in_parallel
from wamjax.cli.study_place import Place
from wamjax.cli.study_plan import plan_text
from wamjax.cli.study_run import demonstrate, work
from wamjax.cli.study_sizes import SIZES, StudySize
from wamjax.cli.worlds import add_physics, names
from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json, write_text
from wamjax.core.runtime import keep_memory
from wamjax.eval.statistics import planned
from wamjax.eval.study.elsewhere import Elsewhere, read_elsewhere
from wamjax.eval.study.figures import figures
from wamjax.eval.study.markdown import as_markdown
from wamjax.eval.study.matching import (
    Budget,
    budget,
    unlike_demonstrations,
    unmatched,
    with_equal_flops,
)
from wamjax.eval.study.page import write_figures, write_page
from wamjax.eval.study.records import COSTS, EPISODES, read_episodes, write_episodes
from wamjax.eval.study.study import Aspect, Study
from wamjax.eval.study.tables import results
from wamjax.eval.study.times import TIMES, step_times
from wamjax.sim.manifest import save_manifest

STAGES = ("all", "prepare", "arms", "time", "report")
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
RESULTS = "study.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Writes demos/ and runs/, which studies share, and STUDY/ with trials/, episodes.csv.gz,\n"
        "costs.json, study.json, study.html and figures/ under the workdir; started again, it\n"
        "goes on where it was, inside a training, too.\n"
        "Arms must be matched: the same windows in the same order, parameters within 5 %, the\n"
        "same steps (or FLOPs); what a study lets differ its page says.\n\nExamples:\n"
        "  wamjax study configs/studies/joint_vs_two_stage.py --workdir runs/joint\n"
        "  wamjax study configs/studies/joint_vs_two_stage.py --size base --dry-run \\\n"
        "    --topology v5p:2x2x2\n"
        "  wamjax study configs/studies/joint_vs_two_stage.py --workdir DIR --emit slurm\n"
        "  wamjax study configs/studies/joint_vs_two_stage.py --check --workdir "
        "docs/studies"
    )
    parser.add_argument("file", help="of configs/studies/")
    parser.add_argument("--workdir", type=pathlib.Path, help="all outputs")
    parser.add_argument("--size", choices=SIZES, default="tiny", help="default tiny")
    parser.add_argument(
        "--arms",
        help="only these, with commas between (default: all); the report is of them alone",
    )
    parser.add_argument(
        "--also",
        metavar="DIR,...",
        default="",
        help="workdirs, or folders of pages, whose records of this study are taken: what they have "
        "is not run again",
    )
    parser.add_argument("--seeds", type=int, help="seeds 0 to N - 1 (default: the study's)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be run, FLOPs, time and memory, and whether the arms are matched",
    )
    parser.add_argument(
        "--topology",
        metavar="SLICE",
        help="of --dry-run: plan every arm for a TPU slice, as `wamjax plan` does",
    )
    parser.add_argument(
        "--detect",
        type=float,
        metavar="POINTS",
        help="of --dry-run: how many episodes find a difference of so many percentage points",
    )
    parser.add_argument(
        "--power", type=float, default=0.8, help="of --detect: how surely (default 0.8)"
    )
    parser.add_argument(
        "--rate", type=float, default=0.5, help="of --detect: from which success (default 0.5)"
    )
    parser.add_argument(
        "--stage",
        choices=STAGES,
        default="all",
        help="prepare (demonstrations), arms (training and trials) or report (default all); or "
        "time: measure the train steps of all arms side by side, for the report's costs",
    )
    parser.add_argument(
        "--parallel", type=int, default=1, help="arms at once, each a process (default 1)"
    )
    parser.add_argument(
        "--emit", choices=EMITTERS, help="write jobs that run the arms on a cluster, and stop"
    )
    parser.add_argument(
        "--equal-flops",
        action="store_true",
        help="give every arm the steps that take the FLOPs of the arm compared with",
    )
    parser.add_argument(
        "--unmatched",
        default="none",
        help=f"what may differ beside what the study allows, of: {', '.join(ASPECTS)}, all",
    )
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        metavar="DIR",
        help="also write DIR/STUDY.md with its figures and records below DIR/STUDY, for documents",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="compute study.json again from the episodes in the workdir, and compare",
    )
    add_physics(parser)
    parser.add_argument("--json", action="store_true", help="print study.json at the end")


@contextlib.contextmanager
def told_as_errors(file: str) -> Iterator[None]:
    """What a study refuses, as one sentence."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{file}: {error}.") from error


def load(file: str, size: StudySize) -> Study:
    """The study of a file at a size.

    Raises:
        UserError: the file is missing, has no get_study, or describes no study.
    """
    module = module_of(file)
    if not hasattr(module, "get_study"):
        raise UserError(f"{file} has no get_study(size); give a file of configs/studies/.")
    with told_as_errors(file):
        found = module.get_study(size)
    if not isinstance(found, Study):
        raise UserError(f"get_study() of {file} gives no Study; see configs/studies/.")
    return found


def chosen(args: argparse.Namespace) -> Study:
    """The study that the flags ask for.

    Raises:
        UserError: an unknown arm, the arm compared with left out, or no seed.
    """
    study = load(args.file, args.size)
    if args.seeds is not None:
        if args.seeds < 1:
            raise UserError(f"--seeds must be at least 1, got {args.seeds}.")
        study = dataclasses.replace(study, seeds=tuple(range(args.seeds)))
    return study


def chosen_arms(args: argparse.Namespace, study: Study) -> tuple[str, ...]:
    """The names of --arms.

    Raises:
        UserError: an unknown one.
    """
    known = [arm.name for arm in study.arms]
    return tuple(known) if args.arms is None else names(args.arms, known, "--arms")


def only_arms(study: Study, arms: tuple[str, ...]) -> Study:
    """The study of these arms alone.

    Raises:
        UserError: the arm compared with is not among them, or one that another goes on from.
    """
    mine = tuple(arm for arm in study.arms if arm.name in arms)
    for needed in (study.against, *(arm.after for arm in mine if arm.after)):
        if needed not in arms:
            raise UserError(f"--arms leaves out {needed}, which the report needs: name it, too.")
    return dataclasses.replace(study, arms=mine)


def elsewhere(args: argparse.Namespace, study: Study) -> tuple[Elsewhere, ...]:
    """The records of --also.

    Raises:
        UserError: a folder without any.
    """
    return tuple(
        read_elsewhere(pathlib.Path(folder) / study.name)
        for folder in args.also.split(",")
        if folder
    )


def budgets_of(study: Study) -> dict[str, Budget]:
    """What training each arm takes."""
    return {arm.name: budget(arm.config) for arm in study.arms}


def checked(
    study: Study, budgets: Mapping[str, Budget], allowed: tuple[str, ...]
) -> dict[Aspect, list[str]]:
    """In what the arms differ.

    Raises:
        UserError: in something that neither the study nor the flags allow.
    """
    found = unmatched(study, budgets)
    for aspect, sentences in found.items():
        if aspect not in {*study.differs, *allowed}:
            raise UserError(
                f"the arms are not matched in {aspect}: {'; '.join(sentences)}. Change them, or "
                f"say --unmatched {aspect}."
            )
    return found


def report(
    place: Place,
    budgets: Mapping[str, Budget],
    differs: Mapping[Aspect, list[str]],
    again: str,
    allowed: tuple[str, ...],
) -> dict[str, Any]:
    """Gather all records, compute and write the results and the page.

    Raises:
        UserError: records of several machines are of other demonstrations, and that is not allowed.
    """
    folder = place.folder
    costs = place.costs(budgets, differs)
    unlike = unlike_demonstrations(costs["runs"])
    if unlike and "windows" not in {*place.study.differs, *allowed}:
        raise UserError(
            f"{'; '.join(unlike)}: train all on those of one machine, or say --unmatched windows."
        )
    if unlike:
        costs["unmatched"].setdefault("windows", []).extend(unlike)
    write_episodes(folder / EPISODES, place.episodes())
    write_json(folder / COSTS, costs)
    found = computed(place.study, folder)
    write_json(folder / RESULTS, found)
    write_page(folder, found, command=again, pictures=place.pictures())
    return found


def publish(found: Mapping[str, Any], folder: pathlib.Path, out: pathlib.Path, again: str) -> None:
    """The page as Markdown, and beside it the figures and everything that --check needs."""
    name = found["name"]
    write_figures(out / name, figures(found))
    for file in (EPISODES, COSTS, RESULTS):
        shutil.copyfile(folder / file, out / name / file)
    write_text(out / f"{name}.md", as_markdown(found, command=again, figures=f"{name}/figures"))


def computed(study: Study, folder: pathlib.Path) -> dict[str, Any]:
    """The content of study.json, from the stored records."""
    found = results(study, read_episodes(folder / EPISODES), read_json(folder / COSTS))
    # As it is read again: tuples are lists there.
    return json.loads(json.dumps(found, allow_nan=False))


def check(study: Study, folder: pathlib.Path) -> str:
    """Compute the results again and compare them with those that are stored, of the arms there.

    Raises:
        UserError: they differ, a file is missing, or the study has not its arms any more.
    """
    stored = read_json(folder / RESULTS)
    unknown = {*stored["arms"]} - {arm.name for arm in study.arms}
    if unknown:
        raise UserError(f"{folder / RESULTS} is of arms that {study.name} has not: {unknown}.")
    study = only_arms(study, tuple(stored["arms"]))
    rows = difference(computed(study, folder), stored)
    if rows:
        path, now, then = rows[0]
        raise UserError(
            f"{folder / RESULTS} does not follow from its episodes: {len(rows)} values differ, "
            f"first {path}, which is {now} now and {then} there."
        )
    return f"{folder / RESULTS} follows from its episodes, every value."


def times_text(found: Mapping[str, Any]) -> str:
    """What was measured, for a terminal."""
    lines = [f"{found['steps']} steps of each stage, in turn, on {found['device']}"]
    lines += [
        f"{arm:<20} {stage['name']:<12} {stage['p50_ms']:8.1f} ms (p95 {stage['p95_ms']:.1f})"
        for arm, told in found["arms"].items()
        for stage in told["stages"]
    ]
    return "\n".join(lines)


def lines_of(found: Mapping[str, Any]) -> str:
    """The results for a terminal."""
    lines = []
    for row in found["conditions"].values():
        for name, cell in row["cells"].items():
            low, high = cell["wilson95"]
            lines.append(
                f"{row['label']:<28} {name:<11} {100 * cell['rate']:5.1f} % "
                f"({cell['successes']}/{cell['episodes']}, 95 % interval {100 * low:.1f} to "
                f"{100 * high:.1f})"
            )
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Run the verb.

    Raises:
        UserError: flags that do not go together, arms that are not matched, or see `chosen`.
    """
    # Before anything has allocated: what did keeps its ways, and arms are trained in this process.
    keep_memory()
    study, allowed = chosen(args), names(args.unmatched, ASPECTS, "--unmatched")
    arms = chosen_arms(args, study)
    workdir: pathlib.Path | None = args.workdir
    if workdir is None and not args.dry_run:
        raise UserError("wamjax study needs --workdir DIR, or --dry-run.")
    for flag in ("topology", "detect"):
        if getattr(args, flag) is not None and not args.dry_run:
            raise UserError(f"--{flag} needs --dry-run.")
    if args.page is not None and (
        args.dry_run or args.check or args.stage not in ("all", "report")
    ):
        raise UserError("--page shows the report: leave --dry-run, --check and --stage out.")
    if args.parallel < 1:
        raise UserError(f"--parallel must be at least 1, got {args.parallel}.")
    if args.arms is not None and args.stage in ("all", "report"):
        study = only_arms(study, arms)
    if args.equal_flops:
        study = with_equal_flops(study, budgets_of(study))
    if args.check and workdir is not None:
        print(check(study, workdir / study.name))
        return
    budgets = budgets_of(study)
    differs = checked(study, budgets, allowed)
    if workdir is None or args.dry_run:
        print(plan_text(study, budgets, differs, args.topology))
        if args.detect is not None:
            print(planned(power=args.power, detect=args.detect, rate=args.rate))
        return
    place = Place(study=study, workdir=workdir, physics=args.physics, also=elsewhere(args, study))
    if args.emit is not None:
        print(EMITTERS[args.emit](args, study))
        return
    again = shlex.join(["wamjax", *command(args, "all", () if args.arms is None else arms)])
    if args.stage in ("all", "prepare"):
        save_manifest(place.folder / "manifest.json", place.manifest)
        for data in place.missing_data():
            demonstrate(place, data)
    if args.stage in ("all", "arms"):
        if args.parallel > 1 and len(arms) > 1:
            in_parallel(args, study.chains(arms))
        else:
            work(place, arms)
    if args.stage == "time":
        found = step_times(study, told=lambda line: print(line, file=sys.stderr, flush=True))
        write_json(place.folder / TIMES, found)
        print(times_text(found))
    if args.stage in ("all", "report"):
        found = report(place, budgets, differs, again, allowed)
        print(json.dumps(found, indent=2) if args.json else lines_of(found))
        if not args.json:
            print(f"report: {place.folder / 'study.html'}")
        if args.page is not None:
            publish(found, place.folder, args.page, again)
