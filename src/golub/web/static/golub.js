// Small things that every page has: time zone, appearance, menus, dialogs, toasts. No page needs them to be read.
"use strict";

(() => {
  const year = 365 * 24 * 3600;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const keep = (name, value) => {
    document.cookie = `${name}=${value}; Path=/; Max-Age=${year}; SameSite=Lax${secure}`;
  };

  keep("tz", Intl.DateTimeFormat().resolvedOptions().timeZone || "Europe/Moscow");

  const chooseTheme = (theme) => {
    keep("theme", theme);
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
    }
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1600);
  };

  const reveal = (button) => {
    const input = document.getElementById(button.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    input.focus();
  };

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    const open = document.querySelectorAll("details.menu[open]");
    for (const menu of open) if (!menu.contains(event.target)) menu.open = false;
    let found;
    if ((found = hit("[data-theme-choice]"))) chooseTheme(found.dataset.themeChoice);
    else if ((found = hit("[data-opens]"))) document.getElementById(found.dataset.opens).showModal();
    else if ((found = hit("[data-closes]"))) found.closest("dialog").close();
    else if ((found = hit("[data-dismiss]"))) found.closest("[data-toast]").remove();
    else if ((found = hit("[data-copy]"))) copy(found);
    else if ((found = hit("[data-reveal]"))) reveal(found);
    else if (event.target instanceof HTMLDialogElement) event.target.close(); // its backdrop
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
  });

  for (const dialog of document.querySelectorAll("dialog[data-open-now]")) dialog.showModal();

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      event.preventDefault(); // and does nothing else
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // A second click on a button that is already at work would send the form twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method === "dialog") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    }
  });

  // Toasts leave by themselves, unless they tell of trouble, or somebody is about to use them. What is told again takes
  // the place of what was told; and a heap of them would cover what they are about.
  const MOST = 4;
  const toasts = document.getElementById("toasts");
  const said = (toast) => (toast.querySelector("form") ? null : toast.textContent.trim());
  const replaces = (toast) => {
    for (const other of [...toasts.children]) {
      if (other !== toast && said(toast) && said(other) === said(toast)) other.remove();
    }
    while (toasts.children.length > MOST) {
      const told = [...toasts.children].find((one) => one !== toast && !one.querySelector("form"));
      (told ?? toasts.firstElementChild).remove(); // what can be undone waits
    }
  };
  const leaves = (toast) => {
    const after = toast.querySelector("form") ? 12_000 : 6000; // ms; one that can be undone waits for a second thought
    setTimeout(() => (toast.matches(":hover, :focus-within") ? leaves(toast) : toast.remove()), after);
  };
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (!(node instanceof HTMLElement)) continue;
        replaces(node);
        if (!node.matches(".toast-bad")) leaves(node);
      }
    }
  }).observe(toasts, { childList: true });
})();
