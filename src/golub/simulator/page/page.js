// The buyer's page. It asks the control API once a second and redraws what changed; all text goes in as text.
"use strict";

const KINDS = ["image", "voice", "location", "appCall", "call", "video", "file", "link", "item", "system"];
const state = { language: localStorage.getItem("language") || "ru", shop: null, chat: null, shops: [], chats: [], messages: [] };
const drawn = {};
const $ = (id) => document.getElementById(id);
const word = (name) => WORDS[state.language][name] ?? name;

async function ask(method, path, body) {
  const answer = await fetch("/_sim" + path, { method, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

const local = (url) => new URL(url).pathname;
const clock = (at) => new Date(at * 1000).toLocaleTimeString(state.language, { hour: "2-digit", minute: "2-digit" });
const stamp = (at) => (when(at) === clock(at) ? clock(at) : `${when(at)}, ${clock(at)}`);
function when(at) {
  const day = new Date(at * 1000);
  if (day.toDateString() === new Date().toDateString()) return clock(at);
  return day.toLocaleDateString(state.language, { day: "numeric", month: "short" });
}

// Draws a part only when what it shows has changed, so that focus, scroll and playing voices stay.
function draw(id, what, nodes) {
  const seen = JSON.stringify([state.language, what]);
  if (drawn[id] === seen) return false;
  drawn[id] = seen;
  $(id).replaceChildren(...nodes());
  return true;
}

const subject = (chat) => (chat.item ? `${chat.item.title} · ${chat.item.price_string}` : word(chat.chat_type === "a2u" ? "notices" : "profile"));

const face = (chat) => (chat.item ? local(chat.item.picture) : `/img/140x105/avatar.${chat.buyer_id}.jpg`);

function preview(message) {
  if (!message) return "";
  const text = message.content.text;
  return message.type === "text" ? text : word(message.type) + (text ? ": " + text : "");
}

function drawShops() {
  const shown = state.shops.map((s) => [s.user_id, s.name, s.subscription, s.stolen, s.user_id === state.shop]);
  draw("shops", shown, () => state.shops.map((shop) => {
    const how = shop.stolen ? "stolen" : shop.subscription ? "subscribed" : "unsubscribed";
    const note = make("small", { class: how === "subscribed" ? "good" : how === "stolen" ? "bad" : null }, word(how));
    return make("button", { type: "button", "aria-pressed": shop.user_id === state.shop, onclick: () => chooseShop(shop.user_id) }, shop.name, note);
  }));
}

function drawChats() {
  draw("chats", [state.chat, state.chats], () => state.chats.map((chat) => make("li", {},
    make("button", { type: "button", "aria-pressed": chat.id === state.chat, onclick: () => chooseChat(chat.id) },
      make("img", { src: face(chat), alt: "", loading: "lazy" }),
      make("b", {}, chat.buyer), make("time", {}, when(chat.updated)),
      make("span", { class: "goods" }, subject(chat)),
      make("div", { class: "last" }, make("i", {}, (chat.last?.from === "shop" ? "← " : "") + preview(chat.last)),
        chat.unseen ? make("em", {}, String(chat.unseen)) : "")))));
}

function drawAbout() {
  const chat = state.chats.find((c) => c.id === state.chat);
  for (const id of ["about", "write"]) $(id).hidden = !chat;
  $("messages").hidden = !chat;
  $("nothing").hidden = Boolean(chat);
  if (!chat) return;
  $("buyer").textContent = chat.buyer;
  $("item").textContent = subject(chat);
  $("kinds").hidden = chat.chat_type === "a2u";
  if ($("picture").getAttribute("src") !== face(chat)) $("picture").src = face(chat);
}

function fate(message) {
  const d = message.delivery;
  if (!d) return "";
  const tries = d.attempts > 1 ? ` · ${word("attempt")} ${d.attempts}` : "";
  if (d.state === "acked") return make("span", { class: "acked" }, `✓ ${word("ok")} ${d.status} · ${d.ms} ${word("ms")}${tries}`);
  if (d.state === "pending") return make("span", { class: "pending" }, word("pending") + tries);
  const why = d.status || word(d.reason);
  return make("span", { class: "failed" }, `✗ ${word(d.state === "dropped" ? "dropped" : "failed")}: ${why}${tries}`);
}

function content(message) {
  const c = message.content;
  const parts = [];
  if (c.image) parts.push(make("img", { src: local(c.image.sizes["640x480"]), alt: word("image") }));
  if (c.voice) parts.push(make("audio", { controls: "", preload: "none", src: `/_sim/voices/${encodeURIComponent(c.voice.voice_id)}.wav` }));
  if (c.location) parts.push(make("p", {}, `📍 ${c.location.title || c.location.text}`));
  if (c.call) parts.push(make("p", {}, `📵 ${word("call")}`));
  if (c.link) parts.push(make("p", {}, `🔗 ${c.link.url}`));
  if (c.item) parts.push(make("p", {}, `🏷 ${c.item.title} · ${c.item.price_string}`));
  if (c.text) parts.push(make("p", {}, c.text));
  if (!parts.length) parts.push(make("p", { title: word("unreadable") }, `${message.type === "appCall" ? "📞" : "📎"} ${word(message.type)}`));
  return parts;
}

function drawMessages() {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const changed = draw("messages", [state.chat, state.messages], () => state.messages.map((message) => {
    const mine = message.from === "buyer" && !message.deleted;
    const foot = make("div", { class: "foot" }, make("time", {}, stamp(message.created)),
      message.edited && !message.deleted ? make("span", {}, word("edited")) : "",
      message.from === "shop" && message.read ? make("span", {}, word("read")) : "", fate(message),
      mine && message.type === "text" ? make("button", { type: "button", onclick: () => edit(message) }, word("edit")) : "",
      mine ? make("button", { type: "button", onclick: () => act("DELETE", `/messages/${message.id}`) }, word("remove")) : "");
    return make("li", { class: message.from + (message.deleted ? " gone" : "") }, ...content(message), foot);
  }));
  if (changed && (atEnd || list.dataset.chat !== state.chat)) list.scrollTop = list.scrollHeight;
  list.dataset.chat = state.chat;
}

function drawJournal(events, calls) {
  const lines = [
    ...calls.map((c) => ({ at: c.at, what: `→ ${c.operation}`, status: c.status ?? "…", good: c.status < 400, more: `${c.method} ${c.path}` })),
    ...events.filter((e) => e.kind === "answer").map((e) => ({ at: e.at, what: `← ${word("hook")}: ${word("change_" + e.change)}`, status: e.status ?? e.error, good: e.acked, more: `${e.ms} ${word("ms")} · ${e.message.slice(0, 12)}…` })),
    ...events.filter((e) => e.kind === "dropped").map((e) => ({ at: e.at, what: `← ${word("hook")}: ${word("change_" + e.change)}`, status: "✗", good: false, more: word(e.reason) })),
  ].sort((a, b) => b.at - a.at).slice(0, 60);
  draw("journal", lines, () => lines.map((l) => make("li", {},
    make("span", {}, l.what), make("span", { class: l.good ? "acked" : "failed" }, String(l.status)), make("small", {}, `${clock(l.at)} · ${l.more}`))));
}

function drawCounts(truth) {
  const counts = [["sent", truth.sent], ["acked", truth.acked], ["lost", truth.sent + truth.dropped - truth.acked - truth.backlog]];
  draw("counts", counts, () => counts.map(([name, n]) => make("div", {}, make("b", {}, String(Math.max(0, n))), word(name))));
}

function drawWords() {
  document.documentElement.lang = state.language;
  document.title = word("title");
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
  $("text").placeholder = word("words");
  $("text").setAttribute("aria-label", word("write"));
  $("language").textContent = state.language === "ru" ? "EN" : "RU";
  $("language").lang = state.language === "ru" ? "en" : "ru";
  draw("kinds", KINDS, () => KINDS.map((kind) => make("button", { type: "button", onclick: () => say(kind, "") }, word(kind))));
}

// A scenario is played for all shops. What can be ended is what is on; what has happened stays.
function drawScenarios(scenarios) {
  const title = (s) => word(`scenario ${s.name}`);
  draw("scenario", scenarios.map((s) => s.name), () => scenarios.map((s) => make("option", { value: s.name, title: s.says }, title(s))));
  const playing = scenarios.filter((s) => s.playing);
  draw("playing", playing.map((s) => s.name), () => playing.map((s) => make("button", {
    type: "button", class: "plain small", title: s.says, "aria-label": `${word("endScenario")}: ${title(s)}`,
    onclick: () => act("DELETE", `/scenario?name=${encodeURIComponent(s.name)}`),
  }, `${title(s)} ×`)));
}

async function refresh() {
  const chosen = state.chat;
  state.shops = (await ask("GET", "/accounts")).accounts;
  if (state.shop === null && state.shops.length) state.shop = state.shops[0].user_id;
  if (state.shop !== null) state.chats = (await ask("GET", `/accounts/${state.shop}/chats?limit=100`)).chats;
  if (chosen) {
    const found = await ask("GET", `/chats/${encodeURIComponent(chosen)}/messages?limit=100`);
    if (chosen === state.chat) state.messages = found.messages;
  }
  drawShops(); drawChats(); drawAbout(); drawMessages();
  drawCounts(await ask("GET", "/oracle"));
  drawScenarios((await ask("GET", "/scenarios")).scenarios);
  $("lively").checked = (await ask("GET", "/lively")).pace !== null;
  if (matchMedia("(min-width: 1081px)").matches) {
    const [events, calls] = await Promise.all([ask("GET", "/events?limit=60"), ask("GET", "/calls?limit=60")]);
    drawJournal(events.events, calls.calls);
  }
}

async function act(method, path, body) {
  try {
    const done = await ask(method, path, body);
    await refresh();
    return done;
  } catch (problem) {
    alert(problem.message);
  }
}

function say(kind, text) {
  const chat = `/chats/${encodeURIComponent(state.chat)}`;
  if (kind === "call") return act("POST", `${chat}/call`);
  if (kind === "system") return act("POST", `${chat}/system`, text ? { text } : {});
  return act("POST", `${chat}/messages`, { type: kind, text });
}

function edit(message) {
  const text = prompt(word("change"), message.content.text);
  if (text && text !== message.content.text) act("PATCH", `/messages/${message.id}`, { text });
}

function chooseShop(userId) {
  Object.assign(state, { shop: userId, chat: null, messages: [] });
  document.body.dataset.view = "chats";
  refresh();
}

function chooseChat(id) {
  Object.assign(state, { chat: id, messages: [] });
  document.body.dataset.view = "thread";
  refresh();
}

$("language").addEventListener("click", () => {
  state.language = state.language === "ru" ? "en" : "ru";
  localStorage.setItem("language", state.language);
  drawWords();
  refresh();
});
$("lively").addEventListener("change", (event) => act("POST", "/lively", { pace: event.target.checked ? 5 : null }));
$("play").addEventListener("submit", (event) => {
  event.preventDefault();
  act("POST", "/scenario", { name: $("scenario").value });
});
$("back").addEventListener("click", () => { document.body.dataset.view = "chats"; });
$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  const notice = state.chats.find((c) => c.id === state.chat)?.chat_type === "a2u";
  if (text) say(notice ? "system" : "text", text);
  $("text").value = "";
});
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("write").requestSubmit();
});
$("new").addEventListener("click", async () => {
  const goods = (await ask("GET", `/accounts/${state.shop}/items`)).items;
  $("goods").replaceChildren(...goods.map((item) => make("option", { value: JSON.stringify(item) }, `${item.title} · ${item.price_string}`)), make("option", { value: "" }, word("profile")));
  $("name").value = $("name").value || word("guest");
  $("first").value = word("hello");
  $("opening").showModal();
});
$("cancel").addEventListener("click", () => $("opening").close());
$("open").addEventListener("submit", async () => {
  const item = $("goods").value ? JSON.parse($("goods").value) : null;
  if (item) delete item.price_string;
  const body = { buyer: $("name").value, text: $("first").value, chat_type: item ? "u2i" : "u2u", item };
  const chat = await act("POST", `/accounts/${state.shop}/chats`, body);
  if (chat) chooseChat(chat.id);
});

async function always() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The simulator is away: the next turn tries again.
  }
  setTimeout(always, 1000);
}

drawWords();
always();
