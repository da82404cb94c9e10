"""Checks this machine for a training job: what is installed, what is wrong and how to fix it."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Diagnosis": "tfdl.diagnosis.checkup",
    "Finding": "tfdl.diagnosis.finding",
    "MessageTiming": "tfdl.diagnosis.bandwidth",
    "diagnose": "tfdl.diagnosis.checkup",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.diagnosis.bandwidth import MessageTiming as MessageTiming
    from tfdl.diagnosis.checkup import Diagnosis as Diagnosis
    from tfdl.diagnosis.checkup import diagnose as diagnose
    from tfdl.diagnosis.finding import Finding as Finding


__getattr__ = lazy_names(__name__, _PUBLIC)
