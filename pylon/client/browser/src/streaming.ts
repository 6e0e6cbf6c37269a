// Parts of an action that yields, by HTTP: read one by one, and only as fast as they are wanted.
// Each tab asks for itself, so that a slow page slows its own stream and nothing else.

import { errorOfBody, failure, PylonError, wireError } from "./errors.ts";
import { guarded } from "./observed.ts";
import type { JsonObject } from "./protocol.gen.ts";
import type { Requests } from "./requests.ts";

/** One server-sent event. */
interface Event {
  readonly name: string;
  readonly data: Record<string, unknown>;
}

/**
 * Calls an action and yields its parts; the return value is what it answered at its end.
 * Who stops listening, by `break` or by the signal, has it cancelled on the server.
 */
export async function* partsOf(
  requests: Requests, name: string, args: JsonObject, signal?: AbortSignal,
): AsyncGenerator<unknown, unknown, undefined> {
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  signal?.addEventListener("abort", leave);
  try {
    if (signal?.aborted === true) leave();
    const response = await requests.fetch(`/api/fn/${encodeURIComponent(name)}`, {
      method: "POST", body: JSON.stringify(args), signal: leaving.signal, headers: { Accept: "text/event-stream" },
    });
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      const body: unknown = await response.json();
      if (!response.ok) throw failure(errorOfBody(body, response.status), response.headers.get("Retry-After"));
      return (body as { value?: unknown }).value ?? null;
    }
    for await (const event of eventsOf(response.body)) {
      if (event.name === "error") throw failure(errorOfBody(event.data, response.status));
      if (event.name === "returned") return event.data["value"] ?? null;
      if (event.name === "part") yield event.data["value"];
    }
    throw new PylonError(wireError("UNAVAILABLE", "the stream broke off"));
  } catch (error) {
    if (error instanceof PylonError) throw error;
    if (signal?.aborted === true) throw new PylonError(wireError("CANCELLED", "the call was cancelled"));
    throw new PylonError(wireError("UNAVAILABLE", "the server cannot be reached"));
  } finally {
    signal?.removeEventListener("abort", leave);
    leave();
  }
}

/** Returns the list of all parts where the action `streams`, else what it returned; tells each part as it comes. */
export async function collected(
  parts: AsyncGenerator<unknown, unknown, undefined>, streams: boolean, onPart?: (part: unknown) => void,
): Promise<unknown> {
  const found: unknown[] = [];
  for (;;) {
    const { done, value } = await parts.next();
    if (done === true) return streams ? found : value;
    found.push(value);
    if (onPart !== undefined) guarded(() => onPart(value));
  }
}

/** Cuts a body into its events; comments, which keep the connection open, are none. */
async function* eventsOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Event, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const event = eventOf(text.slice(0, end));
      text = text.slice(end + 2);
      if (event !== null) yield event;
    }
  }
}

function eventOf(block: string): Event | null {
  let name = "", data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data = line.slice(6);
  }
  return data === "" ? null : { name, data: JSON.parse(data) as Record<string, unknown> };
}
