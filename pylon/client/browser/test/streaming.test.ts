// Parts of an action: in order, however they are cut; what fails; and leaving.

import { describe, expect, it } from "vitest";
import { PylonError } from "../src/errors.ts";
import { Requests } from "../src/requests.ts";
import { partsOf } from "../src/streaming.ts";

const HEAD = { "Content-Type": "text/event-stream" };

/** A server that answers with these pieces, and notes whether its caller left. */
function server(pieces: readonly (string | Uint8Array)[], isOpen = false): { requests: Requests; left: () => boolean; sent: () => number } {
  let left = false, sent = 0;
  const fetch = (_: unknown, options: RequestInit): Promise<Response> => {
    options.signal?.addEventListener("abort", () => { left = true; });
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = pieces[sent++];
        if (piece !== undefined) controller.enqueue(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
        else if (!isOpen) controller.close();
        else return new Promise((_, reject) => { options.signal?.addEventListener("abort", () => { reject(new DOMException("", "AbortError")); }); });
      },
    }, { highWaterMark: 0 });
    return Promise.resolve(new Response(body, { headers: HEAD }));
  };
  const surroundings = { fetch: fetch as typeof globalThis.fetch, WebSocket: undefined as unknown as typeof WebSocket };
  return { requests: new Requests("http://x", undefined, surroundings), left: () => left, sent: () => sent };
}

async function all(parts: AsyncGenerator<unknown, unknown, undefined>): Promise<[unknown[], unknown]> {
  const found: unknown[] = [];
  for (;;) {
    const next = await parts.next();
    if (next.done === true) return [found, next.value];
    found.push(next.value);
  }
}

const part = (value: unknown): string => `event: part\ndata: ${JSON.stringify({ value })}\n\n`;

describe("parts", () => {
  it("come in order, however the bytes are cut", async () => {
    const bytes = new TextEncoder().encode(`${part("é✓")}:\n\n${part({ a: "\n\n" })}event: returned\ndata: {"value":null}\n\n`);
    for (const size of [1, 2, 3, 7, 1_000]) {
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      expect(await all(partsOf(server(pieces).requests, "f", {}))).toEqual([["é✓", { a: "\n\n" }], null]);
    }
  });

  it("end with the server's error, or with one that says that they broke off", async () => {
    const refused = partsOf(server([part(1), 'event: error\ndata: {"error":{"code":"NO_MORE","message":"x"}}\n\n']).requests, "f", {});
    expect((await refused.next()).value).toBe(1);
    await expect(refused.next()).rejects.toMatchObject({ code: "NO_MORE" });
    const broken = partsOf(server([part(1)]).requests, "f", {});
    await broken.next();
    await expect(broken.next()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("are not read before they are wanted, and who breaks off has left", async () => {
    const { requests, left, sent } = server(Array.from({ length: 50 }, (_, n) => part(n)), true);
    for await (const value of partsOf(requests, "f", {})) {
      if (value === 2) break;
      expect(sent()).toBeLessThan(5);
    }
    expect(left()).toBe(true);
  });

  it("end by the caller's signal, also while nothing comes", async () => {
    const { requests, left } = server([part(1)], true);
    const stop = new AbortController();
    const parts = partsOf(requests, "f", {}, stop.signal);
    await parts.next();
    const waiting = parts.next();
    stop.abort();
    await expect(waiting).rejects.toBeInstanceOf(PylonError);
    await expect(waiting).rejects.toMatchObject({ code: "CANCELLED" });
    expect(left()).toBe(true);
  });
});
