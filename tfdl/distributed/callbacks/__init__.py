"""Callbacks that, besides the optimizer, make ``keras.Model.fit`` one training over several ranks."""

from tfdl.distributed.callbacks.average_metrics import AverageMetrics
from tfdl.distributed.callbacks.broadcast_state import BroadcastState
from tfdl.distributed.callbacks.learning_rate_warmup import LearningRateWarmup
from tfdl.distributed.callbacks.sync_check import SyncCheck

__all__ = ["AverageMetrics", "BroadcastState", "LearningRateWarmup", "SyncCheck"]
