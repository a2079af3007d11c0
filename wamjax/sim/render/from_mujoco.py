"""A MuJoCo model at one moment as a scene for the ray caster, seen from one of its cameras.

MuJoCo lights a surface by the sum over its lights of ambient, diffuse and specular colour times
those of the material (OpenGL's fixed function); a material's shininess 0..1 is the exponent 0..128.
Meshes come with their own normals, shared between triangles where MuJoCo draws them smooth.
Differences from what MuJoCo draws: planes cast no shadows; geoms are opaque or (alpha 0) invisible;
image textures, emission, reflections, attenuation, haze and a spot's ambient share are left out.
"""

import jax.numpy as jnp
import mujoco
import numpy as np

from wamjax.sim.render.mesh import Mesh, build_mesh
from wamjax.sim.render.scene import (
    DIRECTIONAL,
    POINT,
    SPOT,
    Camera,
    GeomKind,
    Lights,
    Materials,
    Scene,
    kind_names,
)

EXPONENT = 128.0
MESH = int(mujoco.mjtGeom.mjGEOM_MESH)
_LIGHT_KINDS = {
    int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL): DIRECTIONAL,
    int(mujoco.mjtLightType.mjLIGHT_POINT): POINT,
    int(mujoco.mjtLightType.mjLIGHT_SPOT): SPOT,
}


def from_mujoco(
    model: mujoco.MjModel, data: mujoco.MjData, camera: int | str = 0
) -> tuple[tuple[GeomKind, ...], Scene, Camera]:
    """(kinds, scene, camera) for `render`, float32 leaves; geoms keep MuJoCo's indices.

    Args:
        model: its `vis` and materials give the looks.
        data: after `mj_forward`, which places geoms, lights and cameras.
        camera: name or number; also where the headlight stands, if it is active.

    Raises:
        ValueError: a geom or a light of a kind that cannot be drawn.
    """
    kinds = kind_names(tuple(int(kind) for kind in model.geom_type))
    chosen = model.camera(camera).id
    eye = Camera(
        position=_single(data.cam_xpos[chosen]),
        rotation=_single(data.cam_xmat[chosen].reshape(3, 3)),
        fovy=_single(model.cam_fovy[chosen]),
    )
    lights, ambient = _lights(model, data, chosen)
    scene = Scene(
        position=_single(data.geom_xpos),
        rotation=_single(data.geom_xmat.reshape(-1, 3, 3)),
        size=_single(model.geom_size),
        materials=_materials(model),
        lights=lights,
        ambient=_single(ambient),
        background=jnp.zeros(3),
        meshes=_meshes(model),
    )
    return kinds, scene, eye


def mesh_triangles(model: mujoco.MjModel, mesh: int) -> tuple[np.ndarray, np.ndarray]:
    """(corners, their normals) of a mesh of the model, [T, 3, 3] each, in the frame of its geoms.

    MuJoCo moves a mesh to its middle and main axes, and adds to the geoms' poses what that takes.
    """
    first = int(model.mesh_faceadr[mesh])
    faces = slice(first, first + int(model.mesh_facenum[mesh]))
    points = int(model.mesh_vertadr[mesh]) + model.mesh_face[faces]
    normals = int(model.mesh_normaladr[mesh]) + model.mesh_facenormal[faces]
    return model.mesh_vert[points], model.mesh_normal[normals]


def colours(model: mujoco.MjModel) -> np.ndarray:
    """float32 [G, 4], rgba that each geom is drawn in, textures left out."""
    rgba, own = model.geom_rgba.copy(), model.geom_matid
    dressed = np.flatnonzero(own >= 0)
    # A colour of the geom's own, other than the default grey, wins over its material's.
    plain = dressed[(model.geom_rgba[dressed] == 0.5 * np.array([1, 1, 1, 2])).all(1)]
    rgba[plain] = model.mat_rgba[own[plain]]
    return rgba


def _meshes(model: mujoco.MjModel) -> tuple[Mesh, ...]:
    """Of each mesh geom; geoms that share a mesh share the arrays."""
    used = [int(model.geom_dataid[geom]) for geom in np.flatnonzero(model.geom_type == MESH)]
    built = {mesh: build_mesh(*mesh_triangles(model, mesh)) for mesh in sorted(set(used))}
    return tuple(built[mesh] for mesh in used)


def _single(array: np.ndarray | float) -> jnp.ndarray:
    return jnp.asarray(array, jnp.float32)


def _materials(model: mujoco.MjModel) -> Materials:
    count = model.ngeom
    rgba, specular, shininess = colours(model), np.full(count, 0.5), np.full(count, 0.5)
    own = model.geom_matid
    dressed = np.flatnonzero(own >= 0)
    specular[dressed] = model.mat_specular[own[dressed]]
    shininess[dressed] = model.mat_shininess[own[dressed]]
    return Materials(
        rgb=_single(rgba[:, :3]),
        family=jnp.zeros(count, jnp.int32),
        texture=jnp.zeros((count, 4)),
        specular=_single(specular),
        shininess=_single(EXPONENT * shininess),
        visible=jnp.asarray(rgba[:, 3] > 0),
    )


def _lights(model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> tuple[Lights, np.ndarray]:
    """(the model's lights, then the headlight; ambient light [3])."""
    for kind in model.light_type:
        if int(kind) not in _LIGHT_KINDS:
            raise ValueError(f"cannot draw a light of MuJoCo's kind {int(kind)}")
    head = model.vis.headlight
    kind = np.array([*(_LIGHT_KINDS[int(kind)] for kind in model.light_type), DIRECTIONAL])
    active = np.append(model.light_active.astype(bool), head.active > 0)
    forward = -data.cam_xmat[camera].reshape(3, 3)[:, 2]
    ambient = np.concatenate([model.light_ambient, head.ambient[None]])
    lights = Lights(
        kind=jnp.asarray(kind, jnp.int32),
        position=_single(np.concatenate([data.light_xpos, data.cam_xpos[camera][None]])),
        direction=_single(np.concatenate([data.light_xdir, forward[None]])),
        diffuse=_single(np.concatenate([model.light_diffuse, head.diffuse[None]])),
        specular=_single(np.concatenate([model.light_specular, head.specular[None]])),
        active=jnp.asarray(active),
        shadow=jnp.asarray(np.append(model.light_castshadow.astype(bool), False)),
    )
    if (kind == SPOT).any():
        lights = lights.replace(
            cutoff=_single(np.append(model.light_cutoff, 90.0)),
            exponent=_single(np.append(model.light_exponent, 0.0)),
        )
    return lights, ambient[active & (kind != SPOT)].sum(axis=0)
