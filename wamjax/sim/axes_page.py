"""docs/axes.md out of the tables: `python -m wamjax.sim.axes_page > docs/axes.md`."""

import sys

from wamjax.sim.axes import (
    ALL_AXES,
    AXES,
    BONUS_AXES,
    EVALUATED,
    SEVERITIES,
    TRAINED,
    TRAINED_STEPS,
    SubAxis,
    bands_of,
    sub_axes,
)
from wamjax.sim.manifest import QUICK_CLEAN, QUICK_EACH
from wamjax.sim.perturbations import SEEN, UNSEEN
from wamjax.sim.presets import LIBERO_PLUS, OWN, PRESETS, ROBOTWIN_PLUS, Bands, Preset

LEVELS = tuple(str(level) for level in range(1, SEVERITIES + 1))


def page() -> str:
    """The whole page as Markdown."""
    parts = [_introduction()]
    for axis, subs in AXES.items():
        parts += [f"## {axis}", _axis_table(subs)]
    for axis, subs in BONUS_AXES.items():
        parts += [f"## {axis} (beside the seven)", _axis_table(subs)]
    parts += [_training(), _presets(), *(_preset(name, row) for name, row in PRESETS.items())]
    return "\n\n".join([*parts, _manifests()]) + "\n"


def _introduction() -> str:
    seven = sum(map(len, AXES.values()))
    bonus = sum(map(len, BONUS_AXES.values()))
    return (
        "# The perturbation axes\n\n"
        "<!-- Made by `python -m wamjax.sim.axes_page > docs/axes.md`; edit the tables in "
        "wamjax/sim/. -->\n\n"
        "A variant is one perturbed world: (task, axis, sub-axis, severity 1 to 5, seed). "
        f"The seven axes have {seven} sub-axes; {bonus} further ones ({', '.join(BONUS_AXES)}) "
        "stand beside them and enter no mean.\n\n"
        "- The amount is drawn uniformly inside the band of the severity; bands do not overlap.\n"
        "- Directions, signs and the place inside the band depend on the seed, the axis and the "
        "sub-axis, never on the severity: a world only gets further from its clean twin, which has "
        "the same seed.\n"
        "- A variant perturbs one sub-axis. Its instruction never tells which.\n"
        "- Severities are physical; they say nothing about how hard a level is for a policy."
    )


def _axis_table(subs: tuple[SubAxis, ...]) -> str:
    head = ("sub-axis", "unit", "clean", *LEVELS, "training", "where it enters", "source")
    rows = [
        (
            f"`{sub.name}`",
            sub.unit,
            f"{sub.clean:g}",
            *_ranges(sub.bands),
            ", ".join(_ranges(sub.training)) or "never",
            sub.enters,
            sub.source,
        )
        for sub in subs
    ]
    return _table(head, rows)


def _training() -> str:
    return (
        "## Training and evaluation\n\n"
        "Randomised training data draw camera, light and background together, from "
        f"{_share(TRAINED)} of the steps to severities 1 to {TRAINED_STEPS}; evaluations have "
        f"{_share(EVALUATED)} of every step, and nobody has the rest. Texture "
        f"families: {_names(SEEN)} in training and in `texture_seen`, {_names(UNSEEN)} in "
        "`texture_unseen` and on the `wall` of evaluations. The bands of the presets below were "
        "published without regard to these training bands; each says where it meets them."
    )


def _presets() -> str:
    return (
        "## Presets\n\n"
        f"`{OWN}` is the ladder above. The others put the numbers of a published benchmark on the "
        "same sub-axes: a published range is cut into fifths, mildest first, so that equal numbers "
        "of all severities nearly give the published distribution; a single published value "
        "stands at all severities; where nothing is published (*own*), the bands above stand in. "
        "Scenes, tasks and robots are this project's, so results compare with each other, not with "
        "the benchmark's own leaderboard."
    )


def _preset(name: str, preset: Preset) -> str:
    head = ("sub-axis", "unit", *LEVELS, "published", "different here")
    rows = []
    for axis, table in preset.rows.items():
        for sub_axis, row in table.items():
            unit = next(sub.unit for sub in ALL_AXES[axis] if sub.name == sub_axis)
            bands = bands_of(axis, sub_axis, name)
            cells = _ranges(bands) if row.bands else ("*own*",) * SEVERITIES
            rows.append((f"{axis} `{sub_axis}`", unit, *cells, row.published, row.deviation))
    missing = [
        f"{axis} `{sub}`" for axis in AXES for sub in sub_axes(axis) if sub not in preset.rows[axis]
    ]
    met = [
        f"{axis} `{sub.name}`"
        for axis, subs in AXES.items()
        for sub in subs
        if sub.name in preset.rows[axis] and _meet(sub.training, bands_of(axis, sub.name, name))
    ]
    defects = "\n".join(f"- {defect}" for defect in preset.defects)
    return (
        f"### `{name}`: {preset.title}\n\nSource: {preset.source}.\n\n{_table(head, rows)}\n\n"
        f"Not part of it: {', '.join(missing)}.\n\nBands that meet the training bands above: "
        f"{', '.join(met)}.\n\nKnown defects that are not reproduced:\n\n"
        f"{defects}"
    )


def _manifests() -> str:
    cells = SEVERITIES * sum(len(subs) for subs in AXES.values())
    total = sum(LIBERO_PLUS.shares.values())
    shares = ", ".join(f"{axis} {count:,}" for axis, count in LIBERO_PLUS.shares.items())
    return (
        "## Manifests\n\n"
        "A manifest lists the worlds of an evaluation and carries a hash over rows, bands and "
        "texture families. No world comes twice, and every perturbed one has a clean twin with the "
        "same task and seed.\n\n"
        f"- `quick`: every sub-axis at every severity {QUICK_EACH} times and {QUICK_CLEAN} clean "
        f"worlds: {QUICK_CLEAN + QUICK_EACH * cells} per task, fewer with a preset that has fewer "
        "sub-axes.\n"
        f"- `standard`: {total:,} perturbed worlds over all tasks, the size and the axis shares of "
        f"LIBERO-Plus ({shares}), and the clean twins; with `robotwin_plus` "
        f"{sum(ROBOTWIN_PLUS.shares.values()):,} in equal shares."
    )


def _share(part: tuple[float, float]) -> str:
    return f"{100 * part[0]:g} to {100 * part[1]:g} %"


def _meet(some: Bands, others: Bands) -> bool:
    return any(a <= d and c <= b for a, b in some for c, d in others)


def _ranges(bands: Bands) -> tuple[str, ...]:
    return tuple(f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in bands)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
