// Photos of the open chat, large: one after the other, without leaving the page.

import { inbox } from "./page.js";

const photos = () => [...document.querySelectorAll("#messages a.shot, #messages a.tile-shot")];
const viewer = () => document.getElementById("viewer");
let at = 0;
let from = null; // where a finger came down

function show(place) {
  const all = photos();
  if (!all.length) return viewer().close();
  at = (place + all.length) % all.length;
  const link = all[at];
  // Each photo is an element of its own: one that cannot be had is replaced by words.
  const photo = new Image();
  photo.alt = link.querySelector("img")?.alt ?? "";
  photo.src = link.href;
  viewer().classList.remove("is-large");
  viewer().querySelector(".viewer-photo").replaceChildren(photo);
  viewer().querySelector(".viewer-words").textContent = photo.alt;
  viewer().querySelector(".viewer-place").textContent = all.length > 1 ? `${at + 1} / ${all.length}` : "";
  viewer().querySelector(".viewer-open").href = link.href;
  for (const button of viewer().querySelectorAll("[data-step]")) button.hidden = all.length < 2;
  for (const beside of [at + 1, at - 1]) new Image().src = all[(beside + all.length) % all.length].href;
}

inbox.addEventListener("click", (event) => {
  const link = event.target.closest("a.shot, a.tile-shot");
  const step = event.target.closest("[data-step]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (link && plain && photos().includes(link) && viewer()) {
    event.preventDefault();
    if (!viewer().open) viewer().showModal();
    show(photos().indexOf(link));
  } else if (step) show(at + Number(step.dataset.step));
  else if (event.target.matches(".viewer-photo img")) viewer().classList.toggle("is-large");
  else if (event.target.matches(".viewer-photo")) viewer().close();
});

inbox.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !viewer()?.open) return;
  event.preventDefault();
  show(at + step);
});

inbox.addEventListener("pointerdown", (event) => {
  from = event.pointerType === "touch" && event.target.closest(".viewer-photo") ? event.clientX : null;
});
inbox.addEventListener("pointerup", (event) => {
  if (from === null || viewer().matches(".is-large")) return;
  const way = event.clientX - from;
  from = null;
  if (Math.abs(way) > 60) show(at - Math.sign(way));
});
