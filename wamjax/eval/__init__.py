"""Worlds -> scores -> report: rollouts, statistics, latency, open-loop errors, pages."""

from wamjax.eval.evaluate import Facts as Facts
from wamjax.eval.evaluate import episodes_of as episodes_of
from wamjax.eval.evaluate import evaluate as evaluate
from wamjax.eval.latency import chunk_latency as chunk_latency
from wamjax.eval.latency import latency as latency
from wamjax.eval.openloop import HeldOut as HeldOut
from wamjax.eval.openloop import open_loop as open_loop
from wamjax.eval.outcome import Outcome as Outcome
from wamjax.eval.programs import Programs as Programs
from wamjax.eval.rollout import Trace as Trace
from wamjax.eval.rollout import rollout as rollout
from wamjax.eval.worlds import AXES as AXES
from wamjax.eval.worlds import CLEAN as CLEAN
from wamjax.eval.worlds import Env as Env
from wamjax.eval.worlds import Worlds as Worlds
