// Keeps the inbox fresh and quick: opens chats without a new page, puts in what the stream announces, sends replies.
// Every piece of HTML is made by the server; here it is only put in its place. Without this file the pages still work.

const inbox = document.getElementById("inbox");
const list = document.getElementById("chats");
const listScroll = document.getElementById("chats-scroll");
const pane = document.getElementById("chat");
const texts = document.getElementById("texts").dataset;
const query = inbox.dataset.query;
const view = inbox.dataset.view;
const AT_ONCE = 80; // rows asked for in one request
const NEAR = 80; // px from the end of a chat that still count as being there

const joined = (path, more) => `${path}${query}${query ? "&" : "?"}${more}`;
const html = (text) => document.createRange().createContextualFragment(text);
const thread = () => document.getElementById("thread");
const openId = () => thread()?.dataset.chat ?? null;

// ---- asking ----

class Failed extends Error {}

// A refusal comes as a toast in the reader's language; it is shown, unless the caller has a better place for it.
async function ask(path, options = {}, quietly = false) {
  const { form, ...rest } = options;
  const request = { ...rest, headers: { "HX-Request": "true" } };
  if (form) {
    request.method = "POST";
    request.body = new URLSearchParams(form);
    request.headers["X-CSRF-Token"] = inbox.dataset.csrf;
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(texts.offline);
  }
  if (answer.status === 401) {
    signedOut();
    throw new Failed(texts.signedOut);
  }
  const text = await answer.text();
  if (!answer.ok) {
    const toast = html(text);
    const said = toast.querySelector("p")?.textContent ?? texts.failed;
    if (!quietly && toast.firstElementChild) document.getElementById("toasts").append(toast);
    throw new Failed(said);
  }
  return { status: answer.status, text };
}

function signedOut() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

function toast(message) {
  const shown = document.getElementById("refusal").content.cloneNode(true);
  shown.querySelector("p").textContent = message;
  document.getElementById("toasts").append(shown);
}

// ---- the list ----

