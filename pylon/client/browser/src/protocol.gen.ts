// Written by `make generate` (pylon.devtools.codegen.wire) from pylon/protocol. Do not edit.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject { readonly [key: string]: Json }

/** A row as the wire carries it. */
export interface WireRow {
  readonly id: string;
  readonly _seq: number;
  readonly [field: string]: Json;
}

/** The documented error object. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: JsonObject;
}

/** One entry of a batch, in order. */
export type Entry = Change | Refresh;

export const PROTOCOL_VERSION = 1;
export const MIN_PROTOCOL_VERSION = 1;
export const SUBPROTOCOL = "pylon.v1";
export const PUSH_OPERATIONS_MAX = 1000;
export const WS_MESSAGE_BYTES_MAX = 1048576;
export const PULL_LIMIT_MAX = 1000;
export const SUBSCRIPTIONS_MAX = 100;

export type ChangeKind = "insert" | "update" | "delete";

export type HiddenCause = "hidden" | "filtered";

export type ResyncReason = "cursor_too_old" | "cursor_ahead" | "epoch_changed" | "schema_changed" | "slice_too_large" | "identity_changed" | "gap";

/** One committed effect on one row. `row` is the whole row as it is now; never for a delete. */
export interface Change {
  readonly seq: number;
  readonly entity: string;
  readonly row_id: string;
  readonly kind: ChangeKind;
  readonly tx: number;
  readonly at: string;
  readonly row?: WireRow;
  readonly cause?: HiddenCause;
}

/** All current rows of one slice; at `done`, rows that match `where` and were not sent go. */
export interface Refresh {
  readonly kind: "refresh";
  readonly seq: number;
  readonly entity: string;
  readonly where: JsonObject;
  readonly rows: readonly WireRow[];
  readonly done: boolean;
}

/** All that the caller may see in (after, through], whole transactions, in order. */
export interface ChangeBatch {
  readonly after: string;
  readonly through: string;
  readonly changes: readonly Entry[];
  readonly more: boolean;
}

/** Hydrated up to this row id; the pages behind it are still missing. */
export interface HaveAfter {
  readonly after: string;
}

/** What a client wants kept current: rows of an entity, or the value of a query function. */
export interface SubscriptionSpec {
  readonly id: string;
  readonly entity?: string;
  readonly where?: JsonObject;
  readonly order?: readonly string[];
  readonly limit?: number;
  readonly include?: readonly string[];
  readonly have?: boolean | HaveAfter;
  readonly version?: number;
  readonly fn?: string;
  readonly args?: JsonObject;
}

/** One call of a mutation under its operation id. */
export interface Operation {
  readonly op_id: string;
  readonly fn: string;
  readonly args?: JsonObject;
}

/** What became of one operation: applied, rejected, duplicate or retry. */
export interface OperationResult {
  readonly op_id: string;
  readonly status: string;
  readonly seq: number | null;
  readonly value?: Json;
  readonly error?: WireError;
}

/** The first frame: who this replica is and how far it has stored. */
export interface Hello {
  readonly type: "hello";
  readonly protocol: number;
  readonly client_id: string;
  readonly cursor?: string;
  readonly schema?: string;
  readonly subscriptions?: readonly SubscriptionSpec[];
}

/** One more subscription; members as in SubscriptionSpec. */
export interface Subscribe {
  readonly type: "subscribe";
  readonly id: string;
  readonly entity?: string;
  readonly where?: JsonObject;
  readonly order?: readonly string[];
  readonly limit?: number;
  readonly include?: readonly string[];
  readonly have?: boolean | HaveAfter;
  readonly version?: number;
  readonly fn?: string;
  readonly args?: JsonObject;
}

/** One subscription less; answered by `unsubscribed`. */
export interface Unsubscribe {
  readonly type: "unsubscribe";
  readonly id: string;
}

/** Operations, in order; answered by `results`. */
export interface Push {
  readonly type: "push";
  readonly request_id: string;
  readonly operations: readonly Operation[];
  readonly client_id?: string;
  readonly atomic?: boolean;
}

/** A query or an action; answered by `returned`. */
export interface Call {
  readonly type: "call";
  readonly request_id: string;
  readonly fn: string;
  readonly args?: JsonObject;
}

/** The caller no longer wants the answer of a call. */
export interface Cancel {
  readonly type: "cancel";
  readonly request_id: string;
}

/** The replica is durably stored up to here; `pending` operations wait in it. */
export interface Stored {
  readonly type: "stored";
  readonly cursor: string;
  readonly pending?: number;
}

/** Answered by `pong`. */
export interface Ping {
  readonly type: "ping";
}

/** The answer to `hello`; `head` is the starting cursor where `hello` had none. */
export interface Welcome {
  readonly type: "welcome";
  readonly connection_id: string;
  readonly head: string;
  readonly user_id: string | null;
  readonly roles: readonly string[];
  readonly schema: string;
  readonly heartbeat_s: number;
  readonly limits: { readonly [key: string]: number };
}

/** A page of current rows, each true at `at`; the last page of a subscription has `done`. */
export interface Snapshot {
  readonly type: "snapshot";
  readonly subscription: string;
  readonly entity: string;
  readonly rows: readonly WireRow[];
  readonly at: string;
  readonly done: boolean;
  readonly total?: number;
}

/** A batch (see `protocol.change.ChangeBatch`). */
export interface Changes {
  readonly type: "changes";
  readonly after: string;
  readonly through: string;
  readonly changes: readonly Entry[];
  readonly more: boolean;
}

