// What tabs of one browser say to each other over a BroadcastChannel. Not part of the wire protocol:
// all of them run a build of this client, and builds that differ in `TABS_VERSION` keep apart.

import type { Caller } from "./events.ts";
import type { QueryProgress } from "./live.ts";
import type { PendingMutation, Settlement } from "./pending.ts";
import type { Manifest, WireError, WireRow } from "./protocol.gen.ts";
import type { StoredMutation } from "./store.ts";
import type { Wanted } from "./subscription.ts";

export const TABS_VERSION = 2;

/** The state of the connection, the same in all tabs. */
export interface TabStatus {
  readonly state: "connecting" | "hydrating" | "live" | "offline" | "resyncing" | "closed";
  readonly pending: number;
  readonly error: WireError | null;
  readonly persistent: boolean;
}

/** What a follower asks of the leader. */
export type TabRequest =
  | { readonly type: "follow"; readonly wanted: readonly Wanted[]; readonly mutations: readonly PendingMutation[] }
  | { readonly type: "want"; readonly wanted: Wanted }
  | { readonly type: "unwant"; readonly key: string }
  | { readonly type: "mutate"; readonly mutation: PendingMutation }
  | { readonly type: "retry"; readonly op_id: string; readonly new_id: string }
  | { readonly type: "discard"; readonly op_id: string }
  | { readonly type: "wake" }
  | { readonly type: "ask"; readonly number: number; readonly what: TabQuestion };

/** Things that are done when the answer comes: wipe the caller's rows, doubt them, believe them again. */
export type TabQuestion = "forget" | "doubt" | "believe";

/** What the leader tells its followers. Rows are those below the pending mutations, as shown. */
export type TabNews =
  /** A part of the copy that a new follower gets; what changes meanwhile comes as changes. */
  | { readonly type: "copy"; readonly generation: number; readonly rows: readonly (readonly [entity: string, row: WireRow])[] }
  | { readonly type: "copied"; readonly state: TabState }
  | { readonly type: "changed"; readonly change: TabChange }
  | { readonly type: "answer"; readonly number: number };

/** All that is shown beside the rows. */
export interface TabState {
  readonly cursor: string | null;
  /** Rises whenever the rows of one caller went; what is of an older one is not shown. */
  readonly generation: number;
  readonly queries: readonly (readonly [key: string, state: QueryProgress])[];
  readonly pending: readonly PendingMutation[];
  readonly stored: readonly string[];
  readonly rejected: readonly StoredMutation[];
  readonly status: TabStatus;
  readonly caller: Caller | null;
  readonly manifest: Manifest | null;
}

/** What one step changed; members that did not change are absent. */
export interface TabChange {
  readonly cursor: string | null;
  readonly generation: number;
  readonly rows: readonly (readonly [entity: string, id: string, row: WireRow | null])[];
  readonly queries: readonly (readonly [key: string, state: QueryProgress | null])[];
  readonly added: readonly PendingMutation[];
  readonly gone: readonly string[];
  readonly stored: readonly string[];
  readonly rejected?: readonly StoredMutation[];
  readonly settled: readonly Settlement[];
  readonly status?: TabStatus;
  readonly caller?: Caller;
  readonly manifest?: Manifest;
}

/** What decides who leads. */
export type TabTalk =
  | { readonly type: "who"; readonly key: string }
  /** `knows`: the one it answers is among its followers. */
  | { readonly type: "lead"; readonly key: string; readonly term: number; readonly knows: boolean }
  | { readonly type: "claim"; readonly term: number }
  | { readonly type: "bye" };

export type TabSaying = TabTalk | TabRequest | TabNews;

/** A message as it travels; without `to` it is for all. */
export type TabMessage = TabSaying & { readonly version: number; readonly from: string; readonly to?: string };
