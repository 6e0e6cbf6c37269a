// The one error class of the client: what the server answered, or what kept it from answering.

import type { ErrorCode, WireError } from "./protocol.gen.ts";

/** A failed call. `code` is stable: one of the runtime's, or the code of an app's refusal. */
export class PylonError extends Error {
  override readonly name = "PylonError";
  readonly code: ErrorCode | (string & {});
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  /** Seconds after which it may be asked again, where the server said. */
  readonly retryAfter: number | undefined;

  constructor(error: WireError, retryAfter?: string | null) {
    super(error.message);
    this.code = error.code;
    this.hint = error.hint;
    this.details = error.details ?? {};
    this.retryAfter = Number(retryAfter) || undefined;
  }
}

/** Returns the error of a failed call; under `pylon dev` the console says why a policy refused. */
export function failure(error: WireError, retryAfter?: string | null): PylonError {
  const why = error.details?.["explain"] as Record<string, unknown> | undefined;
  if (why) {
    const flip = why["flip"] ?? "no single change would make it pass";
    console.warn(`${error.message} (${why["id"] ?? "a call"})\n  decided: ${why["decided_by"]}\n  ${flip}\n`, why);
  }
  return new PylonError(error, retryAfter);
}

/** Returns the error object of a thing that failed without one. */
export function wireError(code: ErrorCode | (string & {}), message: string): WireError {
  return { code, message };
}

/** Reads an error object out of an answer's body; falls back to a description of the status. */
export function errorOfBody(body: unknown, status: number): WireError {
  const found = typeof body === "object" && body !== null && Object.hasOwn(body, "error")
    ? (body as { error: unknown }).error : undefined;
  if (typeof found === "object" && found !== null) {
    const { code, message } = found as { code?: unknown; message?: unknown };
    if (typeof code === "string" && typeof message === "string") return found as WireError;
  }
  return wireError(status >= 500 ? "UNAVAILABLE" : "INTERNAL", `the server answered ${status}`);
}

/** Codes after which the same operation id may be sent again and may then succeed. */
export function isTransient(code: string): boolean {
  return code === "UNAVAILABLE" || code === "RATE_LIMITED";
}
