"""Test accuracy of the default run for several seeds, on one rank and on two: the table of the README.

    python benchmarks/accuracy.py --seeds 5 --ranks 1 2
    python benchmarks/accuracy.py --seeds 3 --ranks 1 -- --model resnet20 --dataset fashion_mnist --epochs 12

Each cell is one real command, `tfdl train --seed S` or `horovodrun -np N tfdl train --seed S`, with the options after
`--` added. Runs are written to a temporary folder. Prints a Markdown table; the times are those of whole commands.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(arguments: list[str], seed: int, ranks: int, folder: Path) -> tuple[float, float]:
    """Runs one command.

    Args:
        arguments: options of `tfdl train`.
        seed: the run's seed.
        ranks: number of ranks; more than one are started by horovodrun.
        folder: where the run directory is written.

    Returns:
        The accuracy on the test split, and the command's seconds.
    """
    output = folder / f"seed{seed}-np{ranks}"
    train = ["tfdl", "train", *arguments, "--seed", str(seed), "--output", str(output)]
    command = train if ranks == 1 else ["horovodrun", "-np", str(ranks), *train]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    start = time.perf_counter()
    completed = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if completed.returncode != 0:
        output_text = f"{completed.stdout}{completed.stderr}"
        sys.exit(f"{' '.join(command)} failed with exit code {completed.returncode}:\n{output_text}")
    summary = json.loads((output / "summary.json").read_text())
    return summary["test"]["accuracy"], seconds


def main() -> None:
    """Runs every cell and prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to N - 1")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("train", nargs="*", help="after --: options of `tfdl train`")
    options = parser.parse_args()
    seeds = range(options.seeds)
    print("| ranks | " + " | ".join(f"seed {seed}" for seed in seeds) + " | seconds a run |")
    print("| --- " * (options.seeds + 2) + "|")
    with tempfile.TemporaryDirectory(prefix="tfdl-accuracy-") as folder:
        for ranks in options.ranks:
            results = [run(options.train, seed, ranks, Path(folder)) for seed in seeds]
            seconds = [time_of_run for _, time_of_run in results]
            cells = " | ".join(f"{accuracy:.4f}" for accuracy, _ in results)
            print(f"| {ranks} | {cells} | {min(seconds):.0f} to {max(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
