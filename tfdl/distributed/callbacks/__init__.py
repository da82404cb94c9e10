"""What makes ``keras.Model.fit`` one training over several ranks, beside the optimizer."""

from tfdl.distributed.callbacks.average_metrics import AverageMetrics
from tfdl.distributed.callbacks.broadcast_state import BroadcastState
from tfdl.distributed.callbacks.sync_check import SyncCheck

__all__ = ["AverageMetrics", "BroadcastState", "SyncCheck"]
