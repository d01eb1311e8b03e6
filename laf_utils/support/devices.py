"""The machine a run uses: device, number format, memory, and what it is called in records.

CPU is what this project is measured on. CUDA was run on one H100 (the records of CIFAR-10 and SVHN in profile ``small``), with
PyTorch's defaults: convolutions there may round to TF32, in ``float32`` too. MPS follows PyTorch's documentation, not run by us.
"""

import platform
import re
import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve(name: str = "auto") -> torch.device:
    """``auto`` takes CUDA, then MPS, then CPU. A named device that is not there raises ``ValueError``."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    kind = str(name).split(":")[0]
    if not present.get(kind, False):
        here = ", ".join(kind for kind, there in present.items() if there)
        raise ValueError(f"device {name!r} is not available on this machine (available: auto, {here})")
    return torch.device(name)


def precision(device: torch.device, name: str) -> AbstractContextManager:
    """The autocast context of a number format: ``float32`` changes nothing, ``bfloat16`` casts convolutions and products."""
    if name == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX); elsewhere the switch slows a run down."""
    return torch.cpu._is_avx512_bf16_supported() if hasattr(torch.cpu, "_is_avx512_bf16_supported") else False


def status_bytes(name: str) -> int | None:
    """A size that Linux tells of this process (proc(5): ``VmRSS``, ``VmHWM``); ``None`` elsewhere (macOS)."""
    status = Path("/proc/self/status")
    text = status.read_text(encoding="ascii", errors="replace") if status.is_file() else ""
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else None


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far."""
    if (told := status_bytes("VmHWM")) is not None:  # Linux's ru_maxrss may carry over that of the process that started this one
        return told
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished, so that a clock read afterwards is right."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe(device: torch.device) -> dict[str, object]:
    """What a record says of the machine: no host or user names."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": device.type, "name": name, "threads": torch.get_num_threads(), "system": platform.system(),
        "bfloat16_hardware": has_fast_bfloat16(),
    }
