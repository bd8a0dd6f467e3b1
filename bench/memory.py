"""Peak memory of a process that bootstraps the quadratic: bytes, as one JSON document.

    python bench/memory.py REPLICAS

Fifteen features, 2,000 rows in 20 cells, which are resampled. `throughput.py`
starts it, since the peak of a process never falls again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

from harness import watched


def main() -> None:
    """Solve once and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("replicas", type=int)
    arguments = parser.parse_args()
    from speed import ours
    from speed.problems import growth

    problem = growth(2000, scales=2)
    before = peak_bytes()
    start = time.perf_counter()
    ours.linear(problem, arguments.replicas)
    document = {
        "replicas": arguments.replicas,
        "seconds": time.perf_counter() - start,
        "before_bytes": before,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(document))


def peak_bytes() -> int:
    """Largest resident size of this program so far.

    Not ru_maxrss where Linux offers better: that begins at the size of the parent
    which started the process.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [high] = [line for line in lines if line.startswith("VmHWM")]
    return 1024 * int(high.split()[1])


if __name__ == "__main__":
    watched.run(main)
