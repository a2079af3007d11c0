"""The plain loop's pictures: OpenGL, one world after the other."""

import copy

import mujoco
import numpy as np

from wamjax.sim import instructions, scene
from wamjax.sim.fixtures import FIXTURES
from wamjax.sim.perturbations import SURFACES
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.scene import SceneSpec
from wamjax.sim.setting import Setting


class Painter:
    """One mujoco.Renderer that draws one world after the other.

    Args:
        spec: what is on the table.
        settings: of all worlds, on the host; only clean worlds look as the ray caster draws them.
        cameras: which, in order.
        size: H = W, pixels.
    """

    def __init__(self, spec: SceneSpec, settings: Setting, cameras: tuple[str, ...], size: int):
        self.spec, self.settings, self.cameras = spec, settings, cameras
        self.model = model = copy.copy(scene.build_model(spec))
        self.data = mujoco.MjData(model)
        # The extent of the workspace, not that of wall and parked things: a finer shadow map.
        model.stat.extent, model.stat.center[:] = 1.0, (0.4, 0.0, 0.0)
        # A light's own ambient share is dark in its shadow; the headlight's, as here, is not.
        head = model.vis.headlight
        head.active, head.diffuse[:], head.specular[:] = 1, 0.0, 0.0
        hidden = [int(model.geom(name).id) for name in scene.PROPS[: spec.props]]
        model.geom_rgba[hidden, 3] = 0.0
        for name in find_robot(spec.robot).cameras:
            if name != "primary":
                model.cam_fovy[model.camera(name).id] = find_robot(spec.robot).wrist_fovy
        self.renderer = mujoco.Renderer(model, size, size)
        for flag in ("REFLECTION", "HAZE", "SKYBOX", "FOG"):
            self.renderer.scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        rows, self.palette = scene.places(spec).tinted
        self.tinted = scene.places(spec).drawn[rows]
        self.colours = np.array([rgb for _, rgb in instructions.COLOURS], np.float32)

    def __call__(self, positions: np.ndarray, *, shadows: bool) -> np.ndarray:
        """Pictures uint8 [E, V, H, W, 3] of positions [E, q]."""
        self.renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        return np.stack([self._world(world, row) for world, row in enumerate(positions)])

    def _world(self, world: int, position: np.ndarray) -> np.ndarray:
        model, data = self.model, self.data
        self._dress(world)
        data.qpos[:] = position
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        views = []
        for camera in self.cameras:
            self.renderer.update_scene(data, camera=camera)
            views.append(self.renderer.render().copy())
        return np.stack(views)

    def _dress(self, world: int) -> None:
        """Colours, camera, light and places of one world, written into the model."""
        model, setting = self.model, self.settings
        look, layout = setting.look, setting.layout
        model.geom_rgba[self.tinted, :3] = self.colours[setting.palette[world][self.palette]]
        behind = [int(model.geom(name).id) for name in SURFACES]
        model.geom_rgba[behind, :3] = look.rgb[world]
        eye = int(model.camera("primary").id)
        model.cam_pos[eye] = look.camera.position[world]
        mujoco.mju_mat2Quat(
            model.cam_quat[eye], np.asarray(look.camera.rotation[world], np.float64).ravel()
        )
        model.cam_fovy[eye] = look.camera.fovy[world]
        sun = look.lights
        model.light_dir[0] = sun.direction[world, 0]
        model.light_diffuse[0], model.light_specular[0] = (
            sun.diffuse[world, 0],
            sun.specular[world, 0],
        )
        model.light_ambient[0] = 0.0
        model.vis.headlight.ambient[:] = look.ambient[world]
        for index, mark in enumerate(self.spec.marks):
            body = int(model.body(mark.name).mocapid[0])
            self.data.mocap_pos[body] = (*layout.marks[world, index], 0.001)
        for kind, row in zip(self.spec.fixtures, placed_fixtures(self.spec, setting)[world]):
            body = int(model.body(kind).mocapid[0])
            self.data.mocap_pos[body], self.data.mocap_quat[body] = row[:3], row[3:]


def placed_fixtures(spec: SceneSpec, setting: Setting) -> np.ndarray:
    """Places and quaternions of the fixtures of all worlds, float64 [E, F, 7]."""
    where = np.asarray(setting.layout.fixtures, np.float64)
    placed = np.zeros((*where.shape[:2], 7))
    placed[..., :2] = where[..., :2]
    placed[..., 2] = [FIXTURES[kind].height for kind in spec.fixtures]
    placed[..., 3], placed[..., 6] = np.cos(where[..., 2] / 2), np.sin(where[..., 2] / 2)
    return placed
