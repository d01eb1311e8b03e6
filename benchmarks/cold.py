"""Cold start: seconds until ``from laf_utils import forget`` is done in a process of its own, and of ``import torch`` alone.

``python -m benchmarks.cold`` writes ``results/cold.json``. In turn; the first round, after which the disk's cache has the files
and Python its compiled ones, does not count. Processor time is that of the whole process, the interpreter's own start included.
"""

import os
import subprocess
import sys
import time

from benchmarks.common import conditions, say, write
from laf_utils.support.paths import ROOT

ROUNDS, WANTED = 3, 3.0  # WANTED: seconds
WAYS = {"forget": "from laf_utils import forget", "torch": "import torch"}


def started(line: str) -> tuple[float, float]:
    """Wall and processor seconds."""
    start, before = time.perf_counter(), os.times()
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", line], cwd=ROOT, check=True, env=own)
    after = os.times()
    cpu = sum(getattr(after, name) - getattr(before, name) for name in ("children_user", "children_system"))
    return time.perf_counter() - start, cpu


def main() -> None:
    before, found = conditions(), {name: {"wall": [], "cpu": []} for name in WAYS}
    for number in range(ROUNDS + 1):
        for name, line in WAYS.items():
            wall, cpu = started(line)
            if number:
                found[name]["wall"].append(wall)
                found[name]["cpu"].append(cpu)
    say(str(found))
    write("cold", {"wanted": WANTED, "seconds": found}, before)


if __name__ == "__main__":
    main()
