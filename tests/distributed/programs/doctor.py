"""Runs the doctor's proof with two different faults, and its measurement with a rank that has five times the work.

Prints the findings, as JSON. Then runs the doctor itself.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import tensorflow as tf

from tfdl import distributed
from tfdl.cli.main import main as command
from tfdl.diagnosis.compute_speed import check_compute_speed, time_products
from tfdl.diagnosis.sync_proof import prove_sync
from tfdl.distributed import SingleWorld, World, reduce_gradients
from tfdl.distributed.fingerprints import Fingerprints


def proof(world: World) -> list[dict[str, str]]:
    return [asdict(finding) for finding in prove_sync(world)]


def unreduced(gradients: Sequence[Any], weight: Any, _: World, **options: Any) -> list[Any]:
    return reduce_gradients(gradients, weight, SingleWorld(), **options)


def repeated(matrix: Any, other: Any) -> Any:
    """A product that takes five times as long: each factor depends on the product before."""
    for _ in range(5):
        matrix = tf.linalg.matmul(matrix, other)
    return matrix


def main() -> None:
    world = distributed.init()
    findings = {}
    with patch("tfdl.training.trainer.reduce_gradients", unreduced):
        findings["every rank trains alone"] = proof(world)
    with patch.object(Fingerprints, "difference", lambda *_: None):
        findings["the comparison is blind"] = proof(world)
    with patch.object(tf, "matmul", repeated if world.rank == 1 else tf.matmul):
        seconds = time_products(world)
    findings["rank 1 is slow"] = [asdict(finding) for finding in check_compute_speed(seconds, world)]
    if world.is_chief:
        print(json.dumps(findings), flush=True)
    command(["doctor"])


main()
