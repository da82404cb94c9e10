"""Keras scripts whose ranks may die and join: ``tfdl.distributed.elastic``, like Horovod's module of this name."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "CommitStateCallback": "tfdl.distributed.elastic.state_callbacks",
    "HostsUpdatedInterrupt": "tfdl.distributed.elastic.membership",
    "KerasState": "tfdl.distributed.elastic.keras_state",
    "UpdateBatchStateCallback": "tfdl.distributed.elastic.state_callbacks",
    "UpdateEpochStateCallback": "tfdl.distributed.elastic.state_callbacks",
    "run": "tfdl.distributed.elastic.running",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.distributed.elastic.keras_state import KerasState as KerasState
    from tfdl.distributed.elastic.membership import HostsUpdatedInterrupt as HostsUpdatedInterrupt
    from tfdl.distributed.elastic.running import run as run
    from tfdl.distributed.elastic.state_callbacks import CommitStateCallback as CommitStateCallback
    from tfdl.distributed.elastic.state_callbacks import UpdateBatchStateCallback as UpdateBatchStateCallback
    from tfdl.distributed.elastic.state_callbacks import UpdateEpochStateCallback as UpdateEpochStateCallback


__getattr__ = lazy_names(__name__, _PUBLIC)
