// Where a sign-in may lead afterwards: to a page of the app, and nowhere else (I70). The same rules
// as the runtime's `safe_next`; tests/vectors/next.json holds both to them.

const CHARACTERS_MAX = 2_000;
/** What has no page: a sign-in that ends there would call something instead of showing it. */
const NO_PAGES = ["/api", "/auth", "/_pylon", "/metrics"];
// Control characters, which browsers drop wherever they stand, and the backslash, which they take for a slash.
const EVIL = /[\u0000-\u001f\u007f\\]/;
const ESCAPES = /(?:%[0-9a-f]{2})+/gi;

/** Returns a path within the app, or `/` where the text is none. */
export function safeNext(text: unknown): string {
  if (typeof text !== "string" || !text.startsWith("/") || [...text].length > CHARACTERS_MAX) return "/";
  if (EVIL.test(text) || EVIL.test(unescaped(text))) return "/";
  const plain = unescaped(text.split(/[?#]/, 1)[0] ?? "");
  const parts = plain.split("/");
  if (plain.includes("//") || parts.some((part) => part === "." || part === "..")) return "/";
  if (NO_PAGES.includes(`/${parts[1] ?? ""}`.toLowerCase())) return "/";
  try {
    return text.replace(/[^A-Za-z0-9/?#[\]@!$&'()*+,;=:%\-._~]/gu, encodeURIComponent);
  } catch {
    return "/"; // half of a surrogate pair
  }
}

function unescaped(text: string): string {
  return text.replace(ESCAPES, (run) => {
    const bytes = run.split("%").slice(1).map((one) => parseInt(one, 16));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes));
  });
}
