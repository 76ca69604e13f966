// Keeps the inbox fresh and quick: opens chats without a new page, puts in what the stream announces. Replies are
// `composer.js`'s. Every piece of HTML is made by the server; here it is only put in its place. Without this file the
// pages still work.

import { inSight, putOutgoing, takeUp } from "./composer.js";
import "./notes.js";
import { ask, html, inbox, openId, pane, scroller, signedOut, texts, thread } from "./page.js";
import "./viewer.js";
import "./voice.js";

const list = document.getElementById("chats");
const listScroll = document.getElementById("chats-scroll");
const query = inbox.dataset.query;
const soonestFirst = "soonestFirst" in inbox.dataset;
const AT_ONCE = 80; // rows asked for in one request
const NEAR = 80; // px from the end of a chat that still count as being there
const LONG_PRESS = 2000; // ms
const FAR = 600; // px from the end from which on a button leads back

const gently = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";

const joined = (path, more) => `${path}${query}${query ? "&" : "?"}${more}`;

// What is replaced between the press and the release of a button gets no click: what is new waits for that long.
let pressed = Promise.resolve();
inbox.addEventListener("pointerdown", () => {
  pressed = new Promise((release) => {
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, () => setTimeout(release), { once: true }); // the click comes right after
    }
    setTimeout(release, LONG_PRESS);
  });
});

// ---- the list ----

const before = (one, other) => {
  const [at, id] = one.split(".").map(Number);
  const [otherAt, otherId] = other.split(".").map(Number);
  const newer = at - otherAt || id - otherId;
  return soonestFirst ? newer < 0 : newer > 0;
};

// Whatever comes, goes or grows above, the first row in sight that keeps its place in the list stays where it is.
function steadily(change) {
  const { top, bottom } = listScroll.getBoundingClientRect();
  const inSight = [];
  if (listScroll.scrollTop >= 8) {
    for (const row of list.querySelectorAll(".chat-row")) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top && box.top < bottom) inSight.push({ id: row.id, order: row.dataset.order, top: box.top });
    }
  }
  change();
  for (const was of inSight) {
    const row = document.getElementById(was.id);
    if (row?.dataset.order !== was.order) continue;
    listScroll.scrollTop += row.getBoundingClientRect().top - was.top;
    break;
  }
}

function putRow(row) {
  const known = document.getElementById(row.id);
  const open = row.dataset.chat === openId();
  const held = known?.contains(document.activeElement);
  const end = document.getElementById("chats-next");
  let place = null;
  for (const other of list.querySelectorAll(".chat-row")) {
    if (other !== known && before(row.dataset.order, other.dataset.order)) {
      place = other;
      break;
    }
  }
  if (known && known.dataset.order === row.dataset.order) known.replaceWith(row);
  else if (!place && end && before(end.dataset.from, row.dataset.order)) return known?.remove(); // comes with its page
  else {
    known?.remove();
    list.insertBefore(row, place ?? end);
  }
  mark(row, open);
  if (held) row.querySelector("a").focus({ preventScroll: true });
}

