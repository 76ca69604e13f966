// The journal's page while it stays open: what comes in goes on top, and nothing moves under a hand or an eye. Held, or
// scrolled away, or with too much coming in, the page only says how many there are.
//
// Rings (stream.js) say that something was applied; what rings nothing is noticed within five seconds.

const NEVER_CLOSER = 1000; // ms between two looks
const ANYWAY = 5000; // ms after which it looks without a ring
const ROWS = 200; // in the table; more of them are a new page

const live = document.getElementById("journal-live");
const pause = document.getElementById("journal-pause");
const news = document.getElementById("journal-new");
const count = document.getElementById("journal-count");
const line = document.getElementById("journal-line");
const table = document.getElementById("journal");
const body = table?.tBodies[0];

const query = live.dataset.query;
let newest = live.dataset.newest;
let held = false;
let looking = false;
let lookedAt = 0;
let due = 0;

const restful = () =>
  !held &&
  body.rows.length < ROWS &&
  table.getBoundingClientRect().top > 0 &&
  !table.matches(":hover") &&
  !table.contains(document.activeElement) &&
  document.getSelection().isCollapsed;

const tell = (number) => {
  news.hidden = number === 0;
  count.textContent = count.dataset.words.replace("#", number > 9999 ? "9999+" : String(number));
};

const put = (part) => {
  const rows = [...part.tBodies[0].rows].filter((row) => !document.getElementById(row.id));
  for (const row of rows) row.classList.add("journal-fresh");
  body.prepend(...rows.map((row) => document.importNode(row, true)));
  newest = part.dataset.newest;
  tell(0);
};

const look = async (wish = restful) => {
  clearTimeout(due);
  due = 0;
  if (looking || document.hidden) return;
  looking = true;
  lookedAt = Date.now();
  try {
    const answer = await fetch(`/admin/deliveries/newer${query ? `${query}&` : "?"}after=${newest}`);
    if (!answer.ok) return;
    const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("newer");
    const number = Number(part?.dataset.number ?? 0);
    if (!number) tell(0);
    else if (body && part.tBodies[0].rows.length && wish()) put(part);
    else tell(number);
  } catch {
    // offline: the line says so, and the next look is near
  } finally {
    looking = false;
  }
};

const soon = () => {
  due ||= setTimeout(look, Math.max(0, lookedAt + NEVER_CLOSER - Date.now()));
};

pause.addEventListener("click", () => {
  held = !held;
  pause.setAttribute("aria-pressed", String(held));
  if (!held) soon();
});

news.addEventListener("click", async () => {
  await look(() => body.rows.length < ROWS);
  if (!news.hidden) location.assign(`/admin/deliveries${query}`);
  else scrollTo({ top: 0 });
});

document.addEventListener("golub:rings", soon);
document.addEventListener("golub:line", ({ detail }) => {
  line.hidden = detail === "up";
  if (detail === "up") soon();
});
document.addEventListener("visibilitychange", soon);
addEventListener("scroll", () => news.hidden || soon(), { passive: true });
table?.addEventListener("pointerleave", () => news.hidden || soon());
setInterval(() => Date.now() - lookedAt >= ANYWAY && look(), NEVER_CLOSER);
pause.hidden = !table;
live.hidden = false;
