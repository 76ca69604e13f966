// What is done with an open chat: its head comes back in the answer, the rest of the page hears the ring.

import { openId } from "./page.js";

document.body.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt;
  if (!event.detail.successful) return;
  if (form.matches("[data-undo]")) {
    const chat = form.getAttribute("action").split("/")[2];
    form.closest("[data-toast]").remove();
    look(chat);
  } else if (form.closest(".thread-head")) {
    document.getElementById("reply-text")?.focus({ preventScroll: true }); // its button is gone with the old head
    look(openId());
  }
});

// At once: the line that rings may be down.
const look = (chat) => document.dispatchEvent(new CustomEvent("golub:rings", { detail: [[Number(chat), Infinity]] }));

// A menu in a head reaches no further than the screen.
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLDetailsElement) || !menu.open || !menu.matches(".menu")) return;
  menu.querySelector(".menu-panel [name=at]")?.setAttribute("min", new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16));
}, true);