function mark(row, open) {
  const link = row.querySelector(".chat-link");
  if (open) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function putRows(answer, asked) {
  const told = html(answer).firstElementChild;
  const got = new Map([...told.children].map((row) => [row.dataset.chat, row]));
  steadily(() => {
    for (const id of asked) {
      const known = document.getElementById(`chat-${id}`);
      const row = got.get(String(id));
      if (!row) known?.remove();
      else if (!known || Number(row.dataset.version) >= Number(known.dataset.version)) {
        announce(known, row);
        putRow(row);
      }
    }
  });
  count(told.dataset);
  nothingLeft();
}

function announce(known, row) {
  const more = Number(row.dataset.unread) > Number(known?.dataset.unread ?? 0);
  if (!more || row.dataset.chat === openId()) return;
  const name = row.querySelector(".chat-name").textContent;
  document.getElementById("said").textContent = texts.newMessage.replace("{name}", name);
}

function count({ counts, everywhere }) {
  for (const [name, value] of Object.entries(JSON.parse(counts))) {
    const shown = inbox.querySelector(`[data-count="${name}"]`);
    if (!shown) continue; // a view that was named in another window
    shown.textContent = value;
    shown.hidden = value === "0";
  }
  document.title = everywhere === "0" ? "Golub" : `(${everywhere}) Golub`;
  document.dispatchEvent(new CustomEvent("golub:unread", { detail: everywhere }));
  const rail = document.getElementById("rail-count-inbox");
  if (rail) {
    rail.textContent = everywhere.length > 2 ? "99+" : everywhere;
    rail.hidden = everywhere === "0";
  }
}

function nothingLeft() {
  const some = list.querySelector(".chat-row, .chats-next");
  document.getElementById("chats-empty").hidden = Boolean(some);
}

// Rings are gathered while a request is under way, so that a burst is two requests and not fifty.
const due = new Set();
let fetching = false;
async function refresh() {
  if (fetching) return;
  fetching = true;
  try {
    while (due.size) {
      const asked = [...due].slice(0, AT_ONCE);
      for (const id of asked) due.delete(id);
      const opened = openId() ? `&opened=${openId()}` : "";
      const { text } = await ask(joined("/inbox/rows", `ids=${asked.join(",")}${opened}`), {}, true);
      await pressed;
      putRows(text, asked);
    }
    trouble("rows", false);
  } catch {
    trouble("rows", true);
  } finally {
    fetching = false;
  }
}

// After a pause anything may have happened: the first page again, and every row that is shown below it.
async function catchUp() {
  try {
    const { text } = await ask(`/inbox/list${query}`, {}, true);
    const page = [...html(text).querySelectorAll(".chat-row")].map((row) => row.dataset.chat);
    for (const id of page) due.add(id);
    for (const row of list.querySelectorAll(".chat-row")) due.add(row.dataset.chat);
    due.add("0"); // nobody's: the counts come with whatever is asked
    await refresh();
    trouble("list", false);
  } catch {
    trouble("list", true);
  }
  await follow();
}

// ---- the open chat ----

const messages = () => document.getElementById("messages");
const atEnd = () => -scroller().scrollTop < NEAR; // its column is reversed: 0 is the end
let opening = null;
let isOnItsWay = false; // to the end, gently: what arrives meanwhile must not stop it halfway

async function openChat(path, push) {
  const id = path.match(/^\/inbox\/(\d+)/)?.[1];
  opening?.abort();
  if (!id) {
    show(document.getElementById("nothing-open").content.cloneNode(true), false);
    if (push) history.pushState({}, "", path);
    return;
  }
  const mine = (opening = new AbortController());
  inbox.classList.add("has-chat");
  pane.setAttribute("aria-busy", "true");
  for (const row of list.querySelectorAll(".chat-row")) mark(row, row.dataset.chat === id);
  if (push) history.pushState({}, "", path);
  try {
    const { text } = await ask(`/inbox/${id}/thread${query}`, { signal: mine.signal }, true);
    show(html(text), true);
    document.getElementById("reply-text")?.focus({ preventScroll: true });
  } catch (error) {
    if (error.name === "AbortError") return;
    const shown = document.getElementById("trouble").content.cloneNode(true);
    shown.querySelector("[data-text]").textContent = error.message;
    shown.querySelector("[data-retry]").addEventListener("click", () => openChat(path, false));
    show(shown, true);
  } finally {
    if (mine === opening) pane.removeAttribute("aria-busy");
  }
}

function show(fragment, open) {
  pane.replaceChildren(fragment);
  inbox.classList.toggle("has-chat", open);
  if (!open) for (const row of list.querySelectorAll(".chat-row")) mark(row, false);
  ready();
}

function ready() {
  if (!thread()) return;
  window.htmx?.process(pane);
  markDays();
  isOnItsWay = false;
  scroller().addEventListener("scroll", markEnd, { passive: true });
  for (const name of ["scrollend", "wheel", "touchstart"]) {
    scroller().addEventListener(name, () => (isOnItsWay = false), { passive: true });
  }
  takeUp();
  beginAtUnread();
  markEnd();
  document.dispatchEvent(new CustomEvent("golub:opened"));
}

// What nobody has read yet begins in sight, and not somewhere above.
function beginAtUnread() {
  const line = document.getElementById("unread-line");
  const above = line ? line.getBoundingClientRect().top - scroller().getBoundingClientRect().top - 16 : 0;
  if (above >= 0) return;
  scroller().scrollTop += above;
  document.getElementById("to-end").classList.add("has-new");
}

// The way back to the end is shown where it is far, or where something new waits there.
function markEnd() {
  const button = document.getElementById("to-end");
  if (atEnd()) {
    button.classList.remove("has-new");
    seen();
  }
  button.hidden = atEnd() || (-scroller().scrollTop < FAR && !button.matches(".has-new"));
}

// A day's name stands before its first message, wherever that came from.
function markDays() {
  const column = messages();
  for (const sign of column.querySelectorAll(".day")) sign.remove();
  let day = "";
  for (const message of column.querySelectorAll(".message")) {
    if (message.dataset.day === day) continue;
    day = message.dataset.day;
    const sign = document.createElement("li");
    sign.className = "day";
    const name = document.createElement("span");
    name.textContent = message.dataset.dayText;
    sign.append(name);
    message.before(sign);
  }
}

function putMessage(message) {
  document.getElementById(message.id)?.remove();
  if ("gone" in message.dataset) return false;
  const [at, id] = message.dataset.order.split(".").map(Number);
  const all = [...messages().querySelectorAll(".message")];
  const previous = all.findLast((other) => {
    const [otherAt, otherId] = other.dataset.order.split(".").map(Number);
    return otherAt < at || (otherAt === at && otherId < id);
  });
  const older = document.getElementById("older");
  if (!previous && older) return false; // it is older than what is shown, and comes with its page
  if (previous && previous === all.at(-1) && document.getElementById("newer")) return false; // … or with a later one
  if (previous) previous.after(message);
  else messages().prepend(message);
  window.htmx?.process(message);
  return true;
}

let following = null;
let followAgain = false;
async function follow() {
  if (!openId()) return;
  if (following === openId()) {
    followAgain = true;
    return;
  }
  const id = (following = openId());
  try {
    const { status, text } = await ask(joined(`/inbox/${id}/messages`, `after=${thread().dataset.version}`), {}, true);
    await pressed;
    if (openId() !== id) return;
    if (status === 205) await openChat(location.pathname, false);
    else putChanges(html(text).firstElementChild);
    trouble("thread", false);
  } catch (error) {
    if (error.status === 404 && openId() === id) await openChat(`/inbox${query}`, true); // it is not for him any more
    else trouble("thread", true);
  } finally {
    if (following === id) following = null;
  }
  if (followAgain) {
    followAgain = false;
    await follow();
  }
}

function putChanges(changes) {
  const scroll = scroller();
  const wasAtEnd = atEnd() || isOnItsWay;
  const fromTop = scroll.scrollHeight + scroll.scrollTop;
  let fresh = false;
  for (const message of [...changes.querySelector("[data-messages]").children]) {
    const isNew = !document.getElementById(message.id);
    if (putMessage(message)) fresh ||= isNew && message.classList.contains("theirs");
  }
  thread().dataset.version = changes.dataset.version;
  thread().dataset.outgoing = changes.dataset.outgoing;
  markDays();
  putOutgoing([...changes.querySelector("[data-outgoing]").children]);
  // What the operator did meanwhile has put in a newer head than that of an answer which was already on its way.
  const isLate = Number(changes.dataset.version) < Number(document.getElementById("thread-head").dataset.version);
  for (const id of isLate ? [] : ["thread-head", "thread-card"]) {
    const next = changes.querySelector(`#${id}`);
    const now = document.getElementById(id);
    if (!next || !now || isAtWork(now)) continue;
    for (const one of now.querySelectorAll("details[id]")) {
      next.querySelector(`#${one.id}`)?.toggleAttribute("open", one.open);
    }
    if (next.isEqualNode(now)) continue;
    const wasOpen = now.matches(":popover-open");
    const { scrollTop } = now;
    now.replaceWith(next);
    window.htmx?.process(next);
    if (wasOpen) next.showPopover();
    next.scrollTop = scrollTop;
  }
  if (wasAtEnd) scroll.scrollTop = 0;
  else {
    scroll.scrollTop = fromTop - scroll.scrollHeight;
    if (fresh) document.getElementById("to-end").classList.add("has-new");
  }
  markEnd();
}

// What a person is about to use, or has begun to write in, is not taken away.
// A form that waits for its answer stays too: htmx would have nowhere to put a refusal.
const isAtWork = (part) =>
  part.contains(document.activeElement) ||
  part.querySelector("details.menu[open], details[open] textarea, .htmx-request") !== null;

// What an operator has before his eyes is read: the chat is open, the page visible, its end in sight.
let told = "";
let tellAgain = 0;
async function seen() {
  if (!openId() || document.hidden || !document.hasFocus() || !atEnd()) return;
  inSight();
  const row = document.getElementById(`chat-${openId()}`);
  const last = Math.max(0, ...[...messages().querySelectorAll(".message")].map((one) => Number(one.dataset.message)));
  const key = `${openId()}.${last}`;
  if (!last || (told === key && row?.dataset.unread === "0")) return;
  told = key;
  try {
    await ask(`/inbox/${openId()}/read`, { form: { up_to: last } }, true);
  } catch (error) {
    told = ""; // the next ring or look tries again …
    clearTimeout(tellAgain);
    if (error.status === 0 || error.status >= 500) tellAgain = setTimeout(seen, 3000); // … and nobody may ring for long
  }
}

// ---- what happens ----

inbox.addEventListener("click", (event) => {
  const link = event.target.closest("a.chat-link, a.beside-chat, a.thread-back");
  if (link && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    openChat(link.getAttribute("href"), true);
  } else if (event.target.closest("#to-end")) {
    isOnItsWay = true;
    scroller().scrollTo({ top: 0, behavior: gently });
  }
});

// A picture that cannot be had leaves no hole; `error` does not bubble.
inbox.addEventListener("error", (event) => {
  const failed = event.target;
  if (failed instanceof HTMLAudioElement) failed.remove();
  if (!(failed instanceof HTMLImageElement)) return;
  const place = document.createElement("span");
  place.className = failed.dataset.fallback ? `${failed.className} tint-0` : `${failed.className} no-picture`;
  place.textContent = failed.dataset.fallback ?? "";
  if (failed.alt) place.textContent = texts.noPicture;
  failed.replaceWith(place);
}, true);

document.addEventListener("golub:open", ({ detail }) => openChat(detail, true));
addEventListener("popstate", () => openChat(location.pathname, false));
document.addEventListener("visibilitychange", seen);
addEventListener("focus", seen);

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.closest("#messages")) markDays();
  // A page of the list may bring a row that a ring has put in before.
  for (const row of list.querySelectorAll(".chat-row")) {
    for (const twin of [...list.querySelectorAll(`[id="${row.id}"]`)].slice(1)) twin.remove();
  }
});

