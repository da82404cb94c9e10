"""Runs commands of tfdl one after the other: ``commands.py JSON`` with a list of lists of arguments.

After each command every rank prints a line with the exit code, on both streams. The first command that fails ends the
job with its exit code. Keras begins to number layers anew for each command, as in a new process.
"""

import json
import sys

import keras

from tfdl.cli.main import main as command

for arguments in json.loads(sys.argv[1]):
    keras.backend.clear_session()
    try:
        command(arguments)
    except SystemExit as ended:
        for stream in (sys.stdout, sys.stderr):
            print(f"command ended: {ended.code}", file=stream, flush=True)
        if ended.code != 0:
            raise
