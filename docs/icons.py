"""`python -m docs.icons`: the application's pictures for home screens, drawn from `icon.svg` by Chromium. Run it when
the drawing changes; not every phone takes an SVG."""

import asyncio
from pathlib import Path

from playwright.async_api import async_playwright

STATIC = Path(__file__).parents[1] / "src/golub/web/static"
DRAWN = {"icon-192.png": (192, 1.0), "icon-512.png": (512, 1.0), "icon-round.png": (512, 0.74)}
GROUND = "background: linear-gradient(135deg, #1fa79a, #2f7fb8 52%, #7b5bd0)"  # as the drawing's own


async def main() -> None:
    drawing = (STATIC / "icon.svg").read_text()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, (size, share) in DRAWN.items():
            page = await browser.new_page(viewport={"width": size, "height": size})
            ground = GROUND if share < 1 else ""  # a phone cuts a shape of its own out of a maskable one
            svg = f"display: block; width: {size * share}px; margin: {size * (1 - share) / 2}px"
            style = f"body {{ margin: 0; display: flow-root; height: 100vh; {ground} }} svg {{ {svg} }}"
            await page.set_content(f"<style>{style}</style>{drawing}")
            await page.screenshot(path=STATIC / name, omit_background=True)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
