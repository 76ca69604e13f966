// Notes for the team: the switch beside the composer, the box's draft, and what happens once a note is kept. Forms are
// sent by htmx; without this file they are sent as pages.

import { inbox, openId, scroller } from "./page.js";

const draftOf = (chat) => `golub:note:${inbox.dataset.operator}:${chat}`;
const byTouch = matchMedia("(pointer: coarse)");

document.addEventListener("golub:opened", () => {
  const box = document.getElementById("note-text");
  if (box) box.value = localStorage.getItem(draftOf(openId())) ?? "";
});

// A click as well: its key leads into the box that is chosen already.
for (const chosen of ["change", "click"]) {
  inbox.addEventListener(chosen, (event) => {
    if (event.target.id === "write-note") document.getElementById("note-text").focus();
    else if (event.target.id === "write-reply") document.getElementById("reply-text")?.focus();
  });
}

inbox.addEventListener("input", (event) => {
  if (event.target.id !== "note-text") return;
  if (event.target.value) localStorage.setItem(draftOf(openId()), event.target.value);
  else localStorage.removeItem(draftOf(openId()));
});

inbox.addEventListener("keydown", (event) => {
  const box = event.target;
  if (!box.matches(".note-text") || event.isComposing) return;
  const editor = box.closest("details");
  const byCtrl = event.ctrlKey || event.metaKey;
  const sends = byCtrl || (!editor && !event.shiftKey && !event.altKey && !byTouch.matches);
  if (event.key === "Enter" && sends) {
    event.preventDefault();
    box.form.requestSubmit();
  } else if (event.key === "Escape" && editor) {
    event.preventDefault(); // and out of the chat it does not lead
    editor.open = false;
    editor.querySelector("summary").focus();
  }
});

// `toggle` does not bubble.
inbox.addEventListener("toggle", (event) => {
  if (event.target.open) event.target.querySelector?.("textarea")?.focus();
}, true);

document.body.addEventListener("htmx:afterRequest", (event) => {
  const form = event.target;
  if (!event.detail.successful || !form.matches("form[data-note]")) return;
  if (form.id === "note-form") {
    form.elements.client_key.value = crypto.getRandomValues(new Uint32Array(4)).join("-");
    form.elements.text.value = "";
    localStorage.removeItem(draftOf(form.dataset.chat));
    scroller().scrollTop = 0;
  }
  const editor = form.closest("details");
  if (editor) {
    editor.open = false;
    if (byTouch.matches || editor.closest(":popover-open")) document.activeElement.blur(); // what has it is not replaced
    else document.getElementById("reply-text")?.focus({ preventScroll: true });
  }
  // Its own ring comes too; whoever wrote it need not wait for that.
  document.dispatchEvent(new CustomEvent("golub:rings", { detail: [[Number(openId()), Infinity]] }));
});
