// Tells the person of a buyer's new message: by a notification of the browser and by a sound, each only where it was
// asked for, in this browser; and by the number on the icon of the installed application.
//
// A ring carries ids. What is told is fetched, and authorised, like any row of the list; it is shown as plain text.
// One tab tells for all, and of a chat that somebody has before his eyes nothing is told.

const GATHER = 400; // ms in which several messages become one request, and in which other tabs may answer
const NAMED = 2500; // ms in which a new buyer's name is asked of Avito
const AT_ONCE = 4; // notifications; more chats become one
const REMEMBERED = 60; // chats in `golub:told`

const texts = document.getElementById("tell-texts").dataset;
const names = new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" });
const channel = "BroadcastChannel" in self ? new BroadcastChannel("golub-tell") : null;
const buttons = [...document.querySelectorAll("[data-tell]")];

const isChosen = (what) => localStorage.getItem(`golub:${what}`) === "yes";
const mayNotify = () => "Notification" in self && Notification.permission === "granted";
const seen = () => (document.hidden ? null : (document.getElementById("thread")?.dataset.chat ?? null));
const worker = async () => (await navigator.serviceWorker?.getRegistration()) ?? null;

// ---- choosing ----

function paint() {
  for (const button of buttons) {
    const what = button.dataset.tell;
    button.hidden = false;
    button.setAttribute("aria-pressed", String(isChosen(what) && (what !== "notify" || mayNotify())));
  }
  const blocked = "Notification" in self ? Notification.permission === "denied" && texts.blocked : texts.never;
  const note = document.getElementById("tell-note");
  note.textContent = blocked || "";
  note.hidden = !blocked;
}

async function choose(what) {
  let wanted = !isChosen(what) || (what === "notify" && !mayNotify());
  if (wanted && what === "notify") wanted = "Notification" in self && (await Notification.requestPermission()) === "granted";
  if (wanted) localStorage.setItem(`golub:${what}`, "yes");
  else localStorage.removeItem(`golub:${what}`);
  if (wanted && what === "sound") await chime();
  paint();
}

for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.tell));
addEventListener("storage", paint); // chosen in another tab
addEventListener("focus", paint);

// ---- the sound: two tones, no file ----

let audio = null;

const wake = () => {
  if (!isChosen("sound")) return;
  audio ??= new AudioContext();
  audio.resume();
};
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, wake, { once: true, passive: true });

async function chime() {
  audio ??= new AudioContext();
  await Promise.race([audio.resume(), new Promise((late) => setTimeout(late, 200))]);
  if (audio.state !== "running") return false;
  for (const [after, pitch] of [[0, 660], [0.13, 880]]) {
    const start = audio.currentTime + after;
    const tone = new OscillatorNode(audio, { frequency: pitch });
    const loudness = new GainNode(audio, { gain: 0 });
    loudness.gain.linearRampToValueAtTime(0.14, start + 0.015);
    loudness.gain.exponentialRampToValueAtTime(0.0005, start + 0.32);
    tone.connect(loudness).connect(audio.destination);
    tone.start(start);
    tone.stop(start + 0.34);
  }
  document.dispatchEvent(new Event("golub:chimed"));
  return true;
}

// A tab that nobody has touched yet may not make a sound; another one of this browser may.
async function sound() {
  if (isChosen("sound") && !(await chime())) channel?.postMessage("chime");
}

// ---- telling ----

const due = new Set();
const nudged = new Set(); // those of them of which a rule reminds: whoever has the chat is told, else everybody
let watched = new Set();
let gathering = 0;

// Where each tab has a stream of its own, the first one that notes a message tells of it.
function isFirst(chat, version) {
  const told = JSON.parse(localStorage.getItem("golub:told") ?? "[]");
  if (told.some((one) => one[0] === chat && one[1] >= version)) return false;
  const others = told.filter((one) => one[0] !== chat).slice(1 - REMEMBERED);
  localStorage.setItem("golub:told", JSON.stringify([...others, [chat, version]]));
  return true;
}

