"""Headless Chromium, driven over its debugging pipe."""

import base64
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TIMEOUT = 60.0
DRAWN = (
    "document.readyState === 'complete' && performance.getEntriesByName('drawn').length > 0 && "
    "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))"
)
"""Whether the report in the page has drawn all of its figures."""


class NavigatedError(Exception):
    """The page went away while it was asked something."""


class Browser:
    """A page of headless Chromium; collects what it logs and what it asks the network for."""

    def __init__(self, reader: io.FileIO, writer: io.FileIO) -> None:
        self._reader, self._writer = reader, writer
        self._buffer, self._number = b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "navigated" in str(answer.get("error")):
                    raise NavigatedError
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def evaluate(self, expression: str) -> object:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def open(self, path: Path, width: int, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=path.as_uri())
        self.wait(DRAWN, "the page did not draw its figures")

    def press(self, key: str) -> None:
        """Press and release Tab, Enter, Escape or an arrow."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            own = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", **own, **(text if kind == "keyDown" else {}))

    def click(self, x: float, y: float) -> None:
        """Move to a place of the window, in px, and click there."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            own = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", **own)

    def wait(self, condition: str, what: str) -> None:
        """Wait until an expression is true; ``what`` says what did not happen."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            with suppress(NavigatedError):
                if self.evaluate(condition):
                    return
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def screenshot(self) -> Image.Image:
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("L")

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = self._reader.read(65536)
            assert data, "Chromium ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    to_page, from_page = os.pipe(), os.pipe()
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run"
    command = [
        *(CHROMIUM or "", *options.split(), "--remote-debugging-pipe"),
        *("--disable-background-networking", f"--user-data-dir={profile}"),
    ]
    # The browser reads commands from descriptor 3 and answers on 4.
    shell = f'exec "$0" "$@" 3<&{to_page[0]} 4>&{from_page[1]}'
    with subprocess.Popen(
        ["bash", "-c", shell, *command],
        pass_fds=(to_page[0], from_page[1]),
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(to_page[0])
        os.close(from_page[1])
        with os.fdopen(from_page[0], "rb", 0) as reader, os.fdopen(to_page[1], "wb", 0) as writer:
            try:
                yield Browser(reader, writer)
            finally:
                process.kill()
