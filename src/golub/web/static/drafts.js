// Drafts: what stands in the box is kept on the server while it is written, and on leaving. What the server has not taken
// yet, because there is no connection, waits in the browser's own store and is offered again. What it has taken stays
// there as well until a page shows it: one that was drawn a moment before knows nothing of it.

import { attached, names } from "./photos.js";
import { ask, html, inbox, openId } from "./page.js";

const SAVE_AFTER = 900; // ms of quiet
const OVERTAKEN = 60_000; // ms that a page may have been under way while a draft was saved
const nameOf = (chat) => `golub:draft:${inbox.dataset.operator}:${chat}`;
const box = () => document.getElementById("reply-text");

const known = new Map(); // by chat: the version of the draft that this page has seen
let waiting = null; // what is to be saved, and the timer until then
let saving = Promise.resolve(); // one after another: a later text must not arrive before an earlier one

function kept(chat) {
  try {
    return JSON.parse(localStorage.getItem(nameOf(chat)));
  } catch {
    return null;
  }
}

function keep(chat, draft) {
  try {
    localStorage.setItem(nameOf(chat), JSON.stringify({ base: known.get(chat) ?? 0, ...draft }));
  } catch {
    // no room, or not allowed: then the server alone keeps it
  }
}

// The open chat's box as the server filled it; or as it was left here, where the server has not heard of that yet.
export function takeUp() {
  leave();
  const chat = openId();
  const local = kept(chat);
  const version = Number(document.getElementById("draft").dataset.version);
  known.set(chat, version);
  if (!local) return;
  const isHeard = local.saved <= version || Date.now() - local.at > OVERTAKEN;
  const isKnown = local.saved ? isHeard : local.text === box().value;
  if (isKnown || local.pictures) localStorage.removeItem(nameOf(chat));
  if (isKnown) return;
  if (local.pictures) return void location.reload(); // once: only the server draws photos
  box().value = local.text;
  if (local.saved) return void known.set(chat, local.saved);
  save({ ...begun(), base: local.base });
}

const begun = () => ({ chat: openId(), text: box().value, pictures: names(attached()).join() });

export function changed() {
  if (!box()) return;
  const draft = begun();
  keep(draft.chat, { text: draft.text });
  clearTimeout(waiting?.timer);
  waiting = { draft, timer: setTimeout(leave, SAVE_AFTER) };
}

// Nothing is left unsaved behind us.
export function leave(keepalive = false) {
  if (!waiting) return;
  clearTimeout(waiting.timer);
  const { draft } = waiting;
  waiting = null;
  save(draft, keepalive === true);
}

// It leaves as a reply, and the server clears it with that.
export function sending(chat) {
  if (waiting?.draft.chat !== chat) return;
  clearTimeout(waiting.timer);
  waiting = null;
}

// It was not taken, and its chat is not open any more.
export function stash(chat, text, pictures) {
  keep(chat, { text });
  save({ chat, text, pictures });
}

export function sent(chat) {
  localStorage.removeItem(nameOf(chat));
  sign(chat, false);
}

// The pencil in the list; a row that comes anew has it from the server.
function sign(chat, written) {
  document.getElementById(`chat-${chat}`)?.querySelector("[data-draft]")?.toggleAttribute("hidden", !written);
}

function save(draft, keepalive = false) {
  const offered = () => put(draft, keepalive).catch(() => {}); // else it stays in the browser's store
  saving = keepalive ? offered() : saving.then(offered);
}

async function put({ chat, text, pictures, base }, keepalive) {
  const form = { text, pictures, base: base ?? known.get(chat) ?? 0 };
  const { text: answer } = await ask(`/inbox/${chat}/draft`, { form, keepalive }, true);
  const told = html(answer).querySelector("#draft");
  known.set(chat, Number(told.dataset.version));
  const local = kept(chat);
  if (local && local.text !== text) keep(chat, { text: local.text }); // written since, on top of this
  else if (text || pictures) keep(chat, { text, pictures, saved: known.get(chat), at: Date.now() });
  else localStorage.removeItem(nameOf(chat));
  sign(chat, text.trim() || pictures || told.children.length);
  if (openId() !== chat) return;
  show(told);
  const wanted = told.dataset.stored === "no" && text.trim() && box()?.value === text;
  if (wanted) await put({ chat, text, pictures }, keepalive); // what was there was sent meanwhile; this is a new one
}

function show(told) {
  const now = document.getElementById("draft");
  if (now && !now.contains(document.activeElement)) now.replaceWith(told);
}

inbox.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-draft-other]")) return;
  event.preventDefault();
  const chat = openId();
  leave();
  await saving;
  try {
    const form = { choice: event.submitter.value };
    const { text } = await ask(`/inbox/${chat}/draft/other`, { form });
    const told = html(text).querySelector("#draft");
    known.set(chat, Number(told.dataset.version));
    if (openId() !== chat) return;
    document.getElementById("draft").replaceWith(told);
    if (told.dataset.text !== undefined) box().value = told.dataset.text;
    box().dispatchEvent(new Event("golub:filled", { bubbles: true }));
    box().focus({ preventScroll: true });
  } catch {
    // the refusal is shown
  }
});

addEventListener("pagehide", () => leave(true));
document.addEventListener("visibilitychange", () => document.hidden && leave(true));
addEventListener("online", () => {
  const local = box() && kept(openId());
  if (local && !local.saved) changed();
});
