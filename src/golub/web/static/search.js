// The search page by keyboard: results follow what is typed, arrows go through them, Escape leads back.
// In the inbox "/" leads to its box (`search_box.js`). Without this file the form is sent by its button.

const WAIT = 250; // ms after the last letter

const form = document.getElementById("search-form");
const box = document.getElementById("search-text");
const hits = () => [...document.querySelectorAll("#search-results .search-hit")];
let soon = null;

function ask() {
  clearTimeout(soon);
  form.dispatchEvent(new Event("golub:ask"));
}

form.addEventListener("input", (event) => {
  clearTimeout(soon);
  if (event.target === box) soon = setTimeout(ask, WAIT);
  else ask();
});
form.addEventListener("submit", () => clearTimeout(soon));
// A field that asks nothing has no place in the address.
form.addEventListener("htmx:configRequest", ({ detail }) => {
  for (const [name, value] of [...detail.formData.entries()]) if (!value) detail.formData.delete(name);
});

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
  if (document.querySelector("dialog:modal")) return;
  if (event.key === "Escape") {
    event.preventDefault();
    if (document.referrer.startsWith(`${location.origin}/inbox`) && history.length > 1) history.back();
    else location.assign(document.getElementById("search-back").href);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (event.target.matches("select, [type=date]")) return;
    const all = hits();
    const at = all.indexOf(document.activeElement);
    const next = at + (event.key === "ArrowDown" ? 1 : -1);
    if (!all.length || (at < 0 && event.key === "ArrowUp")) return;
    event.preventDefault();
    (next < 0 ? box : all[Math.min(next, all.length - 1)]).focus();
  } else if (event.key === "Enter" && event.target === box && hits().length && !soonAsked()) {
    event.preventDefault();
    hits()[0].focus();
  }
});

// Enter in the box looks at once while the letters are newer than the results; then it goes on to the first hit.
function soonAsked() {
  return new URLSearchParams(location.search).get("q")?.trim() !== box.value.trim().replace(/\s+/g, " ");
}

box.setSelectionRange(box.value.length, box.value.length);
