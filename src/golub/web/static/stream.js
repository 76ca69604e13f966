// The doorbell, heard once for all tabs of a browser: one of them, chosen by a lock, holds the event stream and tells
// the others. Where a browser has no locks (plain HTTP in a local network) each tab holds its own.
//
// Tells the page by events on `document`:
//   golub:rings   detail: [[chat id, version, 1 for a buyer's new message, 2 for a nudge], …]; an empty list: anything
//                 may have changed
//   golub:fresh   detail: those of new messages and nudges, in the one tab that shall tell the person of them
//   golub:here    detail: {chat id: [[operator id, name, 1 if typing], …]}: all colleagues who are at some chat
//                 (who begins to listen asks for it by `golub:asked`)
//   golub:line    detail: "up" after every (re)connection, "down" when it is lost, "out" when the session has ended

const PATH = "/stream";
const AGAIN = [1000, 2000, 4000, 8000, 15000]; // ms to the next try, when the browser does not try by itself
const LOCK = "golub-stream";
const OPEN = 6; // connections that a browser keeps open to one address
const SHED = 2000; // ms

let silence = 7500; // ms without a word after which the line is taken for dead
let heard = Date.now();
let source = null;
let tries = 0;
let ended = false;
let line = "";
let here = {};

const channel = "BroadcastChannel" in self ? new BroadcastChannel(LOCK) : null;
const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

const take = ({ kind, detail }) => {
  if (kind === "asked") return void (source && pass("here", here));
  heard = Date.now();
  if (kind !== "line" && line !== "up") take({ kind: "line", detail: "up" }); // another tab's stream was up before us
  if (kind === "rings") tell("golub:rings", detail);
  else if (kind === "here") tell("golub:here", (here = detail));
  else if (kind === "line" && (detail !== line || detail === "up")) {
    line = detail;
    if (detail === "out") ended = true;
    tell("golub:line", detail);
  }
};

const pass = (kind, detail) => {
  channel?.postMessage({ kind, detail });
  take({ kind, detail });
};

const open = () => {
  if (ended) return;
  source?.close();
  heard = Date.now();
  const mine = (source = new EventSource(PATH));
  const on = (name, act) =>
    mine.addEventListener(name, (event) => {
      if (mine === source) act(event.data);
    });
  on("hello", (tick) => {
    tries = 0;
    silence = Math.max(Number(tick) * 1500, 2400);
    pass("line", "up");
    pass("here", {});
  });
  on("rings", (told) => {
    const rings = JSON.parse(told);
    pass("rings", rings);
    const fresh = rings.filter((ring) => ring[2]);
    if (fresh.length) tell("golub:fresh", fresh);
  });
  on("here", (told) => {
    const now = { ...here, ...Object.fromEntries(JSON.parse(told)) };
    pass("here", Object.fromEntries(Object.entries(now).filter(([, people]) => people.length)));
  });
  on("tick", () => pass("tick"));
  on("bye", () => {
    mine.close();
    pass("line", "out");
  });
  mine.onerror = () => {
    if (mine !== source || ended) return;
    pass("line", "down");
    if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(() => mine === source && open(), AGAIN[Math.min(tries++, AGAIN.length - 1)]);
  };
};

const close = () => {
  source?.close();
  source = null;
};

// Holds the stream until the page is left, or another tab takes the lock because this one sleeps.
const lead = (options) =>
  navigator.locks
    .request(LOCK, options, () => {
      open();
      return new Promise((leave) => addEventListener("pagehide", () => (close(), leave()), { once: true }));
    })
    .catch(() => (close(), lead({})));

// What else was open to us died with the line, and the browser would ask over it again: these find it out, and close it.
const shed = () => {
  for (let one = 0; one < OPEN; one++) {
    fetch("/healthz/live", { cache: "no-store", signal: AbortSignal.timeout(SHED) }).catch(() => {});
  }
};

const watch = () => {
  if (ended || document.hidden || Date.now() - heard < silence) return;
  heard = Date.now();
  shed();
  take({ kind: "line", detail: "down" });
  if (source || !navigator.locks) open();
  else lead({ steal: true });
};

channel?.addEventListener("message", ({ data }) => take(data));
document.addEventListener("golub:asked", () => {
  tell("golub:here", here);
  if (!source) channel?.postMessage({ kind: "asked" }); // the tab that has been told
});
setInterval(watch, 2000);
addEventListener("offline", () => take({ kind: "line", detail: "down" }));
addEventListener("online", () => source && open());
document.addEventListener("visibilitychange", watch);
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    tell("golub:line", "up"); // back from the browser's memory: whatever is shown is old
    if (navigator.locks) lead({});
    else open();
  }
});

if (navigator.locks) lead({});
else open();
