"""Everything that crosses ranks. Callers use a ``World``, whose collectives are the identity at size 1."""

from typing import TYPE_CHECKING

from tfdl.distributed import elastic as elastic
from tfdl.lazy import lazy_names

_PUBLIC = {
    "AverageMetrics": "tfdl.distributed.callbacks",
    "BroadcastState": "tfdl.distributed.callbacks",
    "DistributedOptimizer": "tfdl.distributed.optimizer",
    "LearningRateWarmup": "tfdl.distributed.callbacks",
    "SyncCheck": "tfdl.distributed.callbacks",
    "DynamicLossScale": "tfdl.distributed.loss_scale",
    "LossScale": "tfdl.distributed.loss_scale",
    "NoLossScale": "tfdl.distributed.loss_scale",
    "Replicas": "tfdl.distributed.replicas",
    "HorovodWorld": "tfdl.distributed.horovod",
    "SingleWorld": "tfdl.distributed.world",
    "World": "tfdl.distributed.world",
    "broadcast_state": "tfdl.distributed.state",
    "current_world": "tfdl.distributed.world",
    "init": "tfdl.distributed.launch",
    "is_initialized": "tfdl.distributed.launch",
    "long_work": "tfdl.distributed.watchdog.current",
    "reduce_gradients": "tfdl.distributed.gradients",
    "set_current_world": "tfdl.distributed.world",
    "shutdown": "tfdl.distributed.launch",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.distributed.callbacks import AverageMetrics as AverageMetrics
    from tfdl.distributed.callbacks import BroadcastState as BroadcastState
    from tfdl.distributed.callbacks import LearningRateWarmup as LearningRateWarmup
    from tfdl.distributed.callbacks import SyncCheck as SyncCheck
    from tfdl.distributed.gradients import reduce_gradients as reduce_gradients
    from tfdl.distributed.horovod import HorovodWorld as HorovodWorld
    from tfdl.distributed.launch import init as init
    from tfdl.distributed.launch import is_initialized as is_initialized
    from tfdl.distributed.launch import shutdown as shutdown
    from tfdl.distributed.loss_scale import DynamicLossScale as DynamicLossScale
    from tfdl.distributed.loss_scale import LossScale as LossScale
    from tfdl.distributed.loss_scale import NoLossScale as NoLossScale
    from tfdl.distributed.optimizer import DistributedOptimizer as DistributedOptimizer
    from tfdl.distributed.replicas import Replicas as Replicas
    from tfdl.distributed.state import broadcast_state as broadcast_state
    from tfdl.distributed.watchdog.current import long_work as long_work
    from tfdl.distributed.world import SingleWorld as SingleWorld
    from tfdl.distributed.world import World as World
    from tfdl.distributed.world import current_world as current_world
    from tfdl.distributed.world import set_current_world as set_current_world


__getattr__ = lazy_names(__name__, _PUBLIC)
