"""What a figure was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import torch

from superpose import __version__

PACKAGES = (
    *"torch numpy scipy sympy inkan flashkan pykan pyoperon gplearn".split(),  # noqa: SIM905
    *"jaxkan jax jaxlib flax optax scikit-learn matplotlib".split(),  # noqa: SIM905
)
INSTRUCTION_SETS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")


def machine() -> dict[str, Any]:
    """The processor and its memory; facts that the system does not give are left out."""
    facts: dict[str, Any] = {
        "system": platform.platform(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "torch_uses": torch.backends.cpu.get_cpu_capability(),
    }
    processor = Path("/proc/cpuinfo")
    if processor.exists():
        facts |= _processor(processor.read_text(encoding="utf-8"))
    caches = Path("/sys/devices/system/cpu/cpu0/cache")
    facts["caches"] = {
        f"L{(index / 'level').read_text().strip()} {(index / 'type').read_text().strip().lower()}": (index / "size")
        .read_text()
        .strip()
        for index in sorted(caches.glob("index*"))
    }
    facts["memory_gib"] = round(memory_gib("MemTotal"), 1)
    return facts


def _processor(text: str) -> dict[str, Any]:
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    return {
        "processor": name[1] if name else "unknown",
        "instructions": [name for name in INSTRUCTION_SETS if name in present],
    }


def memory_gib(line: str) -> float:
    """A line of /proc/meminfo, such as ``MemAvailable``; 8 GiB where there is none."""
    path = Path("/proc/meminfo")
    found = (
        re.search(rf"^{line}:\s+(\d+) kB", path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else None
    )
    return int(found[1]) / 2**20 if found else 8.0


def versions() -> dict[str, str]:
    # An installed superpose has its version in its metadata, one that is used from its source here only.
    found = {"python": platform.python_version(), "superpose": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def load() -> list[float]:
    """The load averages: figures from a busy machine are not to be trusted."""
    return [round(value, 2) for value in os.getloadavg()]


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
