"""Whatever can be done in a chat can be done without a pointer: it has a key, or the tabulator leads there and one sees
where one is."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from golub import inbox
from golub.audit import CONSOLE
from golub.model import Role
from golub.simulator import world
from tests.browser.conftest import PHONE, World

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

# What a pointer could use is numbered, with its looks before anybody has come to it.
NUMBER = """() => {
  const used = ":is(a[href], button, input:not([type=hidden]), select, textarea, summary, audio, [tabindex='0'])";
  const looks = (one) => {
    const { boxShadow, outlineStyle, outlineWidth, backgroundColor, borderColor } = getComputedStyle(one);
    return [boxShadow, outlineStyle, outlineWidth, backgroundColor, borderColor].join();
  };
  window.looksOf = (one) => [one, ...(one.labels ?? [])].map(looks).join();
  window.used = [...document.querySelectorAll(`#inbox ${used}`)].filter(
    (one) => one.checkVisibility() && !one.disabled && !one.closest("dialog:not([open]), .chat-row, [aria-hidden]"),
  );
  window.before = window.used.map(looksOf);
  return window.used.length;
}"""
# Where the focus is now: its number, and whether one sees it.
WHERE = """async () => {
  await Promise.all(document.getAnimations().map((change) => change.finished));
  const one = document.activeElement;
  const number = window.used.indexOf(one);
  if (number < 0) return [number, true];
  let opacity = 1;
  for (let up = one; up; up = up.parentElement) opacity *= Number(getComputedStyle(up).opacity);
  const isSeen = one.matches("audio") || window.looksOf(one) !== window.before[number]; // a player shows its own focus
  return [number, isSeen && opacity > 0.5];
}"""
NAMES = """(numbers) => numbers.map((number) => window.used[number]).map((one) => one.outerHTML.slice(0, 160))"""
KEYED = """() => window.used.flatMap((one, number) => (one.dataset.key ? [number] : []))"""
# Of a group of radio buttons the tabulator reaches one, and arrows the others.
GROUPED = """(reached) => {
  const names = new Set(reached.map((number) => window.used[number]).map((one) => one.type === "radio" && one.name));
  return window.used.flatMap((one, number) => (one.type === "radio" && names.has(one.name) ? [number] : []));
}"""


CHANGED = "() => window.used.some((one) => !one.isConnected)"


async def out_of_reach(page: Page) -> dict[str, list[str]]:
    """What has neither a key nor the tabulator's way, and where that leads without a sign."""
    for _ in range(5):
        found = await _once_around(page)
        if not await page.evaluate(CHANGED):  # else news came meanwhile, and what was numbered is not there any more
            return found
    raise AssertionError("the page never came to rest")


async def _once_around(page: Page) -> dict[str, list[str]]:
    await page.evaluate("document.activeElement.blur()")
    count: int = await page.evaluate(NUMBER)
    assert count > 5
    reached: list[int] = []
    unseen: list[int] = []
    for _ in range(6 * count):
        await page.keyboard.press("Tab")
        number, is_seen = await page.evaluate(WHERE)
        if number < 0:
            continue
        if number in reached and reached[-1] != number:
            break  # once around
        reached.append(number)
        if not is_seen:
            unseen.append(number)
    known: set[int] = {*reached, *await page.evaluate(KEYED), *await page.evaluate(GROUPED, reached)}
    out: dict[str, Any] = {"no way": sorted(set(range(count)) - known), "no sign": sorted(set(unseen))}
    return {what: await page.evaluate(NAMES, numbers) for what, numbers in out.items() if numbers}


async def test_everything_in_a_chat_can_be_reached(golub: World) -> None:
    sofa = world.Item("Диван", 34_900)
    chat = golub.sim.add_chat(golub.shop, "Ирина", sofa)
    same = golub.sim.add_chat(golub.shop, "Пётр", sofa)
    golub.sim.buyer_says(same, "И мне")
    for kind, words in (
        ("text", "см. https://avito.ru/1"),
        ("image", ""),
        ("voice", ""),
        ("location", ""),
        ("item", ""),
    ):
        golub.sim.buyer_says(chat, words, kind)
    await golub.chat_id(same)
    ours = await golub.chat_id(chat)
    await golub.parts.operators.create("boris", "correct horse battery", name="Борис", role=Role.MANAGER)
    async with golub.parts.store.write() as session:
        await inbox.add_label(session, "Горячий", inbox.COLOURS[0], by=CONSOLE, now=golub.parts.clock())
    page = await golub.page(f"/inbox/{ours}")
    await page.emulate_media(reduced_motion="reduce")
    await expect(page.locator("#thread-card .beside-chat")).to_be_visible()
    await page.keyboard.press("n")
    await page.keyboard.type("Просит скидку")
    await page.keyboard.press("Enter")
    await expect(page.locator("#messages .note")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await page.keyboard.type("Да")
    await page.keyboard.press("Enter")
    await expect(page.locator("#messages .take-back")).to_have_count(1)
    golub.sim.fault("postSendMessage", status=400)
    await page.keyboard.type("Нет")
    await page.keyboard.press("Enter")
    await expect(page.locator(".verdict-bad")).to_be_visible()
    await page.keyboard.press("Escape")
    assert await out_of_reach(page) == {}
    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    await expect(page.locator("#toasts [data-key=z]")).to_be_visible()
    await page.keyboard.press("z")
    await expect(page.locator("#thread-head")).to_have_attribute("data-state", "open")

    for key in "hls":
        await page.keyboard.press(key)
        items = page.locator(".care-menu[open] :is(button, a, input:not([type=hidden])):visible")
        await expect(items.first).to_be_focused()
        count = await items.count()
        assert count > 1
        for number in (*range(1, count), 0):
            await page.keyboard.press("ArrowDown")
            await expect(items.nth(number)).to_be_focused()
            if await items.nth(number).get_attribute("name") == "at":
                break  # a field: its arrows are its own
        await page.keyboard.press("Escape")
        await expect(page.locator(".care-menu[open]")).to_have_count(0)
    await _on_a_phone(golub)


async def _on_a_phone(golub: World) -> None:
    """Which shows the list or the chat."""
    page = await golub.page("/inbox", PHONE)
    await expect(page.locator(".chat-item")).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("o")
    await expect(page.locator("#reply-text")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#thread-scroll")).to_be_focused()
    await page.keyboard.press("j")  # the list is not there
    await expect(page.locator("#thread-scroll")).to_be_focused()
    await page.keyboard.press("i")
    await expect(page.locator("#thread-card")).to_be_visible()
    assert await out_of_reach(page) == {}
    await page.keyboard.press("Escape")
    await expect(page.locator("#thread-card")).to_be_hidden()
    await page.keyboard.press("n")
    await expect(page.locator("#note-text")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await expect(page.locator("#reply-text")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.locator(".chat-link").first).to_be_focused()
    await expect(page.locator("#chat")).to_be_hidden()
