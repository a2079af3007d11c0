"""What the ray caster takes from a MuJoCo model, without OpenGL."""

import jax
import mujoco
import numpy as np
import pytest

from wamjax.sim.render import DIRECTIONAL, SPOT, from_mujoco, render

XML = """
<mujoco>
  <visual><headlight active="1" ambient="0.1 0.1 0.1" diffuse="0.4 0.4 0.4" specular="0 0 0"/>
  </visual>
  <asset><material name="shiny" rgba="0.1 0.2 0.3 1" specular="0.9" shininess="0.25"/></asset>
  <worldbody>
    <light type="spot" pos="0 0 2" dir="0 0 -1" cutoff="30" exponent="4" diffuse="0.5 0.5 0.5"/>
    <light type="directional" dir="1 0 -1" ambient="0.2 0.2 0.2" castshadow="false"/>
    <camera name="side" pos="0 -2 0.5" xyaxes="1 0 0 0 0.2 1"/>
    <camera name="top" pos="0 0 2"/>
    <geom type="plane" size="1 1 0.1" rgba="0.6 0.6 0.6 1"/>
    <body pos="0.1 0 0.3"><geom type="box" size="0.1 0.2 0.1" material="shiny"/></body>
    <geom type="sphere" size="0.1" pos="-0.4 0 0.1" material="shiny" rgba="1 0 0 1"/>
    <geom type="capsule" size="0.1 0.2" pos="0 0.5 0.5" rgba="0 1 0 0"/>
  </worldbody>
</mujoco>"""


@pytest.fixture(scope="module")
def world():
    model = mujoco.MjModel.from_xml_string(XML)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def test_looks_lights_and_the_headlight(world):
    kinds, scene, camera = from_mujoco(*world, "top")
    assert kinds == ("plane", "sphere", "capsule", "box")
    looks = scene.materials
    np.testing.assert_allclose(looks.rgb[1], [1, 0, 0])
    np.testing.assert_allclose(looks.rgb[3], [0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(looks.specular, [0.5, 0.9, 0.5, 0.9], atol=1e-6)
    np.testing.assert_allclose(looks.shininess, [64, 32, 64, 32])
    np.testing.assert_array_equal(looks.visible, [True, True, False, True])
    lights = scene.lights
    np.testing.assert_array_equal(lights.kind, [SPOT, DIRECTIONAL, DIRECTIONAL])
    np.testing.assert_allclose(lights.cutoff[0], 30)
    np.testing.assert_allclose(lights.exponent[0], 4)
    np.testing.assert_array_equal(lights.shadow, [True, False, False])
    np.testing.assert_allclose(lights.direction[2], [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(camera.position, [0, 0, 2])
    np.testing.assert_allclose(scene.ambient, 0.3, atol=1e-6)


def test_it_can_be_drawn_from_each_camera(world):
    for name, seen in (("side", {0, 1, 3}), ("top", {0, 1, 3})):
        kinds, scene, camera = from_mujoco(*world, name)
        image = jax.jit(lambda s, c, kinds=kinds: render(kinds, s, c, 32, 32))(scene, camera)
        assert set(np.unique(image.geom)) - {-1} == seen


def test_what_cannot_be_drawn_is_refused():
    field = mujoco.MjModel.from_xml_string(
        '<mujoco><asset><hfield name="h" nrow="3" ncol="3" size="1 1 1 1"/></asset><worldbody>'
        '<camera/><geom type="hfield" hfield="h"/></worldbody></mujoco>'
    )
    with pytest.raises(ValueError, match="cannot draw a geom of kind 1"):
        from_mujoco(field, mujoco.MjData(field))
