// Questions that the server answers once, in a file of their own that a page loads with its first one.

import type { JsonObject } from "./protocol.gen.ts";
import type { Requests } from "./requests.ts";
import type { AggregateQuestion, SearchOptions } from "./types.ts";

/** Returns the rows with all these words, best first. */
export function search<T>(requests: Requests, entity: string, text: string, options: SearchOptions): Promise<readonly T[]> {
  const { where, limit, include } = options;
  const query = new URLSearchParams({ q: text });
  if (where !== undefined) query.set("where", JSON.stringify(where));
  if (limit !== undefined) query.set("limit", String(limit));
  if (include !== undefined) query.set("include", include.join());
  return rowsOf(requests, "GET", `/api/search/${entity}?${query}`);
}

/** Returns one object per group. */
export function aggregate(requests: Requests, entity: string, question: AggregateQuestion): Promise<readonly JsonObject[]> {
  return rowsOf(requests, "POST", `/api/aggregate/${entity}`, question);
}

async function rowsOf<T>(requests: Requests, method: string, path: string, body?: unknown): Promise<readonly T[]> {
  return ((await requests.ask(method, path, body)) as { rows: readonly T[] }).rows;
}
