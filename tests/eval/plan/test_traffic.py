"""Bytes between devices, read off HLO texts: by hand, and compiled for eight fake devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from wamjax.eval.plan.traffic import Sent, axes_of, groups_of, traffic
from wamjax.parallel.mesh import MeshConfig, make_mesh

SHAPE = {"data": 2, "fsdp": 4, "tensor": 1, "sequence": 1}

HLO = """\
HloModule jit_step

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  ROOT %r = f32[] add(%x, %y)
}

%condition (p: (s32[], bf16[8,128])) -> pred[] {
  %limit = s32[]{:T(128)} constant(30)
  ROOT %lt = pred[] compare(%i, %limit), direction=LT
}

%all-reduce-scatter.1 (input: f32[8,128]) -> f32[2,128] {
  %ar = f32[8,128]{1,0} all-reduce(%input), channel_id=7, replica_groups={{0,1,2,3},{4,5,6,7}}
  ROOT %part = f32[2,128] dynamic-slice(%ar, %n)
}

%begin (p: bf16[2,128]) -> bf16[8,128] {
  ROOT %ag = bf16[8,128]{1,0} all-gather(%p), channel_id=3, replica_groups=[2,4]<=[8]
}

%body (p: (s32[], bf16[8,128])) -> (s32[], bf16[8,128]) {
  %start = bf16[8,128] fusion(%w), kind=kCustom, calls=%begin
  %done = bf16[8,128] fusion(%w), kind=kCustom, calls=%begin
  %rs = f32[2,128] fusion(%g), kind=kCustom, calls=%all-reduce-scatter.1
  ROOT %t = (s32[], bf16[8,128]) tuple(%i, %done)
}

ENTRY %main (p: bf16[2,128]) -> f32[] {
  %loop = (s32[], bf16[8,128]) while(%init), condition=%condition, body=%body
  %sum = f32[1024]{0} all-reduce(%y), channel_id=9, replica_groups=[4,2]<=[2,4]T(1,0), to_apply=%add
  ROOT %out = f32[] constant(0)
}
"""


def test_what_is_sent_is_told_by_kind_axis_and_turns():
    block = 8 * 128
    assert traffic(HLO, SHAPE) == [
        Sent("all-gather", ("fsdp",), 30.0, 30 * 2 * block * 3 / 4),
        Sent("all-reduce", ("data",), 1.0, 2 * 4 * 1024 / 2),
        Sent("reduce-scatter", ("fsdp",), 30.0, 30 * 4 * block * 3 / 4),
    ]


SLICES = """\
HloModule jit_step

%condition (p: (s32[], f32[64])) -> pred[] {
  %limit = s32[]{:T(128)} constant(30)
  ROOT %lt = pred[] compare(%i, %limit), direction=LT
}

%body (p: (s32[], f32[64])) -> (s32[], f32[64]) {
  %send.1 = (bf16[96,4]{1,0}, u32[], token[]) send(%x, %t), channel_id=7, is_host_transfer=true, \
frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime",\
_xla_megascale_reduce_operation="SUM",_xla_megascale_target="{1,3}x{0:3}",\
_xla_megascale_transfer_type="ALL_REDUCE"}
  ROOT %t = (s32[], f32[64]) tuple(%i, %done)
}

ENTRY %main (p: f32[64]) -> f32[] {
  %loop = (s32[], f32[64]) while(%init), condition=%condition, body=%body
  %send.2 = (f32[10]{0}, u32[], token[]) send(%y, %t), channel_id=9, is_host_transfer=true, \
frontend_attributes={_xla_megascale_target={{100000,200000},{100001,200001}},\
_xla_megascale_transfer_type="ALL_GATHER"}
  ROOT %out = f32[] constant(0)
}
"""


def test_what_is_sent_between_slices_is_told_by_their_axes():
    # Four slices, two along data and two along fsdp: {1,3} differ in data, {1,2} in fsdp.
    shape = {"data": 2, "fsdp": 8, "tensor": 1, "sequence": 1}
    assert traffic(SLICES, shape, (2, 2)) == [
        Sent("all-gather", ("fsdp",), 1.0, 40.0, network=True),
        Sent("all-reduce", ("data",), 30.0, 30 * 2 * 96 * 4 * 2 / 2, network=True),
    ]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("replica_groups={{0,1},{2,3}}, x", [[0, 1], [2, 3]]),
        ("replica_groups=[2,2]<=[4], x", [[0, 1], [2, 3]]),
        ("replica_groups=[2,2]<=[2,2]T(1,0), x", [[0, 2], [1, 3]]),
        ("source_target_pairs={{0,1},{1,2}}, x", [[0, 1], [1, 2]]),
        ("x", [[0, 1, 2, 3]]),
    ],
)
def test_groups_are_read_in_every_form(text: str, groups: list[list[int]]):
    np.testing.assert_array_equal(groups_of(text, 4), groups)


def test_a_group_belongs_to_the_axes_along_which_it_differs():
    assert axes_of(np.array([[0, 1, 2, 3]]), SHAPE) == ("fsdp",)
    assert axes_of(np.array([[0, 4]]), SHAPE) == ("data",)
    assert axes_of(np.arange(8)[None], SHAPE) == ("data", "fsdp")


def test_a_compiled_program_sends_what_its_shardings_need():
    mesh = make_mesh(MeshConfig(data=2, fsdp=4))
    weight = jax.ShapeDtypeStruct(
        (3, 64, 32), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(None, "fsdp"))
    )
    rows = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    batch = jax.ShapeDtypeStruct((16, 64), jnp.float32, sharding=rows)

    def program(weights: jax.Array, x: jax.Array) -> jax.Array:
        def layer(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, None]:
            whole = jax.lax.with_sharding_constraint(weight, NamedSharding(mesh, PartitionSpec()))
            made = jnp.tanh(x @ whole)
            return jnp.concatenate([made, made], axis=1), None

        return jax.lax.scan(layer, x, weights)[0]

    made = jax.jit(program, out_shardings=rows).lower(weight, batch).compile()
    gathered = [one for one in traffic(made.as_text(), dict(mesh.shape)) if one.moved > 0]
    assert [one.kind for one in gathered] == ["all-gather"]
    assert gathered[0].axes == ("fsdp",)
    # Three layers, each 64 x 32 float32, of which a device has a quarter.
    assert gathered[0].moved == 3 * 64 * 32 * 4 * 3 / 4
