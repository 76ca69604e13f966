// In the inbox: Escape leads out of the search box, back to where the focus was. A message or note that search has found (?at=, ?note=) is
// brought into sight, and later ones are put below without a jump.

const box = document.getElementById("search-box");
let before = null; // what had the focus, last and outside a dialog
let beforeRow = ""; // the row of the list that it was in: the live list puts new rows in the place of old ones

box.addEventListener("focus", ({ relatedTarget }) => {
  if (!relatedTarget || relatedTarget.closest("dialog")) return;
  before = relatedTarget;
  beforeRow = relatedTarget.closest(".chat-row")?.id ?? "";
});
box.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  event.preventDefault();
  const back = before?.isConnected ? before : document.getElementById(beforeRow)?.querySelector(".chat-link");
  if (back) back.focus();
  else box.blur();
});

const asked = new URLSearchParams(location.search);
const place = asked.has("note") ? `note-${asked.get("note")}` : `message-${asked.get("at")}`;
const hit = document.getElementById(place);
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