const before = (one, other) => {
  const [at, id] = one.split(".").map(Number);
  const [otherAt, otherId] = other.split(".").map(Number);
  const newer = at - otherAt || id - otherId;
  return view === "waiting" ? newer < 0 : newer > 0;
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

function count({ unread, waiting, everywhere }) {
  for (const [name, value] of Object.entries({ unread, waiting })) {
    const shown = inbox.querySelector(`[data-count="${name}"]`);
    shown.textContent = value;
    shown.hidden = value === "0";
  }
  document.title = everywhere === "0" ? "Golub" : `(${everywhere}) Golub`;
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
const scroller = () => document.getElementById("thread-scroll");
const atEnd = () => -scroller().scrollTop < NEAR; // its column is reversed: 0 is the end
let opening = null;

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
  scroller().addEventListener("scroll", () => {
    if (atEnd()) document.getElementById("to-end").hidden = true;
  }, { passive: true });
  const box = document.getElementById("reply-text");
  if (box) {
    box.value = localStorage.getItem(draftOf(openId())) ?? box.value;
    document.getElementById("attached").append(...(trays.get(openId()) ?? []));
    grown(box);
  }
  seen();
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
  const [at, id] = message.dataset.order.split(".").map(Number);
  const all = [...messages().querySelectorAll(".message")];
  const previous = all.findLast((other) => {
    const [otherAt, otherId] = other.dataset.order.split(".").map(Number);
    return otherAt < at || (otherAt === at && otherId < id);
  });
  const older = document.getElementById("older");
  if (!previous && older) return false; // it is older than what is shown, and comes with its page
  if (previous) previous.after(message);
  else messages().prepend(message);
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
    if (openId() !== id) return;
    if (status === 205) await openChat(location.pathname, false);
    else putChanges(html(text).firstElementChild);
    trouble("thread", false);
  } catch {
    trouble("thread", true);
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
  const wasAtEnd = atEnd();
  const fromTop = scroll.scrollHeight + scroll.scrollTop;
  let fresh = false;
  for (const message of [...changes.querySelector("[data-messages]").children]) {
    const isNew = !document.getElementById(message.id);
    if (putMessage(message)) fresh ||= isNew && message.classList.contains("theirs");
  }
  thread().dataset.version = changes.dataset.version;
  markDays();
  putOutgoing([...changes.querySelector("[data-outgoing]").children]);
  for (const id of ["thread-head", "thread-card"]) {
    const next = changes.querySelector(`#${id}`);
    const now = document.getElementById(id);
    if (next && now && !next.isEqualNode(now) && !now.contains(document.activeElement)) now.replaceWith(next);
  }
  if (wasAtEnd) scroll.scrollTop = 0;
  else {
    scroll.scrollTop = fromTop - scroll.scrollHeight;
    if (fresh) document.getElementById("to-end").hidden = false;
  }
  seen();
}

// What an operator has before his eyes is read: the chat is open, the page visible, its end in sight.
let told = "";
async function seen() {
  if (!openId() || document.hidden || !document.hasFocus() || !atEnd()) return;
  const row = document.getElementById(`chat-${openId()}`);
  const last = Math.max(0, ...[...messages().querySelectorAll(".message")].map((one) => Number(one.dataset.message)));
  const key = `${openId()}.${last}`;
  if (!last || (told === key && row?.dataset.unread === "0")) return;
  told = key;
  try {
    await ask(`/inbox/${openId()}/read`, { form: { up_to: last } }, true);
  } catch {
    told = ""; // the next ring or look tries again
  }
}

// ---- replies ----

const draftOf = (chat) => `golub:draft:${inbox.dataset.operator}:${chat}`;
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

function putOutgoing(rows) {
  const column = document.getElementById("outgoing");
  const local = [...column.querySelectorAll(".is-local")];
  const known = new Set(rows.map((row) => row.dataset.key));
  const waiting = local.filter((row) => !known.has(row.dataset.key) && row.dataset.state !== "taken");
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
  await post(chat, { ...reply, client_key: key });
}

async function post(chat, reply) {
  const row = document.getElementById("reply-pending").content.cloneNode(true).firstElementChild;
  row.dataset.key = reply.client_key;
  row.querySelector(".words").textContent = reply.text || "…";
  const box = document.getElementById("reply-text");
  const photos = attached().filter((one) => one.dataset.picture);
  document.getElementById("outgoing").append(row);
  scroller().scrollTop = 0;
  box.value = "";
  for (const photo of photos) photo.remove();
  grown(box);
  try {
    const { text: answer } = await ask(`/inbox/${chat}/reply`, { form: reply }, true);
    const told = html(answer);
    const question = told.querySelector("dialog");
    if (question) {
      row.remove();
      giveBack(chat, reply.text, photos);
      if (openId() === chat) decide(question, chat, reply);
      return;
    }
    sessionStorage.removeItem(`golub:key:${chat}`);
    localStorage.removeItem(draftOf(chat));
    trays.delete(chat);
    row.dataset.state = "taken";
    if (openId() === chat) putOutgoing([...told.children]);
  } catch (error) {
    row.remove();
    toast(error.message);
    giveBack(chat, reply.text, photos);
  }
}

// What was not taken is a draft again.
function giveBack(chat, text, photos) {
  trays.set(chat, photos);
  if (openId() === chat) {
    document.getElementById("attached").prepend(...photos);
    const now = document.getElementById("reply-text");
    now.value = [text, now.value].filter(Boolean).join("\n");
    grown(now);
    localStorage.setItem(draftOf(chat), now.value);
  } else localStorage.setItem(draftOf(chat), text);
}

// A reply in several messages, or the same words again: the server has asked, and a person answers.
function decide(dialog, chat, reply) {
  document.getElementById("preview")?.remove();
  pane.append(dialog);
  dialog.showModal();
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (openId() === chat) document.getElementById("reply-text").focus({ preventScroll: true });
  });
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
    post(chat, { ...reply, sure: "yes" });
  });
}

// ---- photos ----

// A photo goes to our server as soon as it is attached, and to Avito when the reply is sent.
const trays = new Map(); // by chat: what is attached to the reply that is not sent yet
const attached = () => [...document.querySelectorAll("#attached > .attached")];
const names = (photos) => photos.map((one) => one.dataset.picture).filter(Boolean);

function attach(files) {
  const form = document.getElementById("reply");
  if (!form) return;
  for (const file of files) {
    if (attached().length >= Number(form.dataset.pictures)) return void toast(form.dataset.tooMany);
    upload(form, file);
  }
}

