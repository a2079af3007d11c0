"""What the ray caster draws: geoms, materials, lights, cameras, and the picture that comes out.

Conventions are MuJoCo's: half sizes; capsules and cylinders along local z with size = (radius,
half length, -); a camera looks along its local -z with x to the right and y up; a plane is one-
sided with the normal +z and is infinite along an axis whose half size is 0. Lengths in metres.
The kinds of the geoms are static (a tuple), everything in these records is traced.
"""

from typing import Literal, get_args

import flax.struct

from wamjax.core.typing import Array
from wamjax.sim.render.mesh import Mesh

Primitive = Literal["plane", "sphere", "capsule", "ellipsoid", "cylinder", "box"]
PRIMITIVES: tuple[Primitive, ...] = get_args(Primitive)
GeomKind = Literal[Primitive, "mesh"]
GEOM_KINDS: tuple[GeomKind, ...] = (*PRIMITIVES, "mesh")

# mujoco.mjtGeom; the numbers are part of MuJoCo's file format.
MUJOCO_KINDS: dict[int, GeomKind] = {
    0: "plane",
    2: "sphere",
    3: "capsule",
    4: "ellipsoid",
    5: "cylinder",
    6: "box",
    7: "mesh",
}

DIRECTIONAL, POINT, SPOT = 0, 1, 2


@flax.struct.dataclass
class Materials:
    """How each of G geoms looks; see `textures` for the families.

    Attributes:
        rgb: float32 [G, 3] in 0..1, the brightest colour of the surface.
        family: int32 [G], the index into `textures.FAMILIES`.
        texture: float32 [G, 4]: scale (cycles per metre), contrast (0..1), phase (cycles), warp
            (0..1).
        specular: float32 [G] in 0..1.
        shininess: float32 [G], the Blinn-Phong exponent (8 is satin, 64 is polished).
        visible: bool [G]; a geom that is not visible is neither seen nor casts a shadow.
    """

    rgb: Array
    family: Array
    texture: Array
    specular: Array
    shininess: Array
    visible: Array


@flax.struct.dataclass
class Lights:
    """L lights without distance falloff, as in MuJoCo's default.

    A spot shines cos(a)^exponent where a, the angle between its direction and the way to the lit
    point, is less than the cutoff, and nothing elsewhere.

    Attributes:
        kind: int32 [L], 0 directional, 1 point, 2 spot.
        position: float32 [L, 3], for point lights and spots.
        direction: float32 [L, 3], from the light into the scene, of any length, for directional
            lights and spots.
        diffuse: float32 [L, 3].
        specular: float32 [L, 3].
        active: bool [L].
        shadow: bool [L]; counts only for the lights that `render` lets cast shadows.
        cutoff: float32 [L], degrees from 0 to 90 (MuJoCo's default is 45), for spots; None where
            no light is a spot, which saves their arithmetic (a spot would shine as a point light).
        exponent: float32 [L] (MuJoCo's default is 10), for spots; None just as `cutoff`.
    """

    kind: Array
    position: Array
    direction: Array
    diffuse: Array
    specular: Array
    active: Array
    shadow: Array
    cutoff: Array | None = None
    exponent: Array | None = None


@flax.struct.dataclass
class Scene:
    """One world at one moment.

    Attributes:
        position: float32 [G, 3], centres in the world frame.
        rotation: float32 [G, 3, 3], local to world.
        size: float32 [G, 3], MuJoCo's half sizes.
        materials: see `Materials`.
        lights: see `Lights`.
        ambient: float32 [3], light from everywhere.
        background: float32 [3], the colour where nothing is hit.
        meshes: the triangles of each geom of kind "mesh", in the order of the geoms. They are the
            same in all worlds of a batch, so build the scene inside of `vmap`, or leave them out of
            it with `in_axes`.
    """

    position: Array
    rotation: Array
    size: Array
    materials: Materials
    lights: Lights
    ambient: Array
    background: Array
    meshes: tuple[Mesh, ...] = ()


@flax.struct.dataclass
class Camera:
    """A pinhole camera.

    Attributes:
        position: float32 [3], world frame.
        rotation: float32 [3, 3], camera to world.
        fovy: float32 [], full vertical field of view in degrees.
    """

    position: Array
    rotation: Array
    fovy: Array


@flax.struct.dataclass
class Image:
    """What a camera sees.

    Attributes:
        rgb: float32 [H, W, 3] in 0..1.
        depth: float32 [H, W], metres along the optical axis; 0 where nothing is hit.
        geom: int32 [H, W], index of the geom; -1 where nothing is hit.
    """

    rgb: Array
    depth: Array
    geom: Array


def kind_names(kinds: tuple[GeomKind | int, ...]) -> tuple[GeomKind, ...]:
    """Geom kinds by name; integers are MuJoCo's `mjtGeom`.

    Raises:
        ValueError: a kind that cannot be drawn (height field, SDF, ...).
    """
    names: list[GeomKind] = []
    for kind in kinds:
        if isinstance(kind, str) and kind in GEOM_KINDS:
            names.append(kind)
        elif not isinstance(kind, str) and int(kind) in MUJOCO_KINDS:
            names.append(MUJOCO_KINDS[int(kind)])
        else:
            raise ValueError(f"cannot draw a geom of kind {kind!r}; known: {GEOM_KINDS}")
    return tuple(names)
