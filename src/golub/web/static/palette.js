// The palette (Ctrl+K): what can be done on this page, and where one can go, found by a few letters.

import { act, labelOf } from "./keys.js";

const MOST = 60;

const palette = document.getElementById("palette");
const field = palette.querySelector("input");
const list = palette.querySelector("[role=listbox]");
const none = palette.querySelector("[data-none]");
const texts = palette.dataset;

const plain = (text) => text.toLowerCase().replaceAll("ё", "е");

function* commands() {
  for (const element of document.querySelectorAll("[data-key], [data-command]")) {
    if (element.closest("dialog, #chats, .rail") || element.disabled) continue;
    if (!element.checkVisibility() && !("command" in element.dataset)) continue;
    yield { label: labelOf(element), kind: texts.here, key: element.dataset.key, run: () => act(element) };
  }
  const known = new Set();
  for (const link of document.querySelectorAll(".rail a.rail-link, .rail a.menu-item")) {
    const path = link.getAttribute("href");
    if (known.has(path)) continue;
    known.add(path);
    const label = (link.querySelector(".rail-label") ?? link).textContent.trim();
    yield { label, kind: texts.page, key: link.dataset.key, run: () => link.click() };
  }
  for (const element of document.querySelectorAll(".rail button[data-command]")) {
    yield { label: labelOf(element), kind: texts.choice, run: () => element.click() };
  }
  for (const link of document.querySelectorAll("#chats .chat-link")) {
    const item = link.querySelector(".chat-item bdi")?.textContent ?? "";
    const label = [link.querySelector(".chat-name").textContent, item].filter(Boolean).join(" · ");
    yield { label, kind: texts.chat, run: () => link.click() };
  }
}

let found = [];
let chosen = 0;

function fill() {
  const words = plain(field.value).split(/\s+/).filter(Boolean);
  found = [...commands()].filter(({ label }) => words.every((word) => plain(label).includes(word))).slice(0, MOST);
  list.replaceChildren(
    ...found.map(({ label, kind, key }, number) => {
      const option = document.createElement("li");
      option.id = `palette-${number}`;
      option.setAttribute("role", "option");
      const name = document.createElement("bdi");
      name.textContent = label;
      const small = document.createElement("small");
      small.textContent = kind;
      option.append(name, small);
      for (const cap of key?.split(" ") ?? []) {
        const shown = document.createElement("kbd");
        shown.textContent = cap.toUpperCase();
        option.append(shown);
      }
      return option;
    }),
  );
  none.hidden = found.length > 0;
  choose(0);
}

function choose(number) {
  chosen = found.length ? (number + found.length) % found.length : 0;
  [...list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === chosen)));
  const option = list.children[chosen];
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
  option?.scrollIntoView({ block: "nearest" });
}

function run(number) {
  const command = found[number];
  if (!command) return;
  palette.close();
  command.run();
}

export function open() {
  if (document.querySelector("dialog:modal")) return;
  field.value = "";
  palette.showModal();
  fill();
}

field.addEventListener("input", fill);
palette.addEventListener("keydown", (event) => {
  const moves = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, Home: 0, End: found.length - 1 };
  if (event.key in moves && !(["Home", "End"].includes(event.key) && field.value)) choose(moves[event.key]);
  else if (event.key === "Enter" && !event.isComposing) run(chosen);
  else return;
  event.preventDefault();
});
list.addEventListener("click", (event) => run([...list.children].indexOf(event.target.closest("li"))));

document.addEventListener("keydown", (event) => {
  if (event.code !== "KeyK" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (palette.open) palette.close();
  else open();
});
