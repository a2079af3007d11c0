"""Losses of heads that do not flow: each a masked mean, over the same divisor as the flow's."""

from wamjax.flow.losses.absolute import absolute_loss as absolute_loss
from wamjax.flow.losses.binary import binary_loss as binary_loss
from wamjax.flow.losses.dimensions import Group as Group
from wamjax.flow.losses.dimensions import grouped_mean as grouped_mean
from wamjax.flow.losses.laplace import bounded_log_scale as bounded_log_scale
from wamjax.flow.losses.laplace import laplace_draw as laplace_draw
from wamjax.flow.losses.laplace import laplace_law as laplace_law
from wamjax.flow.losses.laplace import laplace_log_prob as laplace_log_prob
from wamjax.flow.losses.laplace import laplace_loss as laplace_loss
from wamjax.flow.losses.parts import Part as Part
from wamjax.flow.losses.parts import decided as decided
from wamjax.flow.losses.parts import parts_loss as parts_loss
from wamjax.flow.losses.tokens import token_loss as token_loss
