// The page without a connection comes back by itself.
const again = async () => {
  try {
    if ((await fetch("/healthz/live", { cache: "no-store" })).ok) location.reload();
  } catch {
    // still away
  }
};
addEventListener("online", again);
setInterval(again, 5000);
