"""`make screenshots`: the pictures of the README, taken from a running demo. Needs Chromium."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

IMAGES = Path(__file__).parent / "images"
GOLUB = Path(sys.executable).with_name("golub")
CHROMIUM = os.environ.get("GOLUB_TEST_CHROMIUM", "/usr/bin/chromium")
WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 780}
TALKS_FOR = 25  # seconds that buyers write before the first picture


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo = subprocess.Popen(
            [GOLUB, "demo", "--port", "0", "--simulator-port", "0", "--pace", "2", "--seed", "7", "--data-dir", folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            link = await asyncio.to_thread(_link, demo)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
                )
                await _take(browser, link)
        finally:
            demo.terminate()
            demo.wait()


def _link(demo: "subprocess.Popen[str]") -> str:
    assert demo.stdout
    for line in demo.stdout:
        if found := re.search(r"Golub: (\S+)", line):
            return found[1]
    raise SystemExit("the demo did not start")


async def _take(browser: Browser, link: str) -> None:
    home = link.partition("/enter/")[0]
    context = await browser.new_context(viewport=WIDE, locale="ru-RU", timezone_id="Europe/Moscow")
    page = await context.new_page()
    await page.goto(link)
    await page.click("main button")
    await page.wait_for_url("**/inbox")
    await page.wait_for_timeout(TALKS_FOR * 1000)
    await page.goto(f"{home}/inbox")
    await page.click('main a[href^="/inbox/"] >> nth=2')
    await page.fill("textarea", "Здравствуйте! Да, в наличии. Можем отправить сегодня.")
    await page.keyboard.press("Enter")
    await page.wait_for_timeout(6000)
    await _save(page, "inbox")
    chat = page.url
    await page.goto(f"{home}/admin/status")
    await page.wait_for_timeout(800)
    await _save(page, "status")
    await page.goto(f"{home}/admin/webhooks")
    await page.wait_for_timeout(800)
    await _save(page, "webhooks")
    await page.goto(f"{home}/admin/accounts")
    await page.wait_for_timeout(800)
    await _save(page, "accounts")
    await page.set_viewport_size(PHONE)
    await page.goto(chat)
    await page.wait_for_timeout(1500)
    await _save(page, "phone")
    await page.set_viewport_size(WIDE)
    await page.emulate_media(color_scheme="dark")
    await page.goto(chat)
    await page.wait_for_timeout(1500)
    await _save(page, "dark")


async def _save(page: Page, name: str) -> None:
    """In 128 colours: a third of the size, and nobody sees it."""
    with Image.open(BytesIO(await page.screenshot())) as picture:
        picture.convert("RGB").quantize(128).save(IMAGES / f"{name}.png", optimize=True)
    print(f"docs/images/{name}.png")


asyncio.run(main())
