// For pages in development: reloads the page when its files changed. Served as `/_pylon/dev.js`.
// EventSource reconnects by itself while the runtime restarts.

const source = new EventSource("/_pylon/dev/events");
source.addEventListener("reload", () => location.reload());
// A page that is kept for the back button must not hold a connection.
addEventListener("pagehide", () => source.close());

export {};
