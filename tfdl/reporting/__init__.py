"""What runs have done: lists of runs, and reports on them."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Finding": "tfdl.reporting.findings",
    "ListedRun": "tfdl.reporting.listed_run",
    "Report": "tfdl.reporting.making",
    "list_runs": "tfdl.reporting.listing",
    "report": "tfdl.reporting.making",
    "sort_runs": "tfdl.reporting.sorting",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.reporting.findings import Finding as Finding
    from tfdl.reporting.listed_run import ListedRun as ListedRun
    from tfdl.reporting.listing import list_runs as list_runs
    from tfdl.reporting.making import Report as Report
    from tfdl.reporting.making import report as report
    from tfdl.reporting.sorting import sort_runs as sort_runs


__getattr__ = lazy_names(__name__, _PUBLIC)
