// Photos of the reply that is being written: attached by hand, by drop or by paste, and taken away again. Each change is
// told as `golub:attached` on the document.

import { html, inbox, openId, pane, signedOut, texts, thread, toast } from "./page.js";

const told = () => document.dispatchEvent(new Event("golub:attached"));

// A photo goes to our server as soon as it is attached, and to Avito when the reply is sent.
export const trays = new Map(); // by chat: what is attached to the reply that is not sent yet
export const attached = () => [...document.querySelectorAll("#attached > .attached")];
export const names = (photos) => photos.map((one) => one.dataset.picture).filter(Boolean);

function attach(files) {
  const form = document.getElementById("reply");
  if (!form) return;
  for (const file of files) {
    if (attached().length >= Number(form.dataset.pictures)) return void toast(form.dataset.tooMany);
    upload(form, file);
  }
}

function upload(form, file) {
  const place = document.getElementById("attaching").content.cloneNode(true).firstElementChild;
  const chat = form.dataset.chat;
  document.getElementById("attached").append(place);
  trays.set(chat, attached());
  told();
  const refuse = (words) => {
    place.classList.replace("is-loading", "is-refused");
    place.querySelector("progress").remove();
    place.querySelector(".attached-why").textContent = words;
  };
  const request = new XMLHttpRequest(); // fetch tells no progress
  request.open("POST", `/inbox/${chat}/pictures`);
  request.setRequestHeader("HX-Request", "true");
  request.setRequestHeader("X-CSRF-Token", inbox.dataset.csrf);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const bar = place.querySelector("progress");
    if (loaded < total) bar.value = (loaded / total) * 100;
    else bar.removeAttribute("value"); // now it is being read
  });
  request.addEventListener("loadend", () => {
    if (request.status === 401) signedOut();
    else if (request.status === 200) {
      const done = html(request.responseText).querySelector(".attached");
      const tray = trays.get(chat) ?? [];
      trays.set(chat, tray.map((one) => (one === place ? done : one)));
      place.replaceWith(done);
    } else if (request.status === 0) refuse(texts.offline);
    else refuse(html(request.responseText).querySelector("p")?.textContent ?? texts.failed);
    told();
  });
  place.addEventListener("golub:detached", () => request.abort());
  request.send(file);
}

function detach(photo) {
  photo.dispatchEvent(new Event("golub:detached"));
  photo.remove();
  trays.set(openId(), attached());
  told();
  document.getElementById("reply-text").focus({ preventScroll: true });
}

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
pane.addEventListener("dragover", (event) => {
  if (!hasFiles(event) || !document.getElementById("reply")) return;
  event.preventDefault();
  thread().classList.add("is-target");
});
pane.addEventListener("dragleave", (event) => {
  if (!pane.contains(event.relatedTarget)) thread()?.classList.remove("is-target");
});
pane.addEventListener("drop", (event) => {
  if (!hasFiles(event) || !document.getElementById("reply")) return;
  event.preventDefault();
  thread().classList.remove("is-target");
  attach(event.dataTransfer.files);
});
pane.addEventListener("paste", (event) => {
  if (event.target.id !== "reply-text" || !event.clipboardData.files.length) return;
  event.preventDefault();
  attach(event.clipboardData.files);
});
pane.addEventListener("change", (event) => {
  if (event.target.id !== "reply-files") return;
  attach(event.target.files);
  event.target.value = "";
});
inbox.addEventListener("click", (event) => {
  if (event.target.closest("#reply-attach")) document.getElementById("reply-files").click();
  else if (event.target.closest("[data-detach]")) detach(event.target.closest(".attached"));
});
