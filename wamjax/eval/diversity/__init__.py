"""In how many ways a policy solves a task: entropy of modes, entropy of trajectories."""

from wamjax.eval.diversity.kernels import gaussian_gram as gaussian_gram
from wamjax.eval.diversity.kernels import resample_path as resample_path
from wamjax.eval.diversity.kernels import signature_gram as signature_gram
from wamjax.eval.diversity.modes import Diversity as Diversity
from wamjax.eval.diversity.modes import mode_entropy as mode_entropy
from wamjax.eval.diversity.modes import mode_entropy_given_state as mode_entropy_given_state
from wamjax.eval.diversity.trajectories import gram_entropy as gram_entropy
from wamjax.eval.diversity.trajectories import trajectory_entropy as trajectory_entropy
from wamjax.eval.diversity.trajectories import (
    trajectory_entropy_given_state as trajectory_entropy_given_state,
)
