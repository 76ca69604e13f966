"""The second factor by hand, on a phone and on a desk: the QR code is seen, and signing in takes a code."""

import re
import time

import pytest
from playwright.async_api import Page, expect
from pyotp.totp import TOTP

from tests.browser.conftest import WIDE, World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

SMALL = {"width": 360, "height": 800}
PASSWORD = "correct horse battery"


async def fits(page: Page) -> None:
    """Nothing stands out of the window's side, and the pictures are drawn."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["phone", "desk"])
async def test_setting_up_signing_in_and_ending_the_other_session(golub: World, size: dict[str, int]) -> None:
    page = await golub.page("/me", size)
    await fits(page)
    await expect(page.get_by_text("Больше вы нигде не вошли.")).to_be_visible()
    await page.get_by_role("link", name="Настроить").click()
    await page.get_by_role("button", name="Настроить").click()
    await expect(page.locator("img.qr")).to_be_visible()
    await fits(page)
    await page.locator("summary").click()
    app = TOTP((await page.locator("#seed").inner_text()).replace(" ", ""))
    begun = time.time()
    await page.get_by_label("Код").fill(app.at(begun))
    await page.get_by_role("button", name="Включить").click()
    await expect(page.locator("#codes li")).to_have_count(10)
    await fits(page)
    recovery = await page.locator("#codes li").first.inner_text()
    await page.get_by_role("link", name="Коды сохранены").click()
    await fits(page)

    other = await golub.page("/sign-in", size, await golub.browser.new_context(viewport={**SMALL}))  # type: ignore[typeddict-item]
    await other.get_by_label("Логин").fill("anna")
    await other.get_by_label("Пароль", exact=True).fill(PASSWORD)
    await other.get_by_role("button", name="Войти").click()
    await expect(other).to_have_url(re.compile("/sign-in/code"))
    await fits(other)
    await other.get_by_label("Код").fill(app.at(begun))
    await other.get_by_role("button", name="Войти").click()
    await expect(other.get_by_role("alert")).to_contain_text("уже использован")
    await other.get_by_role("link", name="резервным").click()
    await other.get_by_label("Резервный код").fill(recovery.upper())
    await other.get_by_role("button", name="Войти").click()
    await expect(other).to_have_url(re.compile("/inbox"))

    await page.goto(f"{golub.url}/me")
    await expect(page.locator(".session-line")).to_have_count(2)
    await fits(page)
    await page.get_by_role("button", name="Завершить", exact=True).click()
    await expect(page.locator(".session-line")).to_have_count(1)
    await expect(other).to_have_url(re.compile("/sign-in"))
    await page.goto(f"{golub.url}/me/proof?next=/me")
    await fits(page)
