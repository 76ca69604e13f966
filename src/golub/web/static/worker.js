// Stands between the installed application and the network. It keeps our own static files and one page that says what
// to do without a connection; whatever belongs to somebody is never kept. `golub` stands before this text, by the
// server: the name of the store, which is another one with every change of a file, and what is in it.

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(golub.store)
      .then((store) => store.addAll([...golub.assets, golub.offline]))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((all) => Promise.all(all.filter((name) => name !== golub.store).map((name) => caches.delete(name))))
      .then(() => self.registration.navigationPreload?.enable())
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (golub.assets.includes(pathname + search)) event.respondWith(kept(request));
  else if (request.mode === "navigate") event.respondWith(page(event));
});

const kept = async (request) => (await caches.match(request)) ?? fetch(request);

async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await caches.match(golub.offline)) ?? Response.error();
  }
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data.path));
});

async function open(path) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find((one) => one.visibilityState === "visible") ?? pages[0];
  if (!page) return self.clients.openWindow(path);
  await page.focus();
  page.postMessage({ open: path });
}
