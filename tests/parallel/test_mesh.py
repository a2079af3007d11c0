import jax
import pytest
from jax.sharding import PartitionSpec

from wamjax.core.config import from_flags, to_flags
from wamjax.core.errors import UserError
from wamjax.parallel.mesh import MESH_AXES, MeshConfig, make_mesh
from wamjax.parallel.rules import RULES, SMALL, spec_of
from wamjax.parallel.shardings import batch_sharding, host_share


def test_minus_one_takes_the_devices_that_are_left():
    mesh = make_mesh(MeshConfig(data=-1, tensor=2, sequence=2))
    assert dict(mesh.shape) == {"data": 2, "fsdp": 1, "tensor": 2, "sequence": 2}
    assert mesh.axis_names == MESH_AXES


def test_lengths_that_do_not_fit_the_devices_are_refused():
    for config in (MeshConfig(data=3), MeshConfig(data=-1, fsdp=3), MeshConfig(data=4, fsdp=4)):
        with pytest.raises(UserError, match="does not fit 8 device"):
            make_mesh(config)


@pytest.mark.parametrize("wrong", [{"data": 0}, {"fsdp": -2}, {"data": -1, "fsdp": -1}])
def test_lengths_without_meaning_are_refused(wrong: dict[str, int]):
    flags = to_flags(MeshConfig())
    for name, value in wrong.items():
        flags[name] = value
    with pytest.raises(UserError, match="mesh length"):
        from_flags(MeshConfig, flags)


def test_a_batch_that_does_not_divide_is_refused():
    mesh = make_mesh(MeshConfig(data=4, tensor=2))
    assert batch_sharding(mesh, 12).spec == PartitionSpec(("data", "fsdp"))
    with pytest.raises(UserError, match=r"train\.batch to a multiple of 4"):
        batch_sharding(mesh, 6)


def test_logical_axes_become_mesh_axes():
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    assert spec_of(("layer", "embed", "mlp"), (3, 4, 6), mesh) == (None, "fsdp", "tensor")
    assert spec_of((None, "heads"), (3, 6), mesh) == (None, "tensor")


def test_two_dimensions_on_one_mesh_axis_collide_even_on_one_device():
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    with pytest.raises(ValueError, match="collide"):
        spec_of(("mlp", "heads"), (4, 4), mesh)
    with pytest.raises(ValueError, match="collide"):
        spec_of(("embed", "embed"), (4, 4), mesh)


def test_names_that_do_not_describe_the_array_are_refused():
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    with pytest.raises(ValueError, match="not a logical axis"):
        spec_of(("width",), (4,), mesh)
    with pytest.raises(ValueError, match="2 dimensions but 1 names"):
        spec_of(("embed",), (4, 4), mesh)


def test_a_small_array_that_does_not_divide_stays_whole_and_a_large_one_is_refused():
    mesh = make_mesh(MeshConfig(data=-1, tensor=2))
    assert spec_of(("embed", "heads"), (4, 3), mesh) == ("fsdp", None)
    with pytest.raises(UserError, match=r"model/query .*heads, 3\) is not a multiple"):
        spec_of(("embed", "heads"), (SMALL, 3), mesh, path="model/query")


def test_every_mesh_axis_of_the_table_exists():
    assert {axis for axis in RULES.values() if axis is not None} <= set(MESH_AXES)


def test_one_host_loads_the_whole_batch():
    mesh = make_mesh(MeshConfig(data=4, tensor=2))
    assert host_share(batch_sharding(mesh, 8), 8) == (0, 1)
