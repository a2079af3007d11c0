"""Studies: arms that differ in one thing, trained alike and tried in the same worlds."""

from wamjax.eval.study.study import Arm as Arm
from wamjax.eval.study.study import Condition as Condition
from wamjax.eval.study.study import Data as Data
from wamjax.eval.study.study import Mode as Mode
from wamjax.eval.study.study import Run as Run
from wamjax.eval.study.study import Study as Study
from wamjax.eval.study.study import Worlds as Worlds