function upload(form, file) {
  const place = document.getElementById("attaching").content.cloneNode(true).firstElementChild;
  const chat = form.dataset.chat;
  document.getElementById("attached").append(place);
  trays.set(chat, attached());
  grown(form.elements.text);
  const refuse = (words) => {
    place.classList.replace("is-loading", "is-refused");
    place.querySelector("progress").remove();
    place.querySelector(".attached-why").textContent = words;
  };
  const request = new XMLHttpRequest(); // fetch tells no progress
  request.open("POST", `/inbox/${chat}/pictures`);
  request.setRequestHeader("HX-Request", "true");
  request.setRequestHeader("X-CSRF-Token", inbox.dataset.csrf);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const bar = place.querySelector("progress");
    if (loaded < total) bar.value = (loaded / total) * 100;
    else bar.removeAttribute("value"); // now it is being read
  });
  request.addEventListener("loadend", () => {
    if (request.status === 401) signedOut();
    else if (request.status === 200) {
      const done = html(request.responseText).querySelector(".attached");
      const tray = trays.get(chat) ?? [];
      trays.set(chat, tray.map((one) => (one === place ? done : one)));
      place.replaceWith(done);
    } else if (request.status === 0) refuse(texts.offline);
    else refuse(html(request.responseText).querySelector("p")?.textContent ?? texts.failed);
    const box = document.getElementById("reply-text");
    if (box) grown(box);
  });
  place.addEventListener("golub:detached", () => request.abort());
  request.send(file);
}

function detach(photo) {
  photo.dispatchEvent(new Event("golub:detached"));
  photo.remove();
  trays.set(openId(), attached());
  const box = document.getElementById("reply-text");
  grown(box);
  box.focus({ preventScroll: true });
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
pane.addEventListener("dragover", (event) => {
  if (!hasFiles(event) || !document.getElementById("reply")) return;
  event.preventDefault();
  thread().classList.add("is-target");
});
pane.addEventListener("dragleave", (event) => {
  if (!pane.contains(event.relatedTarget)) thread()?.classList.remove("is-target");
});
pane.addEventListener("drop", (event) => {
  if (!hasFiles(event) || !document.getElementById("reply")) return;
  event.preventDefault();
  thread().classList.remove("is-target");
  attach(event.dataTransfer.files);
});
pane.addEventListener("paste", (event) => {
  if (event.target.id !== "reply-text" || !event.clipboardData.files.length) return;
  event.preventDefault();
  attach(event.clipboardData.files);
});
pane.addEventListener("change", (event) => {
  if (event.target.id !== "reply-files") return;
  attach(event.target.files);
  event.target.value = "";
});

// ---- what happens ----

inbox.addEventListener("click", (event) => {
  const link = event.target.closest("a.chat-link, a.thread-back");
  if (link && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    openChat(link.getAttribute("href"), true);
  } else if (event.target.closest("#to-end")) scroller().scrollTop = 0;
  else if (event.target.closest("#reply-attach")) document.getElementById("reply-files").click();
  else if (event.target.closest("[data-detach]")) detach(event.target.closest(".attached"));
});

inbox.addEventListener("submit", (event) => {
  if (event.target.id !== "reply") return;
  event.preventDefault();
  send(event.target);
});

const byTouch = matchMedia("(pointer: coarse)");
inbox.addEventListener("keydown", (event) => {
  if (event.target.id !== "reply-text" || event.key !== "Enter" || event.isComposing) return;
  const box = event.target;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    box.setRangeText("\n", box.selectionStart, box.selectionEnd, "end");
    grown(box);
  } else if (!event.shiftKey && !event.altKey && !byTouch.matches) {
    event.preventDefault();
    box.form.requestSubmit();
  }
});

inbox.addEventListener("input", (event) => {
  if (event.target.id !== "reply-text") return;
  grown(event.target);
  const name = draftOf(openId());
  if (event.target.value) localStorage.setItem(name, event.target.value);
  else localStorage.removeItem(name);
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

count({ unread: inbox.dataset.unread, waiting: inbox.dataset.waiting, everywhere: inbox.dataset.everywhere });
ready();
