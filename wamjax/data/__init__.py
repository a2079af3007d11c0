"""Episodes to batches: RLDS directories in, normalised windows out; NumPy only."""

from wamjax.data.card import Card as Card
from wamjax.data.card import read_card as read_card
from wamjax.data.config import DataConfig as DataConfig
from wamjax.data.episodes import Episodes as Episodes
from wamjax.data.episodes import read_episodes as read_episodes
from wamjax.data.layout import Dim as Dim
from wamjax.data.layout import Layout as Layout
from wamjax.data.layout import union as union
from wamjax.data.mixture import Mixture as Mixture
from wamjax.data.normalise import Normaliser as Normaliser
from wamjax.data.normalise import action_normaliser as action_normaliser
from wamjax.data.normalise import proprio_normaliser as proprio_normaliser
from wamjax.data.pipeline import Loader as Loader
from wamjax.data.pipeline import Windows as Windows
from wamjax.data.pipeline import make_loader as make_loader
from wamjax.data.pipeline import ordered_batches as ordered_batches
from wamjax.data.prepared import Prepared as Prepared
from wamjax.data.prepared import prepare as prepare
from wamjax.data.rlds import RldsSource as RldsSource
from wamjax.data.statistics import Statistics as Statistics
from wamjax.data.statistics import compute_statistics as compute_statistics
from wamjax.data.statistics import load_statistics as load_statistics
from wamjax.data.statistics import save_statistics as save_statistics
from wamjax.data.statistics import statistics_for as statistics_for
from wamjax.data.striding import stride as stride
from wamjax.data.writer import write_rlds as write_rlds
