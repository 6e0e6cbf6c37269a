// What is asked for, and how far it is hydrated. Pure.

import { canonicalJson } from "./compare.ts";
import type { JsonObject, SubscriptionSpec, WireError } from "./protocol.gen.ts";

/** All rows of an entity that match, or with `limit` the first so many of an order (a window). */
export interface Definition {
  readonly entity: string;
  readonly where: JsonObject;
  readonly order?: readonly string[];
  readonly limit?: number;
}

/** A query function and its arguments, whose value is followed. */
export interface FunctionCall {
  readonly fn: string;
  readonly args: JsonObject;
}

/** What somebody on a page may ask for. */
export type Wanted = Definition | FunctionCall;

export function isCall(wanted: Wanted): wanted is FunctionCall {
  return "fn" in wanted;
}

/** A subscription with how far it is hydrated; stored with the rows and the cursor. */
export interface Subscription {
  readonly id: string;
  readonly definition: Definition;
  readonly phase: "hydrating" | "done" | "failed";
  /** Hydrated up to this row id. */
  readonly after: string | null;
  /** The largest `at` of its pages: exact once the cursor has passed it. */
  readonly at: string | null;
  /** The ids of a window in their order; null for a subscription without limit. */
  readonly ids: readonly string[] | null;
  readonly version: number;
  readonly error: WireError | null;
}

/** Returns a subscription of which nothing has arrived. */
export function newSubscription(id: string, definition: Definition): Subscription {
  return { id, definition, phase: "hydrating", after: null, at: null, ids: null, version: 0, error: null };
}

/** Returns the text that names a definition: equal definitions have equal keys (rule 11). */
export function keyOf(wanted: Wanted): string {
  if (isCall(wanted)) return canonicalJson({ fn: wanted.fn, args: wanted.args });
  const { entity, where, order, limit } = wanted;
  // Without a limit, order is the reader's own affair.
  return canonicalJson(limit === undefined ? [entity, where] : [entity, where, order ?? [], limit]);
}

/** Returns how a subscription is said to the server; `hasCursor`: what is held may be claimed. */
export function specOf(one: Subscription, hasCursor: boolean): SubscriptionSpec {
  const { entity, where, order, limit } = one.definition;
  // Windows are always sent anew (rule 17).
  const isHeld = hasCursor && limit === undefined;
  return {
    id: one.id,
    entity,
    ...(Object.keys(where).length === 0 ? {} : { where }),
    ...(limit === undefined ? {} : { limit, ...(order === undefined ? {} : { order }) }),
    ...(isHeld && one.phase === "done" ? { have: true } : {}),
    ...(isHeld && one.phase === "hydrating" && one.after !== null ? { have: { after: one.after } } : {}),
  };
}
