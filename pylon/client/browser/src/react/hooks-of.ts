// The hooks with the types of one app: the same functions, told what they may be given.

import type {
  AppTypes, ArgsOf, CallOptions, Database, EntityName, FunctionName, Given, GivenArgs, InsertOf, PatchOf, QueryOptions, ReturnOf,
  RowOf, UpdateOptions,
} from "../index.ts";
import { useDatabase } from "./provider.ts";
import { useLive, type LiveState } from "./use-live.ts";
import { useCall, useMutation, type CallState } from "./use-mutation.ts";
import { useQuery, useRow, type QueryState, type RowState } from "./use-query.ts";

export interface TypedMutations<A extends AppTypes, E extends EntityName<A>> {
  insert(values: InsertOf<A, E>): Promise<RowOf<A, E>>;
  update(id: string, values: PatchOf<A, E>, options?: UpdateOptions): Promise<RowOf<A, E>>;
  delete(id: string): Promise<void>;
}

export interface TypedCall<A extends AppTypes, F extends FunctionName<A>> extends Omit<CallState<ReturnOf<A, F>>, "call"> {
  readonly call: (...given: Given<ArgsOf<A, F>, CallOptions<A>>) => Promise<ReturnOf<A, F>>;
}

/** The hooks that name entities and functions. */
export interface Hooks<A extends AppTypes> {
  useQuery<E extends EntityName<A>>(entity: E, options?: QueryOptions<RowOf<A, E>>): QueryState<RowOf<A, E>>;
  useRow<E extends EntityName<A>>(entity: E, id: string): RowState<RowOf<A, E>>;
  useMutation<E extends EntityName<A>>(entity: E): TypedMutations<A, E>;
  useLive<F extends FunctionName<A>>(name: F, ...given: GivenArgs<ArgsOf<A, F>>): LiveState<ReturnOf<A, F>>;
  useCall<F extends FunctionName<A>>(name: F): TypedCall<A, F>;
  useDatabase(): Database<A>;
}

/** Returns the hooks for `App` of `pylon codegen`: `const { useQuery } = hooksOf<App>()`, once, outside of components. */
export function hooksOf<A extends AppTypes>(): Hooks<A> {
  return { useQuery, useRow, useMutation, useLive, useCall, useDatabase } as unknown as Hooks<A>;
}
