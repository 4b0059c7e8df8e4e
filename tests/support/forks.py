"""The installed command as a process that is forked from one in which all is imported already.

A start of the command takes 0.4 s of processor time, nearly all of it for imports, and the tests start it thousands
of times. Run as a script, this module is the process to fork from: it has one thread and has read no data. Each call
gets a child of it, which runs the installed script with words, folder, environment and streams of its own and ends as
the script ends.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

#: What the interpreter and libraries read before the command's first line runs.
_READ_AT_START = ("PYTHON", "ARROW_", "OPENBLAS_", "FORCE_COLOR", "TERMINAL_WIDTH", "TYPER_", "_TYPER_")
#: What `main` sets where nobody else has, so that it is set in a process that has called it, too.
_SET_BY_MAIN = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
_MOST_BYTES = 2**17


class ForkServer:
    """Runs scripts of Python's as `subprocess.run` does with text, captured streams and a closed stdin.

    Parameters
    ----------
    env
        The environment of the process to fork from, which starts with the first call.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._server: socket.socket | None = None

    def fits(self, env: Mapping[str, str]) -> bool:
        """Whether a child with this environment does what a process that starts with it does."""
        return sys.platform == "linux" and _read_at_start(env) == _read_at_start(self._env)

    def run(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            request = pickle.dumps((list(words), str(cwd), dict(env)))
            code = self._answer(request, [stdout.fileno(), stderr.fileno()], timeout)
            if code is None:
                raise subprocess.TimeoutExpired(words, timeout)
            return subprocess.CompletedProcess(words, code, _text_in(stdout), _text_in(stderr))

    def _answer(self, request: bytes, streams: Sequence[int], timeout: float) -> int | None:
        """Return the exit code of the child; None if it had to be killed."""
        server = self._server = self._server or self._start()
        socket.send_fds(server, [request], streams)
        pid = int(server.recv(_MOST_BYTES))
        server.settimeout(timeout)
        try:
            return int(server.recv(_MOST_BYTES))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            server.settimeout(None)
            server.recv(_MOST_BYTES)
            return None
        finally:
            server.settimeout(None)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # jemalloc, which the command does not use, would start a thread.
                env=self._env | {"JE_ARROW_MALLOC_CONF": "background_thread:false"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(process.wait)
        atexit.register(ours.close)  # runs first, and ends the process
        return ours


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return _SET_BY_MAIN | {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _text_in(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


# ---- the process to fork from ----------------------------------------------------------------------------


def _import_all() -> None:
    """Import what the commands import."""
    os.environ |= _SET_BY_MAIN
    package = importlib.import_module("weekly_cli")
    for module in pkgutil.walk_packages(package.__path__, "weekly_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for library in ("duckdb", "filelock", "joblib.externals.loky", "pandas", "psutil", "pyarrow.parquet"):
        importlib.import_module(library)
    boto3 = importlib.import_module("boto3")  # and what it imports for a client
    boto3.session.Session().client("s3", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    application = importlib.import_module("weekly_cli.cli.commands").app
    with contextlib.suppress(SystemExit):  # what typer and rich import for a page, and for a refusal
        application(["build", "--help"])
    _make_parser(application)


def _make_parser(application: Any) -> None:
    """Make the parser of all commands, which is the same in each process: a third of a command's time."""
    typer = importlib.import_module("typer.main")
    parser = typer.get_command(application)
    for command in (parser, *parser.commands.values()):
        for parameter in command.params:
            parameter.get_runtime_param()
    typer.get_command = lambda _: parser


def _serve(client: socket.socket) -> None:
    while True:
        request, streams, _, _ = socket.recv_fds(client, _MOST_BYTES, 2)
        if not request:  # the tests have ended
            return
        pid = os.fork()
        if pid == 0:
            client.close()
            _become(streams, *pickle.loads(request))
        for stream in streams:
            os.close(stream)
        client.send(b"%d" % pid)
        client.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _become(streams: Sequence[int], words: list[str], cwd: str, env: dict[str, str]) -> None:
    """Run the script, which ends this process."""
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = words
    sys.path[0] = str(Path(words[0]).parent)
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    _import_all()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork copies no other threads"
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
