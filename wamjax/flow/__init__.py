"""Flow matching: path, noise levels, losses, solvers, sampler programs, guidance, distillation.

It knows only a velocity function, ({stream: x}, {stream: sigma}) -> {stream: velocity}; what
distils a flow knows one of (x, sigma, step).
"""

from wamjax.flow.edm import edm_from_sigma as edm_from_sigma
from wamjax.flow.edm import sigma_from_edm as sigma_from_edm
from wamjax.flow.grid import edm_grid as edm_grid
from wamjax.flow.grid import sigma_grid as sigma_grid
from wamjax.flow.guidance import combine as combine
from wamjax.flow.guidance import guided as guided
from wamjax.flow.jumps import JumpVelocity as JumpVelocity
from wamjax.flow.jumps import sample_jumps as sample_jumps
from wamjax.flow.laws import LevelLaw as LevelLaw
from wamjax.flow.laws import quantile as quantile
from wamjax.flow.levels import LevelsConfig as LevelsConfig
from wamjax.flow.levels import draw_levels as draw_levels
from wamjax.flow.loss import masked_mean as masked_mean
from wamjax.flow.loss import velocity_loss as velocity_loss
from wamjax.flow.losses import absolute_loss as absolute_loss
from wamjax.flow.losses import binary_loss as binary_loss
from wamjax.flow.losses import bounded_log_scale as bounded_log_scale
from wamjax.flow.losses import grouped_mean as grouped_mean
from wamjax.flow.losses import laplace_draw as laplace_draw
from wamjax.flow.losses import laplace_log_prob as laplace_log_prob
from wamjax.flow.losses import laplace_loss as laplace_loss
from wamjax.flow.losses import parts_loss as parts_loss
from wamjax.flow.losses import token_loss as token_loss
from wamjax.flow.mean_flow import draw_spans as draw_spans
from wamjax.flow.mean_flow import mean_flow_loss as mean_flow_loss
from wamjax.flow.path import Prediction as Prediction
from wamjax.flow.path import clean_from_velocity as clean_from_velocity
from wamjax.flow.path import corrupt as corrupt
from wamjax.flow.path import noise_from_velocity as noise_from_velocity
from wamjax.flow.path import per_token as per_token
from wamjax.flow.path import velocity as velocity
from wamjax.flow.path import velocity_from_clean as velocity_from_clean
from wamjax.flow.path import velocity_from_noise as velocity_from_noise
from wamjax.flow.path import velocity_from_prediction as velocity_from_prediction
from wamjax.flow.prefix import continued as continued
from wamjax.flow.prefix import delayed as delayed
from wamjax.flow.prefix import draw_delays as draw_delays
from wamjax.flow.prefix import hold as hold
from wamjax.flow.sampler import SamplerConfig as SamplerConfig
from wamjax.flow.sampler import Velocity as Velocity
from wamjax.flow.sampler import sample as sample
from wamjax.flow.shortcut import draw_jumps as draw_jumps
from wamjax.flow.shortcut import shortcut_loss as shortcut_loss
from wamjax.flow.solvers import Solver as Solver
from wamjax.flow.solvers import integrate as integrate
from wamjax.flow.stochastic import Walk as Walk
from wamjax.flow.stochastic import draw_walk as draw_walk
from wamjax.flow.stochastic import step_log_probs as step_log_probs
from wamjax.flow.stochastic import transition as transition
from wamjax.flow.stochastic import walk_log_prob as walk_log_prob
from wamjax.flow.variance_preserving import cosine_grid as cosine_grid
from wamjax.flow.weights import Weight as Weight
from wamjax.flow.weights import loss_weight as loss_weight
