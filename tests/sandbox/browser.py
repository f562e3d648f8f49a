"""What tests of the page have in common."""

from __future__ import annotations

import base64
import os
import shutil

from playwright.sync_api import Page

from tests.sandbox.npm import package

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
PICTURES = os.environ.get("SCREENSHOTS")


def drop(page: Page, target: str, name: str, content: bytes) -> None:
    """Drops a file, as a hand with a mouse does."""
    handle = page.evaluate_handle(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], name));
            return carried;
        }""",
        [name, base64.b64encode(content).decode()],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event(target, kind, {"dataTransfer": handle})


def serious_findings(page: Page) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds wrong with the page as it is now, as far as it is serious: rule, impact, where."""
    page.evaluate((package("axe-core") / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    assert "color-contrast" in {one["id"] for one in found["passes"]}
    return [
        (one["id"], one["impact"], [node["html"][:150] for node in one["nodes"]][:3])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
