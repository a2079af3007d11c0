"""Published systems as typed configs, and the assembly that turns a config into functions."""

from wamjax.recipes.config import SystemConfig as SystemConfig
from wamjax.recipes.system import System as System
