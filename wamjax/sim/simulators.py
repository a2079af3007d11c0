"""Brax's environment interface and MJX, imported without their noise.

MJX prints on standard output that the optional Warp is absent, which would spoil machine-readable
output; `brax.envs` loads the unmaintained jaxopt, which warns about itself. Neither is used here.
"""

import contextlib
import io
import warnings

with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.filterwarnings("ignore", "JAXopt is no longer maintained", DeprecationWarning)
    from brax.envs.base import Env as Env
    from brax.envs.base import State as State
    from mujoco import mjx as mjx
