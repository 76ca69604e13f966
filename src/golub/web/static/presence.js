// Says which chat is before the operator's eyes and whether he types in it, and shows which colleagues are there too.
// Each tab speaks for itself: only one that is seen has something to say, and its timers alone never sleep.

const BEAT = 4000; // ms; the server forgets who is silent for 10 s
const TYPING = 8000; // ms that a key stroke holds
const PATIENCE = 5000; // ms for an answer; the next beat says more than one that is late
const FACES = 3;

const inbox = document.getElementById("inbox");
const pane = document.getElementById("chat");
const list = document.getElementById("chats");
const texts = document.getElementById("presence-texts").dataset;
const names = new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" });
const tab = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// ---- saying ----

let typed = { chat: "", at: -TYPING };
let said = "0 false";
let saying = false;

const chat = () => (document.hidden ? "0" : (document.getElementById("thread")?.dataset.chat ?? "0"));
const typing = () =>
  typed.chat === chat() && performance.now() - typed.at < TYPING && Boolean(document.getElementById("reply-text")?.value);
const now = () => `${chat()} ${typing()}`;

let seen = "0";
const look = () => {
  if (now() !== said) say();
  if (chat() === seen) return;
  seen = chat();
  if (seen !== "0") document.dispatchEvent(new CustomEvent("golub:seeing", { detail: seen }));
};

async function say(leaving = false) {
  if (saying && !leaving) return; // whoever is under way looks again
  saying = true;
  const [at, types] = (said = leaving ? "0 false" : now()).split(" ");
  try {
    await fetch("/presence", {
      method: "POST",
      headers: { "HX-Request": "true", "X-CSRF-Token": inbox.dataset.csrf },
      body: new URLSearchParams({ tab, chat: at, typing: types }),
      keepalive: leaving,
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    // the next beat says it again
  } finally {
    saying = false;
  }
  if (!leaving) look();
}

setInterval(() => (chat() === "0" ? look() : say()), BEAT);
setInterval(look, 1000); // who has ceased to type
document.addEventListener("visibilitychange", look);
addEventListener("pagehide", () => said !== "0 false" && say(true));
addEventListener("pageshow", look);

pane.addEventListener("input", (event) => {
  if (event.target.id !== "reply-text") return;
  typed = { chat: chat(), at: performance.now() };
  look();
});

// ---- showing ----

let here = {};

const filled = (text, people) => text.replace("{names}", () => names.format(people.map((one) => one[1] || texts.colleague)));
const inWords = (people) => {
  const writers = people.filter((one) => one[2]);
  const readers = people.filter((one) => !one[2]);
  const words = [];
  if (writers.length) words.push(filled(writers.length > 1 ? texts.type : texts.types, writers));
  if (readers.length) words.push(filled(texts.look, readers));
  return words.join(" · ");
};

function face([id, name, types]) {
  const shown = document.createElement("span");
  shown.className = `avatar here-face tint-${id % 6}${types ? " is-typing" : ""}`;
  shown.setAttribute("aria-hidden", "true");
  const words = name.split(" ").filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  shown.textContent = letters.join("").toUpperCase() || "?";
  return shown;
}

function paint(place, people) {
  const state = JSON.stringify(people);
  if ((place.dataset.shown ?? "[]") === state) return;
  place.dataset.shown = state;
  const more = people.length - FACES;
  const spoken = document.createElement("span");
  spoken.className = "visually-hidden";
  spoken.textContent = inWords(people);
  place.replaceChildren(...people.slice(0, FACES).map(face), ...(more > 0 ? [`+${more}`] : []), spoken);
  place.title = spoken.textContent;
  place.hidden = !people.length;
}

function show() {
  for (const row of list.querySelectorAll(".chat-row")) {
    const place = row.querySelector("[data-here]");
    if (place) paint(place, here[row.dataset.chat] ?? []);
  }
  const people = here[document.getElementById("thread")?.dataset.chat] ?? [];
  const head = pane.querySelector("[data-here]");
  if (head) paint(head, people);
  const notice = document.getElementById("also-types");
  if (!notice) return;
  const writers = people.filter((one) => one[2]);
  const words = writers.length ? filled(writers.length > 1 ? texts.alsoMany : texts.also, writers) : "";
  if (notice.lastElementChild.textContent === words) return;
  notice.lastElementChild.textContent = words;
  notice.hidden = !words;
}

// Whatever is put into the page anew is painted before it is seen.
const watching = new MutationObserver(() => {
  look();
  show();
});
watching.observe(pane, { childList: true, subtree: true });
watching.observe(list, { childList: true });

document.addEventListener("golub:here", ({ detail }) => {
  here = detail;
  show();
});
document.addEventListener("golub:line", ({ detail }) => {
  if (detail === "up") return;
  here = {}; // nobody tells us that they go
  show();
});

look();
document.dispatchEvent(new Event("golub:asked"));
