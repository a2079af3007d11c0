"""Each task's expert as a strip of pictures: `python -m wamjax.sim.task_strips --out FILE`."""

import argparse
import pathlib

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wamjax.core.progress import Progress
from wamjax.core.runtime import enable_compile_cache, program_jit
from wamjax.core.text import decode_text
from wamjax.sim.env import TabletopEnv
from wamjax.sim.simulators import State
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.variants import clean_variant

PICTURES, GAP, HEADER = 7, 4, 24
INK, PAPER = (30, 33, 38), (255, 255, 255)


def strip_of(task: str, seed: int, size: int = 128) -> Image.Image:
    """One clean world from its start to its solution, with what is asked above.

    Args:
        task: by name.
        seed: of the world.
        size: pixels of one picture.

    Raises:
        UserError: unknown task.
    """
    env = TabletopEnv(task, physics="c", props=False)

    def play(seed: jax.Array) -> State:
        def tick(state: State, _: None) -> tuple[State, State]:
            return env.step(state, env.expert(state)), state

        start = env.reset_variant(clean_variant(seed))
        end, states = jax.lax.scan(tick, start, None, length=env.horizon)
        return jax.tree.map(lambda rows, last: jax.numpy.append(rows, last[None], 0), states, end)

    states = program_jit(play)(np.int32(seed))
    success = np.asarray(states.metrics["success"])
    last = int(np.argmax(success)) if success.any() else env.horizon
    steps = np.linspace(0, last, PICTURES).round().astype(int)
    chosen = jax.tree.map(lambda leaf: leaf[steps], states)
    pictures = np.asarray(program_jit(jax.vmap(lambda s: env.render(s, "primary", size)))(chosen))
    text = decode_text(np.asarray(states.info["setting"].text)[0])
    sheet = Image.new("RGB", (PICTURES * (size + GAP), HEADER + size + GAP), color=PAPER)
    label = f"{task}: {text} ({last / env.control_hz:.1f} s)"
    ImageDraw.Draw(sheet).text((2, 4), label, INK, font=ImageFont.load_default(14))
    for column, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(picture), (column * (size + GAP), HEADER))
    return sheet


def main() -> None:
    """Draw the strips of all tasks into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--size", type=int, default=128, help="pixels of one picture")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    enable_compile_cache()
    strips = []
    with Progress("strips", len(TASKS), "tasks") as progress:
        for task in TASKS:
            strips.append(strip_of(task, args.seed, args.size))
            progress.advance()
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), color=PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    sheet.save(args.out)


if __name__ == "__main__":
    main()
