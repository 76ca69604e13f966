// What the inbox's modules share: the page's own elements, and asking the server.

export const inbox = document.getElementById("inbox");
export const pane = document.getElementById("chat");
export const texts = document.getElementById("texts").dataset;

export const html = (text) => document.createRange().createContextualFragment(text);
export const thread = () => document.getElementById("thread");
export const openId = () => thread()?.dataset.chat ?? null;
export const scroller = () => document.getElementById("thread-scroll");

const PATIENCE = 12_000; // ms for an answer; a line that died in silence would be waited for without end

class Failed extends Error {
  constructor(said, status = 0) {
    super(said);
    this.status = status; // of the answer; 0: there was none
  }
}

// A refusal comes as a toast in the reader's language; it is shown, unless the caller has a better place for it.
export async function ask(path, options = {}, quietly = false) {
  const { form, signal, ...rest } = options;
  const late = new AbortController();
  const bell = setTimeout(() => late.abort(), PATIENCE);
  const withdraw = () => late.abort();
  signal?.addEventListener("abort", withdraw);
  const request = { ...rest, signal: late.signal, headers: { "HX-Request": "true" } };
  if (form) {
    request.method = "POST";
    request.body = new URLSearchParams(form);
    request.headers["X-CSRF-Token"] = inbox.dataset.csrf;
  }
  let answer, text;
  try {
    answer = await fetch(path, request);
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failed(texts.offline);
  } finally {
    clearTimeout(bell);
    signal?.removeEventListener("abort", withdraw);
  }
  if (answer.status === 401) {
    signedOut();
    throw new Failed(texts.signedOut);
  }
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
