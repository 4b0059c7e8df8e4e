"""The records in the repository, and what they say about the machine and the libraries."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

FIGURES = Path(__file__).with_name("figures.json")
QUICK = Path(__file__).with_name("quick.json")


def machine() -> dict[str, object]:
    """Return what ran this."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cores": os.cpu_count(),
        "cpu": model or platform.machine(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[2], 1),  # of the last quarter of an hour: its own too, one to two when alone
    }


def versions() -> dict[str, str]:
    """Return the versions of all that took part."""
    packages = ("weekly-cli", "pyarrow", "numpy", "pandas", "polars", "duckdb", "joblib")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def keep(path: Path, record: dict[str, object]) -> None:
    """Write a record and say so."""
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"written to {path.name}")
