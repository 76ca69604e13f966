// Quick replies in the composer: `/` in the box or the lightning beside it opens the list, words narrow it down, the arrows
// and Enter choose, Escape closes. The server fills the variables in; nothing is sent before a person has looked at it.

import { offer } from "./composer.js";
import { ask, html, inbox, openId, pane } from "./page.js";

const box = () => document.getElementById("reply-text");
const panel = () => document.getElementById("quick");
const search = () => document.getElementById("quick-search");
const folded = (text) => text.toLowerCase().replaceAll("ё", "е");
const TOKEN = /(^|\s)\/(\S[^\n/]{0,40})?$/; // before the caret

let loaded = null; // the chat whose list is in the panel

const isOpen = () => panel() && !panel().hidden;
const choices = () => [...panel().querySelectorAll(".quick-choice:not([hidden])")];
const chosen = () => panel().querySelector('.quick-choice[aria-selected="true"]');

// What is typed after the slash, and where it begins; null where the caret is behind no such thing.
function token() {
  const before = box().value.slice(0, box().selectionStart);
  const found = before.match(TOKEN);
  if (!found) return null;
  const words = found[2] ?? "";
  return { words, from: before.length - words.length - 1, to: before.length };
}

async function open(words) {
  if (!panel()) return;
  panel().hidden = false;
  if (loaded !== openId()) {
    const chat = openId();
    try {
      const { text } = await ask(`/inbox/${chat}/quick-replies`);
      if (openId() !== chat) return;
      panel().querySelector("[data-list]").replaceChildren(html(text));
      loaded = chat;
    } catch {
      return close(); // the refusal is shown
    }
  }
  if (isOpen()) narrow(search().hidden ? (token()?.words ?? words) : search().value);
}

function close() {
  if (!isOpen()) return;
  panel().hidden = true;
  for (const field of [box(), search()]) field?.removeAttribute("aria-activedescendant");
}

function narrow(words) {
  if (loaded !== openId()) return; // it will be, once the list is there
  const wanted = folded(words).split(/\s+/).filter(Boolean);
  for (const choice of panel().querySelectorAll(".quick-choice")) {
    const text = folded(choice.dataset.search);
    choice.hidden = !wanted.every((word) => text.includes(word));
  }
  const left = choices();
  panel().querySelector("[data-none]").hidden = left.length > 0;
  mark(left.find((one) => one.getAttribute("aria-selected") === "true") ?? left[0]);
}

function mark(choice) {
  for (const one of panel().querySelectorAll('[aria-selected="true"]')) one.setAttribute("aria-selected", "false");
  for (const field of [box(), search()]) {
    if (choice) field.setAttribute("aria-activedescendant", choice.id);
    else field.removeAttribute("aria-activedescendant");
  }
  choice?.setAttribute("aria-selected", "true");
  choice?.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const all = choices();
  if (all.length) mark(all[(all.indexOf(chosen()) + by + all.length) % all.length]);
}

async function take(choice) {
  const chat = openId();
  const place = token();
  close();
  try {
    const { text } = await ask(`/inbox/${chat}/quick-replies/${choice.dataset.quick}`, { form: {} });
    if (openId() === chat) offer(html(text), place);
  } catch {
    // the refusal is shown
  }
}

// Before the composer hears of it: while the list is open, Enter chooses and sends nothing.
document.addEventListener("keydown", (event) => {
  if (!isOpen() || event.isComposing || ![box(), search()].includes(event.target)) return;
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (event.key === "Escape") {
    close();
    box().focus({ preventScroll: true });
  } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey && chosen()) take(chosen());
  else if (event.key !== "Enter" || event.target === box()) return; // with nothing found, it is text after all
  event.preventDefault();
  event.stopPropagation();
}, true);

inbox.addEventListener("input", (event) => {
  if (event.target === search()) return void narrow(search().value);
  if (event.target !== box()) return;
  const found = token();
  if (!found) return close();
  search().hidden = true;
  open(found.words);
});

pane.addEventListener("click", (event) => {
  const choice = event.target.closest(".quick-choice");
  if (choice) return void take(choice);
  if (!event.target.closest("#quick-open")) {
    if (!event.target.closest("#quick, #reply-text")) close();
    return;
  }
  event.preventDefault();
  if (isOpen()) return close();
  search().hidden = false;
  search().value = "";
  open("").then(() => isOpen() && search().focus({ preventScroll: true }));
});

// Another chat has a list of its own; and what was written on the page of quick replies meanwhile is there.
document.addEventListener("golub:opened", () => (loaded = null));
