// What is done with an open chat: its head comes back in the answer, the rest of the page hears the ring.

import { openId, scroller } from "./page.js";

let before = null; // what had the focus when it went into a head; nothing had it where one had left what he wrote
document.addEventListener("focusin", ({ target }) => {
  if (!target.closest(".thread-head")) before = target;
});
document.addEventListener("focusout", ({ target, relatedTarget }) => {
  if (!relatedTarget && document.hasFocus() && !target.closest(".thread-head")) before = null;
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
    if (!successful) form.closest("details")?.removeAttribute("open"); // the same key opens it once more
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
