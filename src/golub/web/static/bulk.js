// Several chats at once: chosen by their boxes, by `x`, with Shift over a stretch of the list; and what is done with them.
// Rows come and go with every ring, so what is chosen is kept here by id, and a row says it again when it is put in.

import { ask, html, inbox, toast } from "./page.js";

const bar = document.getElementById("bulk");
const list = document.getElementById("chats");
const begin = document.getElementById("bulk-begin");
const most = Number(bar.dataset.most);
const chosen = new Map(); // chat's id: the version that was seen
let choosing = false; // the boxes are shown whether or not the pointer is near
let last = ""; // the row from which a stretch goes on, by its id: the element may be another by then

const TYPES = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])";
const rows = () => [...list.querySelectorAll(".chat-row")];
const rowOf = (element) => element?.closest?.(".chat-row");
const rowBy = (id) => (id ? document.getElementById(id) : null);

function put(row, is) {
  if (!is) chosen.delete(row.dataset.chat);
  else if (chosen.size < most || chosen.has(row.dataset.chat)) chosen.set(row.dataset.chat, row.dataset.version);
}

function stretch(from, to, is) {
  const all = rows();
  const ends = [all.indexOf(from), all.indexOf(to)].sort((one, other) => one - other);
  if (ends[0] < 0) return put(to, is);
  for (const row of all.slice(ends[0], ends[1] + 1)) put(row, is);
}

function paint() {
  for (const row of rows()) paintRow(row);
  const some = chosen.size > 0;
  if (bar.hidden === some) {
    bar.hidden = !some;
    for (const menu of bar.querySelectorAll("details[open]")) menu.open = false;
  }
  inbox.classList.toggle("is-choosing", choosing || some);
  begin.setAttribute("aria-pressed", String(choosing || some));
  bar.querySelector("[data-bulk-count]").textContent = String(chosen.size);
  bar.querySelector("[data-bulk-full]").hidden = chosen.size < most;
}

function paintRow(row) {
  const label = row.querySelector("[data-choose]");
  const box = label.firstElementChild;
  const is = chosen.has(row.dataset.chat);
  label.hidden = false;
  if (box.checked !== is) box.checked = is;
  box.tabIndex = choosing || chosen.size ? 0 : -1;
  row.classList.toggle("is-chosen", is);
}

function none() {
  chosen.clear();
  choosing = false;
  last = "";
  paint();
}

// A row that a ring has put in anew; its reader has seen what stands in it now.
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const row of addedNodes) {
      if (!(row instanceof HTMLElement) || !row.matches(".chat-row")) continue;
      if (chosen.has(row.dataset.chat)) chosen.set(row.dataset.chat, row.dataset.version);
      paintRow(row);
    }
  }
}).observe(list, { childList: true });

// ---- choosing ----

list.addEventListener("click", (event) => {
  const box = event.target.closest("[data-choose] input");
  const row = rowOf(event.target);
  if (box) {
    const from = event.shiftKey && rowBy(last);
    if (from) stretch(from, row, box.checked);
    else put(row, box.checked);
    last = row.id;
    paint();
  } else if (row && event.shiftKey && event.target.closest(".chat-link")) {
    event.preventDefault(); // no new window
    event.stopPropagation();
    stretch(rowBy(last) ?? row, row, true);
    last = row.id;
    paint();
  }
}, true);

begin.hidden = false;
begin.addEventListener("click", () => {
  begin.closest("details").open = false;
  if (choosing || chosen.size) return none();
  choosing = true;
  paint();
});

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog:modal") || event.target.closest?.(TYPES)) return;
  if (event.key === "Escape" && (chosen.size || choosing)) {
    if (event.target.closest?.("details[open]")) return; // it closes the menu
    event.preventDefault();
    return none();
  }
  const row = rowOf(document.activeElement) ?? rowOf(list.querySelector("[aria-current]"));
  if (!row) return;
  if (event.code === "KeyX" && !event.shiftKey) {
    event.preventDefault();
    put(row, !chosen.has(row.dataset.chat));
    last = row.id;
    paint();
  } else if (event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const all = rows();
    const next = all[all.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1)];
    put(row, true);
    if (next) {
      put(next, true);
      last = next.id;
      next.querySelector(".chat-link").focus();
      next.scrollIntoView({ block: "nearest" });
    }
    paint();
  }
}, true);

bar.querySelector("[data-bulk-none]").addEventListener("click", none);
bar.querySelector("[data-bulk-all]").addEventListener("click", () => {
  for (const row of rows()) put(row, true);
  paint();
});

// ---- doing ----

async function send(form, ids) {
  let answer;
  try {
    answer = await ask("/inbox/bulk", { form }, true);
  } catch (error) {
    toast(error.message);
    return false;
  }
  document.getElementById("toasts").append(html(answer.text));
  document.dispatchEvent(new CustomEvent("golub:rings", { detail: ids.map((id) => [Number(id), Infinity]) }));
  return true;
}

bar.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (bar.ariaBusy === "true" || !chosen.size) return;
  const button = event.submitter;
  const pairs = [...chosen].map(([id, version]) => `${id}.${version}`);
  const form = { verb: button.dataset.verb ?? button.value, chats: pairs.join(",") };
  if (button.dataset.verb) form[button.name] = button.value;
  bar.ariaBusy = "true";
  const { id } = list.querySelector(".is-chosen") ?? {};
  if (await send(form, [...chosen.keys()])) {
    none();
    (rowBy(id) ?? list.querySelector(".chat-row"))?.querySelector(".chat-link").focus({ preventScroll: true });
  }
  bar.ariaBusy = null;
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-bulk-undo]")) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  form.closest("[data-toast]").remove();
  await send(fields, fields.chats.split(",").map((pair) => pair.split(".")[0]));
}, true);

paint();
