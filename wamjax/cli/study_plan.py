"""What `wamjax study --dry-run` prints: what would be run, what it takes, whether it is matched."""

from collections.abc import Mapping, Sequence

from wamjax.cli.plan_text import GIB, MIB, big, seconds_text
from wamjax.cli.study_place import manifest_of
from wamjax.core.progress import seconds
from wamjax.core.runtime import device_name
from wamjax.eval.ceilings import own_device
from wamjax.eval.plan.case import case_of_config
from wamjax.eval.plan.chips import slice_of
from wamjax.eval.plan.report import Report, planned
from wamjax.eval.plan.store import libtpu
from wamjax.eval.study.matching import Budget
from wamjax.eval.study.study import Arm, Aspect, Study
from wamjax.recipes.config import SystemConfig


def memory_text(size: float) -> str:
    """Bytes for a reader."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.1f} MiB"


def plan_text(
    study: Study,
    budgets: Mapping[str, Budget],
    unmatched: Mapping[Aspect, Sequence[str]],
    topology: str | None,
) -> str:
    """The plan.

    Args:
        study: what would be run.
        budgets: arm -> what it takes.
        unmatched: in what the arms differ.
        topology: a slice on which every arm's step is planned, too; None for none.
    """
    runs, conditions = list(study.runs), list(study.conditions)
    manifest = manifest_of(study)
    trials = len(conditions) * len(study.seeds) * study.worlds.repeats
    whole = sum(budgets[run.arm.name].flops for run in runs if not run.arm.after)
    lines = [
        f"{study.name}: {study.question}",
        "",
        f"{len(runs)} runs: {len(study.arms)} arms, {len(study.data)} training data, "
        f"{len(study.seeds)} seeds; {len(conditions)} conditions, compared with {study.against}",
        f"tasks {', '.join(study.tasks)}; {len(manifest.rows):,} worlds "
        f"(manifest {manifest.sha256[:12]}), {trials * len(manifest.rows):,} episodes",
    ]
    for data in study.data:
        tasks = len(data.tasks or study.tasks)
        count = tasks * (data.clean + data.randomised)
        lines.append(
            f"data {data.name}: {count:,} demonstrations ({data.clean:,} clean, "
            f"{data.randomised:,} randomised a task), actions {data.action}"
            + (f" of {100 * data.action_share:g} %" if data.action_share < 1 else "")
        )
    imitation = [arm for arm in study.arms if not arm.after]
    lines += ["", _head(), *(_row(arm, budgets[arm.name]) for arm in imitation)]
    lines += [
        f"{arm.name:<22} goes on from {arm.after} by {arm.steps:,} iterations of RL, not counted"
        for arm in study.arms
        if arm.after
    ]
    lines.append("")
    lines += _matched(study, unmatched)
    if topology is None:
        dtype = _dtype(study.arms[0])
        peak = own_device(dtype).flops
        lines.append(
            f"training takes {big(whole, 'FLOP')} in all: at least {_time(whole / peak)} on "
            f"{device_name()}, at the {big(peak, 'FLOP/s')} that its products reach in {dtype}"
        )
    else:
        lines += ["", *_on_slice(study, topology)]
    return "\n".join(lines)


def _dtype(arm: Arm) -> str:
    system = arm.config.system
    return system.model.dtype if isinstance(system, SystemConfig) else "float32"


def _time(value: float) -> str:
    return seconds(value) if value >= 60 else seconds_text(value)


def _head() -> str:
    return (
        f"{'arm':<22} {'weights':>13} {'trained':>13} {'steps':>9} {'batch':>6} {'training':>12} "
        f"{'state':>10}"
    )


def _row(arm: Arm, budget: Budget) -> str:
    return (
        f"{arm.name:<22} {budget.parameters:>13,} {max(budget.trained.values()):>13,} "
        f"{budget.steps:>9,} {budget.batch:>6,} {big(budget.flops, 'FLOP'):>12} "
        f"{memory_text(budget.memory):>10}"
    )


def _matched(study: Study, unmatched: Mapping[Aspect, Sequence[str]]) -> list[str]:
    if not unmatched:
        return [
            "matched: the same windows in the same order, parameters within 5 %, the same "
            f"{ {'steps': 'optimizer steps', 'flops': 'FLOPs of training'}[study.match] }"
        ]
    return [
        f"not matched in {aspect}, as the study allows: {'; '.join(sentences)}"
        for aspect, sentences in unmatched.items()
    ]


def _on_slice(study: Study, topology: str) -> list[str]:
    """Every arm's last stage on a slice."""
    part = slice_of(topology, 1)
    compiler = libtpu() is not None and bool(part.chip.axes)
    how = "compiled by libtpu" if compiler else "counted, not compiled (no libtpu here)"
    lines = [f"on {topology} ({part.chips} chips), {how}; nothing runs:"]
    for arm in study.arms:
        if arm.after:
            continue
        case = case_of_config(arm.config)
        found = planned(case, part, arm.config.mesh, compiler=compiler, quick=True)
        lines.append(f"  {arm.name:<22} {_fit(found)}, {_steps(found, arm)}")
    return lines


def _fit(report: Report) -> str:
    needed, limit = report.memory["total"] / GIB, report.memory["limit"] / GIB
    if report.fits is None:
        return f"what stands takes {needed:.1f} of {limit:.1f} GiB a device"
    word = "fits" if report.fits else "does not fit"
    return f"{word}: {needed:.1f} of {limit:.1f} GiB a device"


def _steps(report: Report, arm: Arm) -> str:
    best, worst = report.seconds["best"], report.seconds["worst"]
    steps = arm.config.train.steps
    return (
        f"a step at least {seconds_text(best)} to {seconds_text(worst)}, "
        f"{steps:,} of them {_time(steps * best)} to {_time(steps * worst)}"
    )
