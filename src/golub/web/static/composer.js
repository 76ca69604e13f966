// Writing: the box, sending, and the replies that are on their way. The server keeps and decides; here a reply
// is shown before its answer comes, and nothing that was written is lost when none comes.

import * as drafts from "./drafts.js";
import { attached, names, trays } from "./photos.js";
import { ask, html, inbox, openId, pane, scroller, thread, toast } from "./page.js";

// The open chat's box as it was left.
export function takeUp() {
  const box = document.getElementById("reply-text");
  if (!box) return drafts.leave();
  const tray = trays.get(openId()) ?? [];
  if (tray.length) document.getElementById("attached").replaceChildren(...tray);
  else trays.set(openId(), attached());
  drafts.takeUp();
  marks = shown();
  grown(box);
  document.dispatchEvent(new Event("golub:opened"));
}

// What the writer has had before his eyes goes with his reply: the server refuses one that has not seen the newest. What
// has just come in he cannot have read, even where it stands in sight.
const READING = 700; // ms
let marks = null;
const shown = () => ({
  seen_message: Math.max(0, ...[...document.querySelectorAll("#messages .message")].map((one) => Number(one.dataset.message))),
  seen_outgoing: Number(thread().dataset.outgoing),
});

export function inSight() {
  const [chat, now] = [openId(), shown()];
  if (!marks || (now.seen_message <= marks.seen_message && now.seen_outgoing <= marks.seen_outgoing)) return;
  setTimeout(() => {
    if (openId() === chat && !document.hidden && !document.querySelector("dialog[open]")) advance(now);
  }, READING);
}

function advance(now) {
  for (const name of Object.keys(now)) marks[name] = Math.max(marks[name], now[name]);
  thread().dataset.seen = marks.seen_message;
}

