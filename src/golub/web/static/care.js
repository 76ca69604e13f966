// What is done with an open chat: its head comes back in the answer, the rest of the page hears the ring.

import { openId, scroller } from "./page.js";

let before = null; // what last had the focus outside a head
document.addEventListener("focusin", ({ target }) => {
  if (!target.closest(".thread-head")) before = target;
});

document.body.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.requestConfig.elt; // also where the answer has taken it off the page
  const { successful } = event.detail;
  if (successful && form.matches("[data-undo]")) {
    const chat = form.getAttribute("action").split("/")[2];
    form.closest("[data-toast]").remove();
    look(chat);
  } else if (form.closest(".thread-head")) {
    // What is told now takes the place of what was told before.
    for (const told of [...document.querySelectorAll("#toasts [data-toast]:has([data-undo])")].slice(0, -1)) told.remove();
    look(openId());
    if (successful && document.activeElement !== document.body) return;
    (before?.isConnected ? before : scroller())?.focus({ preventScroll: true }); // its button is gone with the old head
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
