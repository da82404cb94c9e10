"""The quick start of TensorFlow leaves the process as a plain one, but for what Keras imports on behalf of others."""

import subprocess
import sys
from textwrap import dedent


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_the_quick_start_imports_nothing_for_others_and_hides_it_from_nobody() -> None:
    printed = run("""
        import gc, sys
        from tfdl.cli.quiet import quick_start
        quick_start()
        print([name in sys.modules for name in ("tensorflow", "keras", "sklearn", "matplotlib")], gc.isenabled())
        import sklearn.metrics, matplotlib.pyplot
        print(sklearn.metrics.accuracy_score([0, 1], [0, 0]), matplotlib.pyplot.figure().get_figwidth() > 0)
    """)
    assert printed.splitlines() == ["[True, True, False, False] True", "0.5 True"]


def test_what_is_imported_already_is_not_hidden() -> None:
    """A session in which the user plots: Keras finds matplotlib, and the module stays what it was."""
    printed = run("""
        import gc, sys
        import matplotlib
        gc.disable()
        from tfdl.cli.quiet import quick_start
        quick_start()
        print(sys.modules["matplotlib"] is matplotlib, gc.isenabled())
    """)
    assert printed.strip() == "True False"
