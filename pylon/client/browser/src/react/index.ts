// React hooks, each over `useSyncExternalStore`: safe under StrictMode, suspending nothing.
// What does not live here: any rule of sync; the client next door has them all.

export { hooksOf, type Hooks, type TypedCall, type TypedMutations } from "./hooks-of.ts";
export { PylonProvider, useDatabase, type PylonProviderProps } from "./provider.ts";
export { useAuth, type AuthState } from "./use-auth.ts";
export { useLive, type LiveState } from "./use-live.ts";
export { useCall, useMutation, type CallState, type Mutations } from "./use-mutation.ts";
export { useQuery, useRow, type QueryState, type RowState } from "./use-query.ts";
export { useStatus } from "./use-status.ts";
export { useUpload, type UploadState } from "./use-upload.ts";
