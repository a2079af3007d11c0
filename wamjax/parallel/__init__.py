"""Mesh: devices by axis, logical axis -> mesh axis, shardings of a state, multi-host start."""

from wamjax.parallel.mesh import MESH_AXES as MESH_AXES
from wamjax.parallel.mesh import MeshConfig as MeshConfig
from wamjax.parallel.mesh import make_mesh as make_mesh
from wamjax.parallel.rules import RULES as RULES
from wamjax.parallel.rules import spec_of as spec_of
from wamjax.parallel.shardings import batch_sharding as batch_sharding
from wamjax.parallel.shardings import host_share as host_share
from wamjax.parallel.shardings import param_shardings as param_shardings
from wamjax.parallel.shardings import put_batch as put_batch
from wamjax.parallel.shardings import replicated as replicated
from wamjax.parallel.shardings import unbox as unbox
from wamjax.parallel.start import start_hosts as start_hosts
