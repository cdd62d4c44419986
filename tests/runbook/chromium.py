"""A headless Chromium that is spoken to by its DevTools protocol through a pipe (`--remote-debugging-pipe`): no port, no library.

It can resolve no name, so that whatever a page asks of a network fails; what it asks is recorded all the same.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-dev-shm-usage"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--font-render-hinting=none"),
)
LONGEST_S = 60


class Page:
    """One open page."""

    def __init__(self, into: int, out: int) -> None:
        self.into, self.out = into, out
        self.number = 0
        self.rest = b""
        self.events: list[dict[str, Any]] = []
        self.session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks, and waits for the answer; what comes in between is kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        while True:
            found = self.message()
            if found.get("id") == self.number:
                assert "error" not in found, found
                answer: dict[str, Any] = found["result"]
                return answer
            self.events.append(found)

    def message(self) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self.rest:
            data = os.read(self.out, 1 << 20)
            assert data, "chromium has ended"
            self.rest += data
        one, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(one)
        return found

    def open(self, path: Path, width: int, *, dark: bool = False) -> None:
        """Opens a file at a width of so many pixels, and waits until it has loaded."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = "dark" if dark else "light"
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.message())
        self.events = [event for event in self.events if event.get("method") != "Page.loadEventFired"]

    def says(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self, path: Path, clip: dict[str, float] | None = None) -> None:
        """The whole page, or a part of it, as PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        area = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1, **(clip or {})}
        found = self.ask("Page.captureScreenshot", format="png", clip=area, captureBeyondViewport=True, optimizeForSpeed=False)
        path.write_bytes(base64.b64decode(found["data"]))

    def complaints(self) -> list[str]:
        """What the page has said on the console, thrown, or been refused."""
        names = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.loadingFailed")
        return [json.dumps(event["params"])[:400] for event in self.events if event.get("method") in names]

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        asked = (event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [params["request"]["url"] for params in asked]


@contextlib.contextmanager
def page(home: Path) -> Iterator[Page]:
    """A page of a browser of its own, which ends with the block; `home` is for its profile."""
    assert PROGRAM
    (theirs_in, into), (out, theirs_out) = os.pipe(), os.pipe()

    def pipes() -> None:  # the protocol's file descriptors are 3 and 4
        spare = os.dup(theirs_out)
        os.dup2(theirs_in, 3)
        os.dup2(spare, 4)

    with subprocess.Popen(
        ["timeout", "--kill-after=2", str(LONGEST_S), PROGRAM, *FLAGS, f"--user-data-dir={home}"],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=pipes,  # noqa: PLW1509 - between fork and exec only dup is called
        pass_fds=(3, 4),
        start_new_session=True,
    ) as browser:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            made = Page(into, out)
            yield made
            made.session = ""
            made.ask("Browser.close")
        finally:
            os.close(into)
            os.close(out)
            try:
                browser.wait(5)
            except subprocess.TimeoutExpired:
                browser.kill()
