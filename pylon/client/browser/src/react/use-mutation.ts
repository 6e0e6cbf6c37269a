// Writing from a component. The functions are the same ones at each render.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { PylonError, type CallOptions, type UpdateOptions, type Values, type WireRow } from "../index.ts";
import { useDatabase } from "./provider.ts";

export interface Mutations {
  insert(values: Values): Promise<WireRow>;
  update(id: string, values: Values, options?: UpdateOptions): Promise<WireRow>;
  delete(id: string): Promise<void>;
}

/** Returns optimistic `insert`, `update` and `delete` for an entity. */
export function useMutation(entity: string): Mutations {
  const db = useDatabase();
  return useMemo(() => ({
    insert: (values) => db.insert(entity, values),
    update: (id, values, options) => db.update(entity, id, values, options),
    delete: (id) => db.delete(entity, id),
  }), [db, entity]);
}

export interface CallState<T> {
  readonly call: (args?: Values, options?: CallOptions) => Promise<T>;
  readonly value: T | undefined;
  readonly error: PylonError | null;
  /** True while an answer is awaited. */
  readonly pending: boolean;
  /** What an action that yields has sent so far. */
  readonly parts: readonly unknown[];
  /** Cancels the last call of an action, here and on the server; so does leaving the page. */
  readonly cancel: () => void;
}

/** Returns a way to call a function of the app, and what its last call answered. */
export function useCall<T = unknown>(name: string): CallState<T> {
  const db = useDatabase();
  const [state, setState] = useState<Omit<CallState<T>, "call" | "cancel">>({ value: undefined, error: null, pending: false, parts: [] });
  const last = useRef(0);
  const leaving = useRef<AbortController | null>(null);
  const cancel = useCallback(() => leaving.current?.abort(), []);
  useEffect(() => cancel, [cancel]);
  const call = useCallback(async (args: Values = {}, options: CallOptions = {}): Promise<T> => {
    const turn = ++last.current;
    setState((before) => ({ ...before, pending: true, parts: [] }));
    const controller = leaving.current = new AbortController();
    const onPart = (part: unknown): void => {
      options.onPart?.(part);
      if (turn === last.current) setState((before) => ({ ...before, parts: [...before.parts, part] }));
    };
    try {
      const value = await db.call<T>(name, args, { signal: controller.signal, ...options, onPart });
      // An older call that answers late does not cover a newer one.
      if (turn === last.current) setState((before) => ({ ...before, value, error: null, pending: false }));
      return value;
    } catch (error) {
      const known = error instanceof PylonError ? error : new PylonError({ code: "INTERNAL", message: String(error) });
      if (turn === last.current) setState((before) => ({ ...before, error: known, pending: false }));
      throw known;
    }
  }, [db, name]);
  return useMemo(() => ({ ...state, call, cancel }), [state, call, cancel]);
}
