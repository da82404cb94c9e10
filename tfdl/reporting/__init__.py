"""What runs have done, read from their files: lists of runs."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "ListedRun": "tfdl.reporting.listed_run",
    "list_runs": "tfdl.reporting.listing",
    "sort_runs": "tfdl.reporting.sorting",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.reporting.listed_run import ListedRun as ListedRun
    from tfdl.reporting.listing import list_runs as list_runs
    from tfdl.reporting.sorting import sort_runs as sort_runs


__getattr__ = lazy_names(__name__, _PUBLIC)
