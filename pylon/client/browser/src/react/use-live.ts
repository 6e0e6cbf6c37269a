// The value of a query function in a component: re-rendered when it is another.

import { useMemo, useSyncExternalStore } from "react";
import type { Json, ValueSnapshot, Values } from "../index.ts";
import { useDatabase } from "./provider.ts";

export type LiveState<T> = ValueSnapshot<T>;

/** Returns `{value, ready, error}` of a followed function; the same object until one of them changes. */
export function useLive<T = Json>(name: string, args: Values = {}): LiveState<T> {
  const db = useDatabase();
  // Arguments are usually written in place: equal ones are the same call.
  const key = JSON.stringify([name, args]);
  const live = useMemo(() => db.prepareLive(name, args), [db, key]);
  return useSyncExternalStore(live.watch, live.getSnapshot, live.getSnapshot) as unknown as LiveState<T>;
}
