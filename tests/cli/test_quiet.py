"""The quick start of TensorFlow imports less, and changes nothing else in the process."""

import subprocess
import sys
from textwrap import dedent


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_the_quick_start_skips_what_no_command_uses_and_it_can_be_imported_later() -> None:
    printed = run("""
        import gc, sys
        from tfdl.cli.quiet import quick_start
        quick_start()
        print([name in sys.modules for name in ("tensorflow", "keras")], gc.isenabled())
        print([name for name in ("sklearn", "matplotlib", "pandas", "IPython") if name in sys.modules])
        import sklearn.metrics, matplotlib.pyplot
        print(sklearn.metrics.accuracy_score([0, 1], [0, 0]), matplotlib.pyplot.figure().get_figwidth() > 0)
    """)
    assert printed.splitlines() == ["[True, True] True", "[]", "0.5 True"]


def test_what_is_already_imported_is_not_hidden() -> None:
    """In a session with plots, Keras finds matplotlib, and the module stays the same object."""
    printed = run("""
        import gc, sys
        import matplotlib
        gc.disable()
        from tfdl.cli.quiet import quick_start
        quick_start()
        print(sys.modules["matplotlib"] is matplotlib, gc.isenabled())
    """)
    assert printed.strip() == "True False"
