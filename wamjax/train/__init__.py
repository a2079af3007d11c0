"""Training: state, optimizer, step, loop, checkpoints, metrics, stages."""

from wamjax.train.checkpoint import load_for_inference as load_for_inference
from wamjax.train.config import StageConfig as StageConfig
from wamjax.train.config import TrainConfig as TrainConfig
from wamjax.train.inputs import unused_inputs as unused_inputs
from wamjax.train.loop import train as train
from wamjax.train.metrics import read_metrics as read_metrics
from wamjax.train.run_config import RunConfig as RunConfig
from wamjax.train.run_config import stages_for as stages_for
