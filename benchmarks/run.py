"""``python -m benchmarks.run`` runs all benchmarks, ``python -m benchmarks.run speed machine`` some of them.

Each runs in a process of its own, which keeps one benchmark's memory and compiled code out of the next one's numbers.
"""

import subprocess
import sys

from benchmarks.common import say
from laf_utils.support.paths import ROOT

NAMES = ("machine", "compile", "speed", "linear", "memory", "bfloat16", "together")


def main() -> int:
    names = sys.argv[1:] or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        say(f"there is no benchmark {unknown[0]!r}: {', '.join(NAMES)}")
        return 2
    failed = []
    for name in names:
        say(f"\n== {name} ==")
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