const characters = (text) => [...text].length;

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function grown(box) {
  const form = box.form;
  const limit = Number(form.dataset.limit);
  const longest = Number(form.dataset.longest);
  const length = characters(box.value.trim());
  const budget = document.getElementById("reply-budget");
  budget.value =
    length > longest ? String(longest - length)
    : length > limit ? form.dataset.inParts
    : length >= limit * 0.8 ? String(limit - length)
    : "";
  budget.classList.toggle("is-over", length > longest);
  const photos = attached();
  const ready = photos.every((one) => one.dataset.picture || one.matches(".is-refused"));
  const some = length > 0 || names(photos).length > 0;
  form.querySelector(".reply-send").disabled = length > longest || !some || !ready;
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 220)}px`;
  box.style.overflowY = box.scrollHeight > 218 ? "auto" : "hidden";
}

export function putOutgoing(rows) {
  const column = document.getElementById("outgoing");
  const local = [...column.querySelectorAll(".is-local")];
  const known = new Set(rows.map((row) => row.dataset.clientKey));
  const waiting = local.filter((row) => !known.has(row.dataset.clientKey) && row.dataset.state !== "taken");
  const same = [...column.children].filter((row) => !row.matches(".is-local"));
  if (same.length === rows.length && !local.length && same.every((row, n) => row.isEqualNode(rows[n]))) return;
  if (column.contains(document.activeElement) && same.length === rows.length) {
    const name = document.activeElement.closest("form")?.getAttribute("action");
    column.replaceChildren(...rows, ...waiting);
    column.querySelector(`form[action="${name}"] button`)?.focus({ preventScroll: true });
  } else column.replaceChildren(...rows, ...waiting);
  window.htmx?.process(column);
}

async function send(form) {
  if (form.querySelector(".reply-send").disabled) return;
  const chat = form.dataset.chat;
  const reply = { text: form.elements.text.value.trim(), pictures: names(attached()).join() };
  // The key belongs to this reply until it is taken: pressing again after a lost answer must not send it twice.
  const same = JSON.stringify(reply);
  const kept = JSON.parse(sessionStorage.getItem(`golub:key:${chat}`) ?? "null");
  const key = kept?.same === same ? kept.key : newKey();
  sessionStorage.setItem(`golub:key:${chat}`, JSON.stringify({ same, key }));
  await post(chat, { ...reply, ...marks, client_key: key });
}

// `dialog` is a quick reply's, where that is sent: then the box is another text, and stays.
async function post(chat, reply, dialog = null) {
  const row = document.getElementById("reply-pending").content.cloneNode(true).firstElementChild;
  row.dataset.clientKey = reply.client_key;
  row.querySelector(".words").textContent = [reply.text].flat().join("\n\n") || "…";
  document.getElementById("outgoing").append(row);
  scroller().scrollTop = 0;
  const photos = dialog ? [] : emptyBox(chat);
  const fields = Object.entries(reply).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  try {
    const { text: answer } = await ask(`/inbox/${chat}/reply`, { form: fields }, true);
    const told = html(answer);
    const question = told.querySelector("dialog");
    if (question) {
      row.remove();
      if (!dialog) giveBack(chat, reply.text, photos);
      if (openId() === chat) decide(question, chat, reply, dialog);
      return;
    }
    sessionStorage.removeItem(`golub:key:${chat}`);
    if (!dialog) {
      drafts.sent(chat);
      trays.delete(chat);
    }
    row.dataset.state = "taken";
    if (openId() === chat) putOutgoing([...told.children]);
  } catch (error) {
    row.remove();
    toast(error.message);
    if (!dialog) giveBack(chat, reply.text, photos);
    else if (openId() === chat) review(dialog);
  }
}

function emptyBox(chat) {
  const box = document.getElementById("reply-text");
  const photos = attached().filter((one) => one.dataset.picture);
  drafts.sending(chat);
  box.value = "";
  for (const photo of photos) photo.remove();
  document.getElementById("quick-told").replaceChildren();
  grown(box);
  return photos;
}

// What was not taken is a draft again.
function giveBack(chat, text, photos) {
  trays.set(chat, photos);
  if (openId() !== chat) return drafts.stash(chat, text, names(photos).join());
  document.getElementById("attached").prepend(...photos);
  const now = document.getElementById("reply-text");
  now.value = [text, now.value].filter(Boolean).join("\n");
  grown(now);
  drafts.changed();
}

// A reply in several messages, the same words again, or something newer in the chat: the server has asked, and a person
// answers. What the question shows is seen.
function decide(question, chat, reply, dialog) {
  let sure = false;
  put(question, chat, () => {
    sure = true;
    post(chat, { ...reply, ...marks, sure: "yes" }, dialog);
  });
  const told = new FormData(question.querySelector("form"));
  if (told.has("seen_message")) {
    advance({ seen_message: Number(told.get("seen_message")), seen_outgoing: Number(told.get("seen_outgoing")) });
  }
  question.addEventListener("close", () => !sure && dialog && openId() === chat && review(dialog));
}

// A quick reply of several messages, as they will follow each other; each may still be changed.
function review(dialog) {
  const chat = openId();
  put(dialog, chat, (form) => {
    const told = new FormData(form);
    const reply = { text: told.getAll("text"), pictures: told.get("pictures"), client_key: told.get("client_key") };
    post(chat, { ...reply, ...marks, keep_draft: "yes" }, dialog);
  });
}

function put(dialog, chat, send) {
  document.getElementById("preview")?.remove();
  pane.append(dialog);
  dialog.showModal();
  const closed = () => {
    dialog.remove();
    if (openId() !== chat) return;
    document.getElementById("reply-text").focus({ preventScroll: true });
    inSight();
  };
  dialog.addEventListener("close", closed, { once: true });
  dialog.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
    send(event.target);
  };
}

// A quick reply that the server has filled in: one text goes into the box, in the place of what was typed to find it;
// several are shown first.
export function offer(fragment, place) {
  const box = document.getElementById("reply-text");
  const dialog = fragment.querySelector("dialog");
  if (place) box.setRangeText("", place.from, place.to, "end");
  if (dialog) review(dialog);
  else {
    const filled = fragment.querySelector("#quick-filled");
    const { text, missing } = filled.dataset;
    const from = box.selectionStart;
    box.setRangeText(text, from, box.selectionEnd, "end");
    const room = Number(box.form.dataset.pictures) - attached().length;
    document.getElementById("attached").append(...[...filled.querySelectorAll(".attached")].slice(0, room));
    trays.set(openId(), attached());
    document.getElementById("quick-told").replaceChildren(...filled.querySelector("[data-notice]").children);
    box.focus({ preventScroll: true });
    const first = missing.split(",")[0];
    if (first) box.setSelectionRange(from + text.indexOf(first), from + text.indexOf(first) + first.length);
  }
  grown(box);
  drafts.changed();
}

inbox.addEventListener("submit", (event) => {
  if (event.target.id !== "reply") return;
  event.preventDefault();
  send(event.target);
});

// On a touch screen Enter begins a new line, and Ctrl+Enter of a keyboard sends; else the other way round.
const byTouch = matchMedia("(pointer: coarse)");
inbox.addEventListener("keydown", (event) => {
  if (event.target.id !== "reply-text" || event.key !== "Enter" || event.isComposing) return;
  const box = event.target;
  if ((event.ctrlKey || event.metaKey) && !byTouch.matches) {
    event.preventDefault();
    box.setRangeText("\n", box.selectionStart, box.selectionEnd, "end");
    grown(box);
  } else if (!event.shiftKey && !event.altKey && (event.ctrlKey || event.metaKey || !byTouch.matches)) {
    event.preventDefault();
    box.form.requestSubmit();
  }
});

inbox.addEventListener("input", (event) => {
  if (event.target.id !== "reply-text") return;
  grown(event.target);
  drafts.changed();
});

document.addEventListener("golub:attached", () => {
  const box = document.getElementById("reply-text");
  if (!box) return;
  grown(box);
  drafts.changed();
});

// Filled by another hand than the keyboard's.
inbox.addEventListener("golub:filled", (event) => grown(event.target));
