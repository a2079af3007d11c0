"""How many operations a picture takes, counted on the program itself (its jaxpr).

    rays = width height supersample^2
    operations(frame) = rays (sum over geoms of eye(kind) + lights with shadows * sum over casters
                        of shade(kind) + the rest)

`per_kind` gives eye(kind) and shade(kind), as the difference that one more geom of the kind makes.
Counted are the operations of accelerators (lookups are products with a one-hot matrix there).
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.sim.render.picture import render
from wamjax.sim.render.scene import (
    PRIMITIVES,
    Camera,
    GeomKind,
    Lights,
    Materials,
    Primitive,
    Scene,
)

# One floating-point operation per number made; roots, logarithms and so on count as one, too.
# fmt: off
_ARITHMETIC = frozenset([
    "add", "sub", "mul", "div", "neg", "abs", "max", "min", "sqrt", "rsqrt", "exp", "exp2",
    "log", "floor", "ceil", "round", "sign", "sin", "cos", "tan", "integer_pow", "pow",
    "reduce_sum",
])
_SILENT = frozenset([
    "broadcast_in_dim", "reshape", "squeeze", "slice", "concatenate", "transpose",
    "convert_element_type", "iota", "dynamic_update_slice", "optimization_barrier",
    "platform_index", "gather", "stop_gradient", "copy",
])
# fmt: on
PIXELS = 16


@dataclasses.dataclass(frozen=True)
class Operations:
    """A count.

    Attributes:
        arithmetic: floating-point operations on vector units.
        other: comparisons, selections, integer and logical operations on vector units.
        matrix: floating-point operations of matrix products.
    """

    arithmetic: float
    other: float
    matrix: float

    def __add__(self, more: "Operations") -> "Operations":
        return Operations(
            self.arithmetic + more.arithmetic, self.other + more.other, self.matrix + more.matrix
        )

    def __sub__(self, less: "Operations") -> "Operations":
        return self + less.times(-1.0)

    def times(self, factor: float) -> "Operations":
        """Each count times the factor."""
        return Operations(factor * self.arithmetic, factor * self.other, factor * self.matrix)


NONE = Operations(0.0, 0.0, 0.0)


def count(jaxpr: Any) -> Operations:
    """Operations of a jaxpr without loops, of the branches for accelerators."""
    total = NONE
    for equation in jaxpr.eqns:
        total = total + _count_one(equation)
    return total


def _count_one(equation: Any) -> Operations:
    name = equation.primitive.name
    if name == "cond":
        # platform_dependent puts the default, which is for accelerators, last.
        return count(equation.params["branches"][-1].jaxpr)
    inner = list(_inner(equation.params))
    if inner:
        return sum((count(jaxpr) for jaxpr in inner), NONE)
    if name in _SILENT:
        return NONE
    made = equation.outvars[0].aval
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        depth = np.prod([equation.invars[0].aval.shape[axis] for axis in contracted])
        return Operations(0.0, 0.0, 2.0 * float(depth) * made.size)
    if name == "reduce_sum":
        made = equation.invars[0].aval
    if name in _ARITHMETIC and jnp.issubdtype(made.dtype, jnp.floating):
        return Operations(float(made.size), 0.0, 0.0)
    return Operations(0.0, float(made.size), 0.0)


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        jaxpr = getattr(value, "jaxpr", value)
        if hasattr(jaxpr, "eqns"):
            yield jaxpr


def per_frame(
    kinds: tuple[GeomKind, ...], height: int, width: int, *, lights: int = 1, shadows: int = 1
) -> Operations:
    """Operations of one picture with H x W pixels.

    Args:
        kinds: the kind of each geom, no meshes: what those cost depends on what is seen.
        height: H pixels.
        width: W pixels.
        lights: how many lights there are.
        shadows: how many of them cast shadows.
    """

    def draw(scene: Scene, camera: Camera) -> Any:
        return render(kinds, scene, camera, height, width, shadows=shadows)

    shapes = (_shapes(len(kinds), lights), _camera())
    return count(jax.make_jaxpr(draw)(*shapes).jaxpr)


def per_kind() -> dict[Primitive, tuple[Operations, Operations]]:
    """(eye, shade) of each kind: operations per ray from the eye and per ray to a light."""
    rays, found = PIXELS**2, {}

    def picture(kinds: tuple[Primitive, ...], shadows: int) -> Operations:
        return per_frame(kinds, PIXELS, PIXELS, shadows=shadows)

    # A second geom of a kind joins the stage of the first, so the difference is that of one geom.
    for kind in PRIMITIVES:
        base: tuple[Primitive, ...] = ("sphere", kind)
        eye = picture((*base, kind), 0) - picture(base, 0)
        both = picture((*base, kind), 1) - picture(base, 1)
        found[kind] = (eye.times(1 / rays), (both - eye).times(1 / rays))
    return found


def bytes_written(height: int, width: int) -> int:
    """Bytes that one picture cannot do without: rgb, depth and geom, 4 bytes each."""
    return 4 * 5 * height * width


def _shapes(geoms: int, lights: int) -> Scene:
    def shape(*sizes: int, dtype: Any = jnp.float32) -> Any:
        return jax.ShapeDtypeStruct(sizes, dtype)

    return Scene(
        position=shape(geoms, 3),
        rotation=shape(geoms, 3, 3),
        size=shape(geoms, 3),
        materials=Materials(
            rgb=shape(geoms, 3),
            family=shape(geoms, dtype=jnp.int32),
            texture=shape(geoms, 4),
            specular=shape(geoms),
            shininess=shape(geoms),
            visible=shape(geoms, dtype=bool),
        ),
        lights=Lights(
            kind=shape(lights, dtype=jnp.int32),
            position=shape(lights, 3),
            direction=shape(lights, 3),
            diffuse=shape(lights, 3),
            specular=shape(lights, 3),
            active=shape(lights, dtype=bool),
            shadow=shape(lights, dtype=bool),
        ),
        ambient=shape(3),
        background=shape(3),
    )


def _camera() -> Camera:
    def shape(*sizes: int) -> Any:
        return jax.ShapeDtypeStruct(sizes, jnp.float32)

    return Camera(position=shape(3), rotation=shape(3, 3), fovy=shape())


@dataclasses.dataclass(frozen=True)
class Ceiling:
    """What a device can do at most.

    Attributes:
        name: of the device, with what is assumed about it.
        arithmetic: FLOP/s of its vector units in float32, a multiply-add counted as two.
        memory: bytes per second.
    """

    name: str
    arithmetic: float
    memory: float


CEILINGS = (
    Ceiling("NVIDIA H200", 67e12, 4.8e12),
    Ceiling("TPU v5e (2 TFLOP/s of its vector unit are an assumption)", 2e12, 0.82e12),
)


def most_frames(frame: Operations, written: int, ceiling: Ceiling) -> float:
    """Pictures per second that the device cannot exceed: arithmetic and writing at full rate.

    Comparisons, selections and matrix products are taken to cost nothing, so this is a bound and
    no estimate.

    Args:
        frame: operations of a picture.
        written: its bytes.
        ceiling: of the device.
    """
    return min(ceiling.arithmetic / frame.arithmetic, ceiling.memory / written)
