// The form of a quick reply: further messages, variables at the caret, photos.

const form = document.getElementById("quick-form");
const messages = document.getElementById("quick-messages");
const more = document.getElementById("quick-more");
const files = document.getElementById("quick-files");
const attach = document.getElementById("quick-attach");
const told = document.getElementById("quick-told");
let last = messages.querySelector("textarea"); // where a variable goes

const room = () => (more.hidden = messages.children.length >= Number(form.dataset.most));
room();
attach.hidden = false;

more.addEventListener("click", () => {
  messages.append(document.getElementById("quick-message").content.cloneNode(true));
  room();
  messages.lastElementChild.querySelector("textarea").focus();
});

form.addEventListener("focusin", (event) => {
  if (event.target.name === "text") last = event.target;
});

form.addEventListener("click", (event) => {
  const variable = event.target.closest("[data-variable]");
  if (variable) {
    last.setRangeText(variable.dataset.variable, last.selectionStart, last.selectionEnd, "end");
    last.focus();
  }
  event.target.closest("[data-photo-drop]")?.closest("li").remove();
});

attach.addEventListener("click", () => files.click());
files.addEventListener("change", async () => {
  const given = [...files.files];
  files.value = "";
  told.textContent = "";
  attach.setAttribute("aria-busy", "true");
  for (const file of given) await add(file);
  attach.removeAttribute("aria-busy");
});

async function add(file) {
  const headers = {
    "HX-Request": "true",
    "X-CSRF-Token": form.dataset.csrf,
    "Content-Type": "application/octet-stream",
  };
  const answer = await fetch("/quick-replies/pictures", { method: "POST", headers, body: file }).catch(() => null);
  const made = document.createRange().createContextualFragment(answer ? await answer.text() : "");
  if (answer?.ok) document.getElementById("quick-photos").append(made);
  else told.textContent = made.querySelector("p")?.textContent ?? form.dataset.failed;
}
