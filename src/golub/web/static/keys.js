// Keys for everything that has one: `data-key="e"` on a button, link or field gives it one, `data-key="g u"` two in a
// row. They work by the place of a letter where letters are not Latin, and never while somebody types.
// Whatever wants to be done from the palette as well, without a key, says so by `data-command`.

const HOLD = 1500; // ms that the first of two keys waits for the second
const TYPES = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=button], [type=submit])";

const help = document.getElementById("keys");
const isShown = (element) => element.checkVisibility() && !element.disabled;
const ours = () => [...document.querySelectorAll("[data-key]")].filter(isShown);

const items = (menu) => [...menu.querySelectorAll(".menu-panel :is(button, a, input:not([type=hidden]))")].filter(isShown);

export const labelOf = (element) =>
  (element.dataset.command || element.getAttribute("aria-label") || element.title || element.placeholder || element.textContent)
    .replace(/\s+/g, " ")
    .trim();

export function act(element) {
  if (element.matches(TYPES)) {
    element.focus();
    element.select?.();
  } else element.click();
  if (element.matches("summary") && element.parentElement.open) items(element.parentElement)[0]?.focus();
}

function named({ key, code, shiftKey }) {
  if (code === "Slash" && ".,".includes(key)) return shiftKey ? "?" : "/"; // a Russian keyboard
  if (/^[!-~]$/.test(key)) return key.toLowerCase();
  return /^Key[A-Z]$/.test(code) ? code.at(-1).toLowerCase() : key;
}

// ---- the list of chats ----

const links = () => [...document.querySelectorAll("#chats .chat-link")];

function step(by) {
  const all = links();
  if (!all.length || !isShown(all[0])) return false; // a phone shows the chat in its place
  const from = all.findIndex((link) => link === document.activeElement || link.parentElement.contains(document.activeElement));
  const current = from < 0 ? all.findIndex((link) => link.hasAttribute("aria-current")) : from;
  const next = all[current < 0 ? 0 : Math.min(all.length - 1, Math.max(0, current + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

// On a phone, which shows the list or the chat.
function leadsBack() {
  const back = document.querySelector(".thread-back");
  return back && isShown(back) ? back : null;
}

function leave() {
  const back = leadsBack();
  const opened = document.getElementById("thread")?.dataset.chat;
  const current = document.getElementById(`chat-${opened}`)?.querySelector(".chat-link");
  back?.click();
  current?.focus();
  return Boolean(back ?? current);
}

// Arrows go through a menu that is open, and through the list once the focus is there.
function arrow(by) {
  const menu = document.activeElement.closest("details.menu[open]");
  if (!menu) return Boolean(document.activeElement.closest(".chat-row")) && step(by);
  const all = items(menu);
  const at = all.indexOf(document.activeElement);
  all.at(at < 0 && by < 0 ? -1 : (at + by) % all.length)?.focus();
  return true;
}

const built = {
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => arrow(1),
  ArrowUp: () => arrow(-1),
  o: () => {
    const link = document.activeElement.closest(".chat-row")?.querySelector(".chat-link");
    link?.click();
    return Boolean(link);
  },
  Escape: leave,
  "?": () => {
    tellKeys();
    help.showModal();
    return true;
  },
};

// ---- what is pressed ----

let first = "";
let forget = 0;

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog:modal")) return;
  const key = named(event);
  if (event.target.closest?.(TYPES)) {
    if (key !== "Escape") return;
    event.target.blur();
    if (!event.target.closest("#chat")) return;
    if (leadsBack()) document.getElementById("thread-scroll").focus(); // out of the box first, out of the chat then
    else leave();
    return;
  }
  if (event.shiftKey && key !== "?") return;
  if (key === "Escape" && document.querySelector(":popover-open")) return; // it closes that
  const pressed = first ? `${first} ${key}` : key;
  clearTimeout(forget);
  first = "";
  const element = ours().find((one) => one.dataset.key === pressed);
  if (element) act(element);
  else if (pressed === key && ours().some((one) => one.dataset.key.startsWith(`${key} `))) {
    first = key;
    forget = setTimeout(() => (first = ""), HOLD);
  } else if (!built[pressed]?.()) return;
  event.preventDefault();
});

// ---- telling them ----

function tellKeys() {
  const list = help.querySelector("[data-keys-here]");
  const seen = new Set();
  const rows = ours()
    .filter((one) => !help.contains(one) && !seen.has(one.dataset.key) && seen.add(one.dataset.key))
    .map((one) => {
      const row = document.createElement("div");
      const keys = document.createElement("dt");
      const words = document.createElement("dd");
      for (const key of one.dataset.key.split(" ")) {
        const cap = document.createElement("kbd");
        cap.textContent = key.toUpperCase();
        keys.append(cap);
      }
      words.textContent = labelOf(one);
      row.append(keys, words);
      return row;
    });
  list.replaceChildren(...rows);
  for (const row of help.querySelectorAll("[data-needs]")) row.hidden = !document.querySelector(row.dataset.needs);
}