document.body.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful || !event.target.matches("[data-closes-when-done]")) return;
  event.target.closest("dialog").close();
  document.getElementById("reply-text")?.focus({ preventScroll: true }); // what has the focus is not replaced
  follow();
});

document.addEventListener("golub:rings", ({ detail }) => {
  if (!detail.length) return void catchUp();
  for (const [id, version] of detail) {
    const known = document.getElementById(`chat-${id}`);
    if (!known || Number(known.dataset.version) < version) due.add(String(id));
    if (String(id) === openId()) follow();
  }
  refresh();
});

// Trouble is shown while any of its causes lasts.
const causes = new Set();
function trouble(name, is) {
  if (is) causes.add(name);
  else causes.delete(name);
  document.getElementById("live").hidden = causes.size === 0;
  if (is && name !== "line") setTimeout(catchUp, 3000);
}

let down = null;
document.addEventListener("golub:line", ({ detail }) => {
  clearTimeout(down);
  if (detail === "out") signedOut();
  else if (detail === "down") down = setTimeout(() => trouble("line", true), 1500); // a blink is nobody's business
  else {
    trouble("line", false);
    catchUp();
  }
});

// How long buyers have been waiting, in the reader's language.
const lang = document.documentElement.lang;
const unit = (name) => new Intl.NumberFormat(lang, { style: "unit", unit: name, unitDisplay: "short" });
const units = { minute: unit("minute"), hour: unit("hour"), day: unit("day") };
setInterval(() => {
  for (const form of inbox.querySelectorAll(".take-back")) {
    const left = Number(form.dataset.until) - Date.now();
    if (left <= 0) form.remove();
    else form.querySelector("[data-left]").textContent = units.minute.format(Math.max(1, Math.floor(left / 60_000)));
  }
  for (const sign of inbox.querySelectorAll(".waits[data-since]")) {
    const minutes = Math.max(1, Math.floor((Date.now() - Number(sign.dataset.since)) / 60_000));
    const shown =
      minutes < 60 ? units.minute.format(minutes)
      : minutes < 60 * 24 ? units.hour.format(Math.floor(minutes / 60))
      : units.day.format(Math.floor(minutes / 60 / 24));
    const place = sign.querySelector("span");
    if (place.textContent !== shown) place.textContent = shown;
  }
}, 20_000);

count(inbox.dataset);
ready();
catchUp(); // the stream may have been up before anybody here listened
