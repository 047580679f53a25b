"""Draw docs/pictures/playground.png: the playground after some epochs, in Chromium, driven by Playwright.

    python tools/playground_picture.py

It needs the extras ``playground``, ``plot`` and ``docs``, and Chromium.
"""

import asyncio
import shutil
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from fastnn.playground import server

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "playground.png"
WIDTH, HEIGHT = 1280, 900


def serve(started: threading.Event, found: list[server.Playground]) -> None:
    """Serve in this thread until the process ends."""

    async def run() -> None:
        found.append(server.listen(0)[0])
        started.set()
        await asyncio.Event().wait()

    asyncio.run(run())


def main() -> None:
    """Train on the spiral by clicks, and take the picture while it runs."""
    started, found = threading.Event(), []
    threading.Thread(target=serve, args=(started, found), daemon=True).start()
    started.wait()
    [playground] = found
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(playground.address(playground.token))
        page.get_by_text("Not trained yet").wait_for()
        page.get_by_role("button", name="Play").click()
        page.wait_for_timeout(3000)
        height = page.locator("#network").bounding_box()
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": height["y"] + height["height"] + 12}
        page.screenshot(path=PICTURE, full_page=True, clip=clip)
        Image.open(PICTURE).quantize(256).save(PICTURE, optimize=True)
        chromium.close()
    playground.close()
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
