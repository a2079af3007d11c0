"""Flow matching: path, noise levels, loss, solvers, sampler programs, guidance.

It knows only a velocity function, ({stream: x}, {stream: sigma}) -> {stream: velocity}.
"""

from wamjax.flow.grid import sigma_grid as sigma_grid
from wamjax.flow.guidance import combine as combine
from wamjax.flow.guidance import guided as guided
from wamjax.flow.levels import LevelLaw as LevelLaw
from wamjax.flow.levels import LevelsConfig as LevelsConfig
from wamjax.flow.levels import draw_levels as draw_levels
from wamjax.flow.levels import quantile as quantile
from wamjax.flow.loss import masked_mean as masked_mean
from wamjax.flow.loss import velocity_loss as velocity_loss
from wamjax.flow.path import Prediction as Prediction
from wamjax.flow.path import clean_from_velocity as clean_from_velocity
from wamjax.flow.path import corrupt as corrupt
from wamjax.flow.path import noise_from_velocity as noise_from_velocity
from wamjax.flow.path import velocity as velocity
from wamjax.flow.path import velocity_from_clean as velocity_from_clean
from wamjax.flow.path import velocity_from_prediction as velocity_from_prediction
from wamjax.flow.sampler import SamplerConfig as SamplerConfig
from wamjax.flow.sampler import Velocity as Velocity
from wamjax.flow.sampler import sample as sample
from wamjax.flow.solvers import Solver as Solver
from wamjax.flow.solvers import integrate as integrate
