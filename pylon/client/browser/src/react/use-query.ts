// Live rows in a component: re-rendered when they change, and never for rows that did not.

import { useMemo, useSyncExternalStore } from "react";
import type { LooseOptions, PylonError, QuerySnapshot, Row, WireRow } from "../index.ts";
import { useDatabase } from "./provider.ts";

export type QueryState<R> = QuerySnapshot<R>;

export interface RowState<R> {
  readonly row: R | null;
  readonly ready: boolean;
  readonly error: PylonError | null;
}

/** Returns `{rows, ready, error}` of a live query; the same object until one of them changes. */
export function useQuery<R extends Row = WireRow>(entity: string, options: LooseOptions = {}): QueryState<R> {
  const db = useDatabase();
  const { where, order, limit, include } = options;
  // Options are usually written in place: equal ones are the same query.
  const key = JSON.stringify([entity, where ?? {}, order ?? [], limit ?? null, include ?? []]);
  const query = useMemo(() => db.prepare(entity, options), [db, key]);
  return useSyncExternalStore(query.watch, query.getSnapshot, query.getSnapshot) as unknown as QueryState<R>;
}

/** Returns `{row, ready, error}` of one row; `row` is null where there is none to read. */
export function useRow<R extends Row = WireRow>(entity: string, id: string): RowState<R> {
  const { rows, ready, error } = useQuery<R>(entity, { where: { id } });
  const row = rows[0] ?? null;
  return useMemo(() => ({ row, ready, error }), [row, ready, error]);
}
