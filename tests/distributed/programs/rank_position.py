"""Prints a rank's position, and the sum over all ranks."""

import json
import sys

import tensorflow as tf

from tfdl import distributed

world = distributed.init()
total = int(world.all_reduce(tf.constant(world.rank + 1)))
position = [world.rank, world.size, world.local_rank, world.local_size, total]
sys.stdout.write(f"{json.dumps(position)}\n")  # one write, so that lines of ranks do not mix
distributed.shutdown()
