"""Peak memory of the whole MNIST pipeline at the paper's size, in a process of its own, one epoch per stage.

``python -m benchmarks.memory``. Epochs add no memory: every epoch walks over the same tensors.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import conditions, say, write
from laf_utils.support.devices import peak_memory_bytes
from laf_utils.support.paths import ROOT

TARGET_GB = 1.5


def peak_bytes() -> int:
    """The largest resident memory of this process.

    Linux counts in ``ru_maxrss`` what the process that started this one held at that moment; ``VmHWM`` begins afresh.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return peak_memory_bytes()


def run_pipeline() -> None:
    """The child: the pipeline, then its peak and what importing alone had cost."""
    from laf_utils.evaluation import evaluate
    from laf_utils.run import Run
    from laf_utils.settings.presets import preset

    imports = peak_bytes()
    epochs = {f"{stage}__epochs": 1 for stage in ("training", "vae", "unlearning")}
    with tempfile.TemporaryDirectory() as folder:
        run = Run(preset("mnist", "class", profile="paper", device="cpu", **epochs), folder=Path(folder), say=lambda line: None)
        evaluate(run)
    say(f"{imports} {peak_bytes()} {len(run.train_set.labels)}")


def main() -> None:
    if "--child" in sys.argv:
        run_pipeline()
        return
    before = conditions()
    command = [sys.executable, "-m", "benchmarks.memory", "--child"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imports, peak, images = (int(value) for value in done.stdout.split()[-3:])
    result = {"training_images": images, "imports_gb": imports / 1e9, "peak_gb": peak / 1e9, "target_gb": TARGET_GB}
    say(f"peak memory {peak / 1e9:.2f} GB ({imports / 1e9:.2f} GB after the imports), target {TARGET_GB} GB: "
        f"{'met' if peak <= TARGET_GB * 1e9 else 'NOT met'}")
    write("memory", result | {"met": peak <= TARGET_GB * 1e9}, before)


if __name__ == "__main__":
    main()
