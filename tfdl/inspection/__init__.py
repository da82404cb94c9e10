"""The size and the cost of a model, from its graph, without running it."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Cost": "tfdl.inspection.cost",
    "ModelDescription": "tfdl.inspection.describe",
    "describe_model": "tfdl.inspection.describe",
    "step_cost": "tfdl.inspection.cost",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.inspection.cost import Cost as Cost
    from tfdl.inspection.cost import step_cost as step_cost
    from tfdl.inspection.describe import ModelDescription as ModelDescription
    from tfdl.inspection.describe import describe_model as describe_model


__getattr__ = lazy_names(__name__, _PUBLIC)
