// In the inbox: "/" or Ctrl+K leads into the search box, Escape out of it again. A message that search has found (?at=)
// is brought into sight, and later ones are put below without a jump.

const box = document.getElementById("search-box");
let before = null; // what had the focus

addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey || event.defaultPrevented) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
  const combined = event.ctrlKey || event.metaKey;
  if ((combined && event.code === "KeyK") || (event.key === "/" && !combined && !typing)) {
    event.preventDefault();
    if (!box.checkVisibility()) return location.assign("/inbox/search");
    before = document.activeElement;
    box.focus();
    box.select();
  } else if (event.key === "Escape" && event.target === box) {
    event.preventDefault();
    if (before && before !== document.body) before.focus();
    else box.blur();
  }
});

const asked = new URLSearchParams(location.search).get("at");
const hit = asked && document.getElementById(`message-${asked}`);
if (hit) {
  hit.classList.add("is-found");
  hit.scrollIntoView({ block: "center" });
}

let last = null;
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id === "newer") last = event.target.previousElementSibling;
});
document.body.addEventListener("htmx:afterSettle", () => {
  last?.scrollIntoView({ block: "center" });
  last = null;
});
