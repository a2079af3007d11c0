"""Our Wan as a contestant, with what `wamjax train` does on CPUs."""

from typing import Any

from tests.benchmarks.turns import Player, serve
from tests.benchmarks.wan_work import Work
from wamjax.core.runtime import keep_memory, program_jit

keep_memory()

from tests.benchmarks.wan_flax import player  # noqa: E402
from tests.model.wan_reference import PATCH, Sizes, converted, denoised, ours  # noqa: E402
from wamjax.model.stacking import unstacked  # noqa: E402


def make(settings: dict[str, Any]) -> Player:
    """Of some work; `scan_layers` as in WamConfig."""
    work, sizes = Work(**settings["work"]), Sizes(**settings["work"]["sizes"])
    given = work.inputs()
    frames, rows, columns = given["latents"].shape[2:]
    grid = (frames, rows // PATCH, columns // PATCH)
    model = ours(sizes, given["text"].shape[1], grid, scan_layers=settings["scan_layers"])
    weights, numbers = (converted(sizes, work.state(kind)) for kind in ("weights", "numbers"))
    if not settings["scan_layers"]:
        weights, numbers = unstacked(weights), unstacked(numbers)

    def predict(weights, latents, text, sigma):
        return denoised(model, weights, latents, text, sigma[:, None])

    return player(work, predict, program_jit, weights, numbers, last=True)


if __name__ == "__main__":
    serve(make)
