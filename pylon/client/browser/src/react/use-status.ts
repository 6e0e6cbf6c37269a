// The state of the connection in a component.

import { useMemo, useSyncExternalStore } from "react";
import type { Database, Status } from "../index.ts";
import { useDatabase } from "./provider.ts";

function statusStore(db: Database): { watch: (changed: () => void) => () => void; read: () => Status } {
  let last = db.status;
  return {
    watch: (changed) => db.onStatus((status) => {
      last = status;
      changed();
    }),
    read: () => last,
  };
}

/** Returns `{state, pending, error, persistent}`. */
export function useStatus(): Status {
  const db = useDatabase();
  const store = useMemo(() => statusStore(db), [db]);
  return useSyncExternalStore(store.watch, store.read, store.read);
}
