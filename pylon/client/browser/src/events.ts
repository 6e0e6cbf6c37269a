// What the machine is told and what it asks for: events and commands, as plain values.

import type { Save, StoredReplica } from "./replica.ts";
import type { Definition } from "./subscription.ts";
import type { PendingMutation, Settlement } from "./pending.ts";
import type { ChangeBatch, Downstream, JsonObject, Manifest, SubscriptionSpec, Upstream, WireError } from "./protocol.gen.ts";

export type MachineState = "connecting" | "hydrating" | "live" | "offline" | "resyncing" | "closed";

export type Timer = "welcome" | "reconnect" | "heartbeat" | "healthy" | "push" | "ack";

export type Event =
  /** What the stores held; `principal` is whose it is, absent where nothing was stored. */
  | { readonly type: "started"; readonly client_id: string; readonly stored?: StoredReplica | undefined;
      readonly principal?: string | null | undefined; readonly pending?: readonly PendingMutation[];
      readonly manifest?: Manifest | undefined }
  | { readonly type: "opened" }
  | { readonly type: "received"; readonly message: Downstream }
  | { readonly type: "lost"; readonly code?: number }
  /** The server refused the caller before there was a socket: the session is over. */
  | { readonly type: "refused"; readonly error: WireError }
  | { readonly type: "fired"; readonly timer: Timer }
  | { readonly type: "network"; readonly is_online: boolean }
  | { readonly type: "subscribed"; readonly id: string; readonly definition: Definition }
  | { readonly type: "followed"; readonly id: string; readonly fn: string; readonly args: JsonObject }
  | { readonly type: "unsubscribed"; readonly id: string }
  | { readonly type: "mutated"; readonly mutation: PendingMutation }
  /** The app gives a mutation up that is not decided yet. */
  | { readonly type: "discarded"; readonly op_id: string }
  | { readonly type: "pulled"; readonly id: number; readonly batch: ChangeBatch }
  | { readonly type: "pull_failed"; readonly id: number; readonly error: WireError }
  | { readonly type: "pending_loaded"; readonly principal: string | null; readonly pending: readonly PendingMutation[] }
  | { readonly type: "saved"; readonly cursor: string | null }
  | { readonly type: "manifest"; readonly manifest: Manifest }
  /** The caller signed in or out here: whoever he is now, the next welcome says. */
  | { readonly type: "identity" }
  | { readonly type: "closed" };

export interface Status {
  readonly state: MachineState;
  readonly pending: number;
  readonly error: WireError | null;
}

/** Who the server says the caller is. */
export interface Caller {
  readonly user_id: string | null;
  readonly roles: readonly string[];
}

export type Command =
  | { readonly type: "connect" }
  | { readonly type: "disconnect"; readonly code: number; readonly reason: string }
  | { readonly type: "send"; readonly message: Upstream }
  | { readonly type: "set_timer"; readonly timer: Timer; readonly ms: number }
  | { readonly type: "clear_timer"; readonly timer: Timer }
  | { readonly type: "pull"; readonly id: number; readonly cursor: string;
      readonly subscriptions: readonly SubscriptionSpec[] }
  | { readonly type: "save"; readonly save: Save }
  /** Everything of another principal goes, at once; what comes next is this one's. */
  | { readonly type: "wipe"; readonly principal: string | null }
  | { readonly type: "load_pending"; readonly principal: string | null }
  | { readonly type: "save_pending"; readonly mutation: PendingMutation }
  | { readonly type: "drop_pending"; readonly op_id: string }
  | { readonly type: "settle"; readonly settlement: Settlement }
  | { readonly type: "fetch_manifest" }
  | { readonly type: "forget_session" }
  | { readonly type: "caller"; readonly caller: Caller }
  /** What is shown may have changed: these ids by entity, and the states of subscriptions. */
  | { readonly type: "publish"; readonly changes: readonly (readonly [entity: string, ids: readonly string[]])[] }
  | { readonly type: "status"; readonly status: Status };
