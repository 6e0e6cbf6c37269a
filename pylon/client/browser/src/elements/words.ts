// What went wrong, said to a person: what, where, and what to do about it.

import { PylonError } from "../index.ts";

/** Why a sign-in by a provider did not come about: the runtime's `error` in the page's address. */
const PROVIDER: Readonly<Record<string, string>> = {
  cancelled: "You cancelled at the provider. Nothing was changed; sign in when you like.",
  expired: "The sign-in took too long, or was begun in another browser. Begin again.",
  provider: "The provider did not answer as it should. Try again in a minute, or sign in another way.",
  unverified: "The provider has not verified your e-mail address. Verify it there, or sign in another way.",
  refused: "This account is closed, or the provider refused. Ask whoever runs this app.",
  linked_elsewhere: "That identity signs in to another account here. Sign in to that one, or unlink it there first.",
};

/** Returns the words for `error` of the page's address. */
export function providerWords(reason: string): string {
  return Object.hasOwn(PROVIDER, reason) ? PROVIDER[reason] ?? "" : "The sign-in by the provider failed. Try again.";
}

/** Returns the words for whatever was thrown; `wrong` says what UNAUTHENTICATED means here. */
export function inWords(error: unknown, wrong?: string): string {
  if (!(error instanceof PylonError)) return `Something went wrong in this page: ${String(error)}. Load it again.`;
  switch (error.code) {
    case "UNAUTHENTICATED":
      return wrong ?? sentence(error);
    case "RATE_LIMITED":
      return error.retryAfter === undefined ? "Too many tries. Wait a little, then try again."
        : `Too many tries from your network. Try again in ${error.retryAfter} s.`;
    case "UNAVAILABLE":
      return "The server cannot be reached at the moment. Check your connection, then try again.";
    default:
      return sentence(error);
  }
}

function sentence({ message, hint }: PylonError): string {
  const text = hint === undefined ? message : `${message}: ${hint}`;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;
}
