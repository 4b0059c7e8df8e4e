"""One process from start to end: its seconds, its CPU seconds, its peak memory, its words."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """One process; `peak_bytes` is 0 where it was not sampled."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    said: str


def measured(command: Sequence[str], *, sample: bool = False) -> Run:
    """Run a command, sampling its memory if asked for.

    What earlier runs wrote is flushed to disk first, so that nobody pays for another's output.

    Raises
    ------
    RuntimeError
        With the command's words, if it fails.
    """
    os.sync()
    before = os.times()
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watch = threading.Thread(target=_watch, args=(process, peak))
    if sample:
        watch.start()
    said, _ = process.communicate()
    seconds = time.perf_counter() - began
    if sample:
        watch.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(seconds, cpu, peak[0], said)


def alternating(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """Run all commands in turn, `rounds` times: what disturbs the machine disturbs all of them."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(measured(command))
    return runs


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    """Keep the largest sum of proportional set sizes over the process tree: shared pages count once."""
    root = psutil.Process(process.pid)
    while process.poll() is None:
        held = 0
        for one in (root, *_children(root)):
            try:
                held += one.memory_full_info().pss
            except psutil.Error:  # gone since it was listed
                continue
        peak[0] = max(peak[0], held)
        time.sleep(SAMPLE_SECONDS)


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
