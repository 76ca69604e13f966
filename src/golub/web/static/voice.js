// Voice messages: as fast as the listener likes, and one at a time. The style sheet shows the speed that is chosen.

import { inbox } from "./page.js";

const SPEEDS = ["1", "1.5", "2"];
const KEPT = "golub:voice-speed";

const choose = (speed) => {
  inbox.dataset.speed = SPEEDS.includes(speed) ? speed : "1";
  for (const voice of inbox.querySelectorAll(".voice audio")) voice.playbackRate = Number(inbox.dataset.speed);
};

inbox.addEventListener("click", (event) => {
  if (!event.target.closest(".voice-speed")) return;
  choose(SPEEDS[(SPEEDS.indexOf(inbox.dataset.speed) + 1) % SPEEDS.length]);
  localStorage.setItem(KEPT, inbox.dataset.speed);
});

// `play` does not bubble.
inbox.addEventListener("play", (event) => {
  event.target.playbackRate = Number(inbox.dataset.speed);
  for (const other of inbox.querySelectorAll(".voice audio")) if (other !== event.target) other.pause();
}, true);

choose(localStorage.getItem(KEPT));
