"""A real browser for tests of the page: the extra `browser` and a system's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.report import CHROMIUM, FLAGS

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is missing: install the extra `browser`"
)
MARKS = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for the tests of a file."""
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


class Tab:
    """A page under test, with all that went wrong in it."""

    def __init__(self, browser: Any, file: Path, hash: str = "", **how: Any) -> None:
        how = {"viewport": {"width": 1280, "height": 900}} | how
        self.context = browser.new_context(**how)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._judge)
        self.file = file
        self.page.goto(f"file://{file}{hash}")
        self.settle()

    def _judge(self, request: Any) -> None:
        # Its own worker and picture are made in the page: no network is asked.
        is_own = request.url.startswith(("blob:null/", "data:image/svg+xml"))
        if not is_own and request.url.split("#")[0] != f"file://{self.file}":
            self.faults.append(f"asked for {request.url}")

    def settle(self) -> None:
        """Wait for the answer of all draws to what is asked now."""
        self.page.wait_for_selector(
            "html[data-ready]:not([data-busy])", state="attached"
        )

    def wait(self, expression: str) -> None:
        """Wait for a JavaScript expression to hold; the page itself may not eval."""
        for _ in range(300):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(expression)

    def hash(self) -> str:
        return self.page.evaluate("location.hash")

    def bracket(self, key: str) -> Any:
        """A bracket of the sentence."""
        return self.page.locator(f"input.bracket[data-key='{key}']")

    def type(self, key: str, text: str) -> None:
        """Type into a bracket and leave it."""
        self.bracket(key).fill(text)
        self.bracket(key).press("Enter")
        self.settle()

    def said(self) -> str:
        """The sentence as it is read aloud."""
        return self.page.locator("#said").text_content()

    def rows(self) -> dict[str, str]:
        """The answer as shown."""
        pairs = self.page.locator("#numbers dl > div").all()
        return {
            pair.locator("dt").inner_text(): pair.locator("dd").inner_text()
            for pair in pairs
        }

    def clipboard(self, button: str) -> str:
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.wait_for_timeout(100)
        return self.page.evaluate("navigator.clipboard.readText()")

    def close(self) -> None:
        assert self.faults == []
        self.context.close()
