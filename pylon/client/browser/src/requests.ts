// The shell around HTTP: JSON out, JSON in, and what goes wrong as a PylonError. Holds no rule.

import { errorOfBody, failure, PylonError, wireError } from "./errors.ts";

/** What the shells need of their surroundings; tests hand in their own. */
export interface Surroundings {
  readonly WebSocket: typeof WebSocket;
  readonly fetch: typeof fetch;
  /** How tabs of one browser talk; without it each is alone. */
  readonly BroadcastChannel?: typeof BroadcastChannel;
  readonly locks?: LockManager;
}

export class Requests {
  constructor(
    private readonly url: string,
    private readonly token: string | undefined,
    private readonly surroundings: Surroundings,
  ) {}

  /** Returns the body of an answer, or throws a PylonError with the server's error. */
  ask(method: string, path: string, body?: unknown): Promise<unknown> {
    // Of nothing it makes nothing, and fetch takes that as no body.
    return this.send(path, { method, body: JSON.stringify(body) });
  }

  /** Does the same with a body as it is. */
  async send(path: string, options: RequestInit): Promise<unknown> {
    let response: Response;
    let answer: unknown = null;
    try {
      response = await this.fetch(path, options);
      const text = await response.text();
      if (text !== "") answer = JSON.parse(text);
    } catch (error) {
      if (error instanceof SyntaxError) throw new PylonError(wireError("UNAVAILABLE", "the answer is not JSON"));
      throw new PylonError(wireError("UNAVAILABLE", "the server cannot be reached"));
    }
    if (!response.ok) throw failure(errorOfBody(answer, response.status), response.headers.get("Retry-After"));
    return answer;
  }

  fetch(path: string, options: RequestInit): Promise<Response> {
    const headers = new Headers({ Accept: "application/json", "Content-Type": "application/json", ...options.headers });
    if (this.token !== undefined) headers.set("Authorization", `Bearer ${this.token}`);
    return this.surroundings.fetch(new URL(path, this.url), {
      ...options, headers, credentials: this.token === undefined ? "same-origin" : "omit",
    });
  }
}