/** The whole ordered list of ids of a subscription with `limit`, and its new or changed rows. */
export interface Window {
  readonly type: "window";
  readonly subscription: string;
  readonly ids: readonly string[];
  readonly rows: readonly WireRow[];
  readonly at: string;
  readonly version: number;
}

/** The result of a live query function, sent only when it changed. */
export interface LiveValue {
  readonly type: "value";
  readonly subscription: string;
  readonly value: Json;
  readonly at: string;
}

/** One result per operation of a push, in order. */
export interface Results {
  readonly type: "results";
  readonly request_id: string;
  readonly results: readonly OperationResult[];
  readonly head: string;
}

/** One value of a streaming action. */
export interface Part {
  readonly type: "part";
  readonly request_id: string;
  readonly value: Json;
}

/** The answer of a call: a value or an error. */
export interface Returned {
  readonly type: "returned";
  readonly request_id: string;
  readonly value?: Json;
  readonly error?: WireError;
}

/** Drop base rows and cursor, keep pending operations, start again from `head`. */
export interface Resync {
  readonly type: "resync";
  readonly reason: string;
  readonly head: string;
}

/** The app was reloaded; this is the new manifest hash. */
export interface SchemaChanged {
  readonly type: "schema";
  readonly schema: string;
}

/** The server closes on purpose: reconnect after `retry_ms`. */
export interface GoAway {
  readonly type: "goaway";
  readonly reason: string;
  readonly retry_ms: number;
}

/** The id may be used again. */
export interface Unsubscribed {
  readonly type: "unsubscribed";
  readonly id: string;
}

/** Something asked for failed; the socket stays open. */
export interface ErrorMessage {
  readonly type: "error";
  readonly error: WireError;
  readonly request_id?: string;
  readonly subscription?: string;
}

/** The answer to `ping`. */
export interface Pong {
  readonly type: "pong";
}

/** One public field. `kind` is the schema's word; `type` the TypeScript type of its JSON. */
export interface FieldManifest {
  readonly name: string;
  readonly kind: string;
  readonly type: string;
  readonly nullable?: boolean;
  readonly required?: boolean;
  readonly immutable?: boolean;
  readonly guarded?: boolean;
  readonly ref?: string;
  readonly choices?: readonly string[];
  readonly scale?: number;
  readonly default?: JsonObject;
  readonly doc?: string;
}

/** One way from a row to its neighbours: the row that `field` names, or many that name it. */
export interface RelationManifest {
  readonly name: string;
  readonly entity: string;
  readonly field: string;
  readonly many?: boolean;
}

/** One entity with its public fields. */
export interface EntityManifest {
  readonly name: string;
  readonly fields: readonly FieldManifest[];
  readonly relations?: readonly RelationManifest[];
  readonly sync?: boolean;
  readonly doc?: string;
}

/** One argument of a function. */
export interface ArgumentManifest {
  readonly name: string;
  readonly type: string;
  readonly required?: boolean;
}

/** One function that may be called from outside: query, mutation or action. */
export interface FunctionManifest {
  readonly name: string;
  readonly kind: string;
  readonly arguments: readonly ArgumentManifest[];
  readonly returns: string;
  readonly part?: string;
  readonly doc?: string;
}

/** The serializable description of an app; `hash` is over all the rest but the version. */
export interface Manifest {
  readonly app: string;
  readonly version: string;
  readonly hash: string;
  readonly entities: readonly EntityManifest[];
  readonly functions: readonly FunctionManifest[];
  readonly min_client?: number;
}

export type Upstream =
  | Hello
  | Subscribe
  | Unsubscribe
  | Push
  | Call
  | Cancel
  | Stored
  | Ping;

export type Downstream =
  | Welcome
  | Snapshot
  | Changes
  | Window
  | LiveValue
  | Results
  | Part
  | Returned
  | Resync
  | SchemaChanged
  | GoAway
  | Unsubscribed
  | ErrorMessage
  | Pong;

/** Codes of the runtime; an app's own refusals add theirs. */
export type ErrorCode =
  | "ABORTED"
  | "ADDRESS_IN_USE"
  | "APP_ERROR"
  | "BAD_REQUEST"
  | "CANCELLED"
  | "CONFIG_ERROR"
  | "CONFLICT"
  | "FORBIDDEN_ORIGIN"
  | "FUNCTION_TIMEOUT"
  | "INTERNAL"
  | "INVALID_ARGUMENT"
  | "INVALID_JSON"
  | "INVALID_SIGNATURE"
  | "JOB_LOST"
  | "METHOD_NOT_ALLOWED"
  | "MISDIRECTED"
  | "NOT_FOUND"
  | "NOT_RETAINED"
  | "OPERATION_EXPIRED"
  | "PAYLOAD_TOO_LARGE"
  | "POLICY_DENIED"
  | "PROVIDER_FAILED"
  | "QUOTA_EXCEEDED"
  | "RATE_LIMITED"
  | "REQUEST_TIMEOUT"
  | "RESYNC_REQUIRED"
  | "STEP_FAILED"
  | "TRANSACTION_TOO_LARGE"
  | "UNAUTHENTICATED"
  | "UNAVAILABLE"
  | "UNSUPPORTED_MEDIA"
  | "UPGRADE_REQUIRED"
  | "WORKFLOW_DIVERGED"
  | "WORKFLOW_ENDED"
  | "WORKFLOW_MISUSE"
  | "WORKFLOW_TOO_LONG";
