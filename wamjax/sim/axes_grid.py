"""One world under every axis and severity as one picture: `python -m wamjax.sim.axes_grid`.

A row per axis (its sub-axis named at the left), a column per severity, the clean world first. What
the instruction says stands below each picture of the language row.
"""

import argparse
import pathlib
import textwrap

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wamjax.core.runtime import enable_compile_cache, program_jit
from wamjax.core.text import decode_text
from wamjax.sim.axes import SEVERITIES
from wamjax.sim.env import TabletopEnv
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.variants import Variant, make_variant

SHOWN = {
    "camera": "azimuth",
    "robot": "joint_offset",
    "language": "reasoning",
    "light": "direction",
    "background": "texture_unseen",
    "noise": "glass",
    "layout": "distractors",
}
"""Axis -> the sub-axis that stands for it."""
MARGIN, GAP, HEADER, CAPTION = 112, 6, 26, 44
INK, PAPER, SOFT = (30, 33, 38), (255, 255, 255), (96, 103, 112)


def grid_of(task: str, seed: int, size: int = 144, camera: str = "primary") -> Image.Image:
    """The picture.

    Args:
        task: by name.
        seed: of the world.
        size: pixels of one picture.
        camera: which one looks.

    Raises:
        UserError: unknown task.
    """
    env = TabletopEnv(task, physics="c")
    rows = [(axis, sub, level) for axis, sub in SHOWN.items() for level in range(SEVERITIES + 1)]
    variants = [
        make_variant(None if level == 0 else axis, sub if level else None, level, seed)
        for axis, sub, level in rows
    ]

    def draw(variant: Variant) -> tuple[jax.Array, jax.Array]:
        state = env.reset_variant(variant)
        return env.render(state, camera, size), state.info["setting"].text

    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *variants)
    pictures, texts = jax.device_get(program_jit(jax.vmap(draw))(stacked))
    return _sheet(rows, pictures, [decode_text(text) for text in texts], size)


def _sheet(
    rows: list[tuple[str, str, int]], pictures: np.ndarray, texts: list[str], size: int
) -> Image.Image:
    columns = SEVERITIES + 1
    heights = [size + GAP + (CAPTION if axis == "language" else 0) for axis in SHOWN]
    sheet = Image.new("RGB", (MARGIN + columns * (size + GAP), HEADER + sum(heights)), color=PAPER)
    pen = ImageDraw.Draw(sheet)
    name, small = ImageFont.load_default(14), ImageFont.load_default(11)
    for column in range(columns):
        label = "clean" if column == 0 else f"severity {column}"
        pen.text((MARGIN + column * (size + GAP) + 2, 6), label, INK, font=name)
    top = HEADER
    for number, (axis, sub) in enumerate(SHOWN.items()):
        pen.text((6, top + size // 2 - 18), axis, INK, font=name)
        pen.text((6, top + size // 2), sub.replace("_", " "), SOFT, font=small)
        for column in range(columns):
            place = number * columns + column
            left = MARGIN + column * (size + GAP)
            sheet.paste(Image.fromarray(pictures[place]), (left, top))
            if axis == "language":
                lines = textwrap.wrap(texts[place], width=max(12, size // 6))[:3]
                pen.text((left + 1, top + size + 2), "\n".join(lines), INK, font=small)
        top += heights[number]
    assert len(rows) == len(pictures)
    return sheet


def main() -> None:
    """Draw the grid of a task into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--task", default="stack", choices=tuple(TASKS))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", type=int, default=144, help="pixels of one picture")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    enable_compile_cache()
    grid_of(args.task, args.seed, args.size).save(args.out)


if __name__ == "__main__":
    main()
