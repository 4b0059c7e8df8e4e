"""The process: signals, exit codes, and how a failed command is reported.

No large library is imported before a command runs: `--help` needs neither numpy nor pyarrow.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

from weekly_cli import __version__, failpoints
from weekly_cli.cli.console import say
from weekly_cli.cli.ending import Stopped, ending_of
from weekly_cli.errors import EXIT_BUG, EXIT_DONE, WeeklyError


def _stop(signum: int, _: object) -> NoReturn:
    """Stop cleanly, if that does not take too long; a second signal stops the process immediately."""
    for number in _STOPPING:
        signal.signal(number, _stop_at_once)
    overdue = threading.Timer(_STOP_SECONDS, os._exit, (128 + signum,))
    overdue.daemon = True
    overdue.start()
    raise Stopped(signum)


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Repeat a stop that came while Python freed an object: what is raised there does not reach anybody."""
    stopped = lost.exc_value
    if not isinstance(stopped, Stopped):
        sys.__unraisablehook__(lost)
        return
    for number in _STOPPING:
        signal.signal(number, _stop)
    again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), stopped.signum))
    again.daemon = True
    again.start()


def _stop_at_once(signum: int, _: object) -> NoReturn:
    os._exit(128 + signum)


#: A clean stop may take this long. After that, workers notice that their parent is gone, and the next run removes what
#: is left.
_STOP_SECONDS = 4.0
_AGAIN_SECONDS = 0.02
_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _bug(error: Exception) -> int:
    """Report in one line that this is a bug, and where its traceback is."""
    import traceback

    from weekly_cli.files import records

    log = records.write_log(f"weekly-cli {__version__} {sys.argv}\n\n{traceback.format_exc()}")
    ending = ending_of(error)
    say(f"weekly-cli: {ending.line} (traceback in {log})")
    return ending.exit_code


def _code() -> int:
    """Run the command and return its exit code."""
    try:
        failpoints.armed()  # so that an error in it shows immediately
        from weekly_cli.cli.commands import app

        app(prog_name="weekly-cli")
        return EXIT_DONE
    except SystemExit as end:
        return _code_of(end.code)
    except (WeeklyError, Stopped) as error:
        ending = ending_of(error)
        say(f"weekly-cli: {ending.line}")
        return ending.exit_code
    except BrokenPipeError:
        return _reader_has_gone()
    except Exception as error:  # noqa: BLE001 - a bug
        return _bug(error)


def _code_of(code: object) -> int:
    """Return the exit code that a command or the parser requested."""
    if code in (None, EXIT_DONE):
        return EXIT_DONE
    # Typer and rich exit with 1 if the reader of their text is gone, as in `weekly-cli --help | head -1`.
    return _reader_has_gone() if code == EXIT_BUG else int(str(code))


def _reader_has_gone() -> int:
    # The interpreter would flush to the pipe again when it exits.
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    return 128 + signal.SIGPIPE


def main() -> NoReturn:
    """Run the command line and end the process."""
    for number in _STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background
            signal.signal(number, _stop)
    sys.unraisablehook = _stop_again
    # Arrow's own pools keep freed memory: a partition used twice that of its chunks. Only effective before the import.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # numpy's BLAS starts a thread for each core, and none of them is ever used here: 100 ms of CPU.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _leave(_code())


def _leave(code: int) -> NoReturn:
    """End the process; the interpreter's normal shutdown would take 6 % of a small build."""
    with contextlib.suppress(OSError):  # the reader is gone
        sys.stdout.flush()
    atexit._run_exitfuncs()
    os._exit(code)
