// What the inbox's modules share: the page's own elements, and asking the server.

export const inbox = document.getElementById("inbox");
export const pane = document.getElementById("chat");
export const texts = document.getElementById("texts").dataset;

export const html = (text) => document.createRange().createContextualFragment(text);
export const thread = () => document.getElementById("thread");
export const openId = () => thread()?.dataset.chat ?? null;
export const scroller = () => document.getElementById("thread-scroll");

class Failed extends Error {
  constructor(said, status = 0) {
    super(said);
    this.status = status; // of the answer; 0: there was none
  }
}

// A refusal comes as a toast in the reader's language; it is shown, unless the caller has a better place for it.
export async function ask(path, options = {}, quietly = false) {
  const { form, ...rest } = options;
  const request = { ...rest, headers: { "HX-Request": "true" } };
  if (form) {
    request.method = "POST";
    request.body = new URLSearchParams(form);
    request.headers["X-CSRF-Token"] = inbox.dataset.csrf;
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(texts.offline);
  }
  if (answer.status === 401) {
    signedOut();
    throw new Failed(texts.signedOut);
  }
  const text = await answer.text();
  if (!answer.ok) {
    const toast = html(text);
    const said = toast.querySelector("p")?.textContent ?? texts.failed;
    if (!quietly && toast.firstElementChild) document.getElementById("toasts").append(toast);
    throw new Failed(said, answer.status);
  }
  return { status: answer.status, text };
}

export function signedOut() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

export function toast(message) {
  const shown = document.getElementById("refusal").content.cloneNode(true);
  shown.querySelector("p").textContent = message;
  document.getElementById("toasts").append(shown);
}
