"""MuJoCo's own OpenGL pictures (`mujoco.Renderer`): what the ray caster is checked against.

MuJoCo decides once, when it is imported, which OpenGL library it uses, and importing it where that
library is missing fails. So the pictures are made in a process of their own, whatever this one has
done before; `backend` finds a library that works without a display.
"""

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import mujoco
import numpy as np

BACKENDS = ("egl", "osmesa")
MISSING = (
    "MuJoCo finds no OpenGL that works without a display; on Debian and Ubuntu "
    "`apt-get install libegl1 libgl1 libgl1-mesa-dri` brings one"
)
_TRIAL = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco/>")
renderer = mujoco.Renderer(model, 8, 8)
renderer.update_scene(mujoco.MjData(model))
renderer.render()
"""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What MuJoCo drew of N models.

    Attributes:
        rgb: uint8 [N, H, W, 3].
        depth: float32 [N, H, W], metres along the optical axis.
        geom: int32 [N, H, W], -1 for nothing.
        milliseconds: float64 [N, repeats], each for update_scene and render of one rgb picture.
    """

    rgb: np.ndarray
    depth: np.ndarray
    geom: np.ndarray
    milliseconds: np.ndarray


@functools.cache
def backend() -> str | None:
    """The first of BACKENDS with which MuJoCo can draw here, or None; $MUJOCO_GL goes first."""
    wished = os.environ.get("MUJOCO_GL", "")
    for name in dict.fromkeys([wished, *BACKENDS] if wished in BACKENDS else BACKENDS):
        trial = [sys.executable, "-c", _TRIAL]
        if subprocess.run(trial, env=_environment(name), capture_output=True).returncode == 0:
            return name
    return None


def _environment(name: str) -> dict[str, str]:
    return {**os.environ, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}


def draw(
    models: Sequence[mujoco.MjModel], height: int, width: int, *, shadows: bool, repeats: int = 0
) -> Pictures:
    """Each model at its initial pose, seen from its first camera; reflections, haze and sky off.

    Args:
        models: quality (tessellation, shadow map) is what their `vis.quality` says.
        height: H pixels.
        width: W pixels.
        shadows: whether lights with `castshadow` cast shadows.
        repeats: how many further pictures of each model are timed.

    Raises:
        RuntimeError: no OpenGL, or MuJoCo failed with it; the message says how.
    """
    chosen = backend()
    if chosen is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(models):
            mujoco.mj_saveModel(model, f"{folder}/{number}.mjb")
        words = [folder, len(models), height, width, int(shadows), repeats]
        command = [sys.executable, "-m", "wamjax.sim.render.opengl", *map(str, words)]
        done = subprocess.run(command, env=_environment(chosen), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"mujoco.Renderer failed with {chosen}: {done.stderr.strip()}")
        with np.load(pathlib.Path(folder, "pictures.npz")) as made:
            return Pictures(**made)


def _draw_here(
    folder: str, count: int, height: int, width: int, shadows: int, repeats: int
) -> None:
    """The other process: models from `folder`, pictures into it."""
    made = [
        _one(
            mujoco.MjModel.from_binary_path(f"{folder}/{number}.mjb"),
            height,
            width,
            shadows,
            repeats,
        )
        for number in range(count)
    ]
    rgb, depth, geom, milliseconds = (np.stack(column) for column in zip(*made, strict=True))
    np.savez(
        pathlib.Path(folder, "pictures.npz"),
        rgb=rgb,
        depth=depth,
        geom=geom,
        milliseconds=milliseconds,
    )


def _one(
    model: mujoco.MjModel, height: int, width: int, shadows: int, repeats: int
) -> tuple[np.ndarray, ...]:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, height, width)
    flags = renderer.scene.flags
    for flag in ("REFLECTION", "HAZE", "SKYBOX", "FOG"):
        flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
    flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows

    def picture() -> np.ndarray:
        renderer.update_scene(data, camera=0)
        return renderer.render().copy()

    rgb, spent = picture(), []
    for _ in range(repeats):
        begun = time.perf_counter()
        picture()
        spent.append(1e3 * (time.perf_counter() - begun))
    renderer.enable_depth_rendering()
    depth = picture()
    renderer.enable_segmentation_rendering()
    number, kind = np.moveaxis(picture(), -1, 0)
    renderer.close()
    geom = np.where(kind == int(mujoco.mjtObj.mjOBJ_GEOM), number, -1)
    return rgb, depth, geom.astype(np.int32), np.array(spent)


if __name__ == "__main__":
    _draw_here(sys.argv[1], *map(int, sys.argv[2:]))
