"""Observation -> actions: the loader's transforms inverted, and the baselines."""

from wamjax.policy.base import Needs as Needs
from wamjax.policy.base import Policy as Policy
from wamjax.policy.base import check_observation as check_observation
from wamjax.policy.base import views_for as views_for
from wamjax.policy.baselines import random_policy as random_policy
from wamjax.policy.baselines import still_policy as still_policy
from wamjax.policy.trained import trained_policy as trained_policy