document.addEventListener("golub:fresh", ({ detail }) => {
  for (const [chat, version, why] of detail) {
    if (!isFirst(chat, version)) continue;
    due.add(String(chat));
    if (why === 2) nudged.add(String(chat));
  }
  if (!due.size || gathering) return;
  watched = new Set([seen()]);
  channel?.postMessage("who sees");
  gathering = setTimeout(gathered, GATHER);
});

channel?.addEventListener("message", async ({ data }) => {
  if (data === "who sees") channel.postMessage({ seen: seen() });
  else if (data === "chime") {
    if (audio?.state === "running") navigator.locks?.request("golub-chime", { ifAvailable: true }, (lock) => lock && once());
  } else if (data.seen) watched.add(data.seen);
});

const once = async () => {
  await chime();
  await new Promise((done) => setTimeout(done, 500));
};

function gathered() {
  gathering = 0;
  const asked = [...due].slice(0, 80);
  due.clear();
  tell(asked, false);
}

async function tell(asked, again) {
  let told;
  try {
    const answer = await fetch(`/inbox/rows?ids=${asked.join(",")}`, { headers: { "HX-Request": "true" } });
    if (!answer.ok) return;
    told = document.createRange().createContextualFragment(await answer.text()).firstElementChild;
  } catch {
    return; // the list catches up by itself
  }
  badge(told.dataset.everywhere);
  const rows = [...told.children].filter((row) => isNews(row) && !watched.has(row.dataset.chat));
  const nameless = again ? [] : rows.filter((row) => row.querySelector(".chat-name[data-unknown]"));
  if (nameless.length) setTimeout(() => tell(nameless.map((row) => row.dataset.chat), true), NAMED);
  await say(rows.filter((row) => !nameless.includes(row)));
}

function isNews(row) {
  if (!nudged.delete(row.dataset.chat)) return row.dataset.unread !== "0";
  return row.querySelector(".waits") !== null && row.querySelector(".chat-whose:not(.is-mine)") === null;
}

async function say(rows) {
  if (!rows.length) return;
  if (isChosen("notify") && mayNotify()) await notify(rows);
  await sound();
}

const words = (row, selector) => row.querySelector(selector)?.textContent.replace(/\s+/g, " ").trim() ?? "";

async function notify(rows) {
  const who = rows.map((row) => words(row, ".chat-name"));
  if (rows.length > AT_ONCE) return show(texts.many, names.format(who.slice(0, 12)), "golub-many", "/inbox");
  for (const [number, row] of rows.entries()) {
    const item = words(row, ".chat-item bdi");
    const body = [item, words(row, ".chat-words .cut")].filter(Boolean).join("\n");
    await show(who[number], body, `golub-${row.dataset.chat}`, `/inbox/${row.dataset.chat}`);
  }
}

async function show(title, body, tag, path) {
  const options = { body, tag, icon: texts.icon, lang: document.documentElement.lang, renotify: true, silent: true, data: { path } };
  const registration = await worker();
  if (registration?.active) return registration.showNotification(title, options);
  const shown = new Notification(title, options);
  shown.onclick = () => {
    focus();
    go(path);
    shown.close();
  };
}

function go(path) {
  if (document.getElementById("inbox")) document.dispatchEvent(new CustomEvent("golub:open", { detail: path }));
  else location.assign(path);
}

// ---- what is seen is no news ----

document.addEventListener("golub:seeing", async ({ detail }) => {
  for (const shown of (await (await worker())?.getNotifications({ tag: `golub-${detail}` })) ?? []) shown.close();
});

function badge(count) {
  const number = Number.parseInt(count, 10);
  const done = number ? navigator.setAppBadge?.(number) : navigator.clearAppBadge?.();
  done?.catch(() => {}); // a browser that is not installed has no icon
}

document.addEventListener("golub:unread", ({ detail }) => badge(detail));

// ---- the worker: a page without a connection, and notifications on a phone ----

navigator.serviceWorker?.register(texts.worker).catch(() => {}); // private windows of some browsers allow none
navigator.serviceWorker?.addEventListener("message", ({ data }) => data.open && go(data.open));

paint();
