"""A real browser, if one is there: opens a page, says what it requested, moves the mouse, and takes pictures.

It speaks the Chrome DevTools Protocol over two pipes (`--remote-debugging-pipe`): messages of JSON that end in NUL.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WHY_NOT = "no Chromium on this machine: only the page's text is checked here"
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
_SECONDS = 30.0


class Page:
    """A page that has been loaded.

    Attributes
    ----------
    requests : list of str
        The address of everything that was requested since, the page itself first.
    errors : list of str
        What its scripts failed with.
    """

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._buffer, self._number, self._session = send, receive, b"", 0, ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._buffer:
            assert select.select([self._receive], [], [], max(0.0, end - time.monotonic()))[0], "the browser is silent"
            received = os.read(self._receive, 1 << 20)
            assert received, "the browser has ended"
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = dict(json.loads(line))
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(message["params"]["exceptionDetails"].get("exception", {}).get("description")))
        return message

    def run(self, script: str) -> Any:
        """Run a script, wait for its promise, and return its value."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until a condition of the page is true."""
        end = time.monotonic() + _SECONDS
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never: {condition}; {self.errors}"
            time.sleep(0.05)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Move the mouse, press, release, or turn its wheel."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def picture(self, path: Path) -> None:
        """Save what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextlib.contextmanager
def opened(page: Path, profile: Path, size: tuple[int, int] = (1200, 900)) -> Iterator[Page]:
    """Open a file in a new browser, whose profile is in an empty folder."""
    assert CHROMIUM is not None
    (their_input, send), (receive, their_output) = os.pipe(), os.pipe()
    words = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "--window-size={},{}".format(*size)]
    # The protocol's pipes are the descriptors 3 and 4.
    launch = (
        "import fcntl, os, sys; ends = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]]; "
        "[os.dup2(end, place) for end, place in zip(ends, (3, 4))]; os.execv(sys.argv[3], sys.argv[3:])"
    )
    own = [sys.executable, "-S", "-c", launch, str(their_input), str(their_output)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*own, *words, "--remote-debugging-pipe"], pass_fds=(their_input, their_output), **quiet)  # type: ignore[call-overload]
    os.close(their_input)
    os.close(their_output)
    try:
        shown = Page(send, receive)
        shown.call("Page.navigate", url=page.as_uri())
        yield shown
    finally:
        process.kill()
        process.wait()
        os.close(send)
        os.close(receive)
