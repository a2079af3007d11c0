"""One solver per file, chosen by name; `integrate` walks a sigma grid with it."""

from wamjax.flow.solvers.integrate import Solver as Solver
from wamjax.flow.solvers.integrate import check_reuse as check_reuse
from wamjax.flow.solvers.integrate import integrate as integrate
