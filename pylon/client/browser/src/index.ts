// The public names of `/_pylon/client.js`.

export { Auth, type Me, type SignedIn } from "./auth.ts";
export { connect, Database, type ConnectOptions, type Status } from "./client.ts";
export { compareText } from "./compare.ts";
export { PylonError } from "./errors.ts";
export { LiveQuery, type QuerySnapshot } from "./live.ts";
export { LiveFunction, type ValueSnapshot } from "./live-function.ts";
export type { PendingOperation } from "./operations.ts";
export type { Effect, PendingMutation } from "./pending.ts";
export type { ErrorCode, Json, JsonObject, Manifest, WireError, WireRow } from "./protocol.gen.ts";
export { LiveRow } from "./row.ts";
export type { Store, StoreContents, StoredMutation, StoreWrite } from "./store.ts";
export { MemoryStore } from "./store-memory.ts";
export type {
  AggregateQuestion, AnyApp, AppTypes, ArgsOf, CallOptions, EntityName, EntityTypes, Filter, FunctionName, FunctionTypes, Given, GivenArgs, InsertOf,
  LooseOptions, OptimisticTransaction, PartOf, PatchOf, QueryOptions, ReturnOf, Row, RowOf, RowWith, SearchOptions, StreamOptions, UpdateOptions, UploadOptions,
  UploadProgress, Values,
} from "./types.ts";
export type { FileObject } from "./upload-machine.ts";
