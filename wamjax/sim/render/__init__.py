"""A ray caster for MuJoCo's primitives and meshes in pure JAX: colour, depth, segmentation."""

from wamjax.sim.render.camera import look_at as look_at
from wamjax.sim.render.from_mujoco import from_mujoco as from_mujoco
from wamjax.sim.render.mesh import Mesh as Mesh
from wamjax.sim.render.mesh import build_mesh as build_mesh
from wamjax.sim.render.picture import render as render
from wamjax.sim.render.picture import to_uint8 as to_uint8
from wamjax.sim.render.scene import DIRECTIONAL as DIRECTIONAL
from wamjax.sim.render.scene import POINT as POINT
from wamjax.sim.render.scene import SPOT as SPOT
from wamjax.sim.render.scene import Camera as Camera
from wamjax.sim.render.scene import GeomKind as GeomKind
from wamjax.sim.render.scene import Image as Image
from wamjax.sim.render.scene import Lights as Lights
from wamjax.sim.render.scene import Materials as Materials
from wamjax.sim.render.scene import Scene as Scene
from wamjax.sim.render.textures import FAMILIES as FAMILIES
from wamjax.sim.render.trace import cast as cast
