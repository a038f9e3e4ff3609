"""A headless Chromium, spoken to over two pipes: what a person would see, and what the page complains of."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Browser", "program"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--proxy-server=127.0.0.1:9",  # nobody listens there: what asks for the network is refused
    "--remote-debugging-pipe", "about:blank",
)  # fmt: skip
# by a program of its own, because what runs between fork and exec may not be Python where there are threads
PLACE = (
    "import os, sys; a, b, *it = sys.argv[1:]; os.dup2(int(a), 3); os.dup2(int(b), 4); os.execv(it[0], it)"
)
PATIENCE_S = 60.0  # for one answer, on a machine that does much else


def program() -> str | None:
    """Where a Chromium is, if there is one."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Browser:
    """One tab of a fresh profile, driven by the DevTools protocol; ``said`` is what the page complained of.

    A message is JSON that ends in a zero byte; the browser reads descriptor 3 and writes descriptor 4.
    """

    def __init__(self, profile: Path) -> None:
        executable = program()
        assert executable, "expected Chromium on PATH, got none"
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in (theirs_in, theirs_out)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PLACE, *map(str, high), executable, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=high, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for each in (theirs_in, theirs_out, *high):
            os.close(each)
        self._loaded = False
        self._left, self._number, self._session = b"", 0, ""
        self.said: list[str] = []
        self.asked: list[str] = []  # every address that the page wanted
        target = self._pages()[0]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._session = ""
        with contextlib.suppress(AssertionError, OSError):  # the test's own complaint is the one to be read
            self.tell("Browser.close")
            self._process.wait(PATIENCE_S)
        self._process.kill()
        self._process.wait(PATIENCE_S)
        os.close(self._in)
        os.close(self._out)

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """One command; what the page says until its answer is kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, path: Path, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a file as a window, or a phone, of this width [px] would."""
        phone = width < 600
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=0,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self.said.clear()
        self.asked.clear()
        self.tell("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._next()

    def value(self, expression: str) -> Any:
        """What JavaScript makes of it, in the page; a promise, when it is kept."""
        answer = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, path: Path, whole: bool = True) -> None:
        """A PNG of the page, or of what the window shows of it."""
        told = self.tell("Page.captureScreenshot", captureBeyondViewport=whole, format="png")
        path.write_bytes(base64.b64decode(told["data"]))

    def _pages(self) -> list[str]:
        while True:  # the first page may come a moment after the browser
            told = self.tell("Target.getTargets")["targetInfos"]
            pages = [each["targetId"] for each in told if each["type"] == "page"]
            if pages:
                return pages

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._in], [], [], PATIENCE_S)
            more = os.read(self._in, 1 << 16) if ready else b""
            assert more, "the browser ended, or said nothing"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        told = json.loads(message)
        method, params = told.get("method", ""), told.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.said.append(json.dumps(params)[:1000])
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        return told
