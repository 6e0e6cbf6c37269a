// The public types: an app's generated types go in, typed calls come out.

import type { Json, WireRow } from "./protocol.gen.ts";

/** What every row has. `_seq` is 0 for a row that only exists here so far. */
export interface Row {
  readonly id: string;
  readonly _seq: number;
}

/** One entity of an app: a row, what an insert takes, what an update takes. */
export interface EntityTypes {
  readonly row: Row;
  readonly insert: object;
  readonly patch: object;
  /** What `include` can name: the entity that each relation leads to, and whether to many rows. */
  readonly relations?: { readonly [name: string]: { readonly entity: string; readonly many: boolean } };
}

/** One function of an app. */
export interface FunctionTypes {
  readonly args: object;
  readonly returns: unknown;
  /** What it yields, where it streams. */
  readonly part?: unknown;
}

/** What generated types of an app look like. */
export interface AppTypes {
  readonly entities: { readonly [entity: string]: EntityTypes };
  readonly functions: { readonly [name: string]: FunctionTypes };
}

/** An app of which nothing is known: every name goes, rows have any fields. */
export interface AnyApp extends AppTypes {
  readonly entities: { readonly [entity: string]: { row: WireRow; insert: Values; patch: Values } };
  readonly functions: { readonly [name: string]: { args: Values; returns: Json; part: Json } };
}

/** Values by field name. */
export type Values = Readonly<Record<string, unknown>>;

export type EntityName<A extends AppTypes> = keyof A["entities"] & string;
export type FunctionName<A extends AppTypes> = keyof A["functions"] & string;
export type RowOf<A extends AppTypes, E extends EntityName<A>> = A["entities"][E]["row"];
export type InsertOf<A extends AppTypes, E extends EntityName<A>> = A["entities"][E]["insert"] & { readonly id?: string };
export type PatchOf<A extends AppTypes, E extends EntityName<A>> = A["entities"][E]["patch"];
export type ArgsOf<A extends AppTypes, F extends FunctionName<A>> = A["functions"][F]["args"];
export type ReturnOf<A extends AppTypes, F extends FunctionName<A>> = A["functions"][F]["returns"];

/** A name where the app's types are not known; nothing where they are, so that mistakes are errors. */
export type UntypedName<A extends AppTypes> = AnyApp extends A ? string : never;

/** What a value may be compared with. A `Date` may stand for a time. */
export type Operand<V> = V | (V extends string ? (string extends V ? Date : never) : never);

/** The comparisons of one field. */
export type FieldFilter<V> = Operand<V> | null | {
  readonly "=="?: Operand<V> | null;
  readonly "!="?: Operand<V> | null;
  readonly "<"?: Operand<V>;
  readonly "<="?: Operand<V>;
  readonly ">"?: Operand<V>;
  readonly ">="?: Operand<V>;
  readonly in?: readonly (Operand<V> | null)[];
  readonly "not in"?: readonly (Operand<V> | null)[];
  readonly contains?: V extends readonly (infer I)[] ? I : V;
  readonly startsWith?: string;
};

/** A filter over rows: members are joined by and; only true selects. */
export type Filter<R> = { readonly [F in Exclude<keyof R, "_seq">]?: FieldFilter<NonNullable<R[F]>> } & {
  readonly and?: readonly Filter<R>[];
  readonly or?: readonly Filter<R>[];
  readonly not?: Filter<R>;
};

type RelationsOf<A extends AppTypes, E extends EntityName<A>> = A["entities"][E] extends { readonly relations: infer R } ? R : object;
type Head<P extends string> = P extends `${infer H}.${string}` ? H : P;
type Behind<P extends string, H extends string> = P extends `${H}.${infer R}` ? R : never;

/** The rows that a relation leads to, with what is included behind them. */
type Neighbour<A extends AppTypes, R, P extends string> =
  R extends { readonly entity: infer E extends EntityName<A>; readonly many: infer M }
    ? M extends true ? readonly RowWith<A, E, P>[] : RowWith<A, E, P> | null
    : unknown;

/** A row of a query with `include`: paths of relations. */
export type RowWith<A extends AppTypes, E extends EntityName<A>, P extends string> =
  [P] extends [never] ? RowOf<A, E>
    : string extends P ? RowOf<A, E>
    : AnyApp extends A ? RowOf<A, E>
    : Omit<RowOf<A, E>, Head<P>> & {
      readonly [H in Head<P>]: H extends keyof RelationsOf<A, E> ? Neighbour<A, RelationsOf<A, E>[H], Behind<P, H>> : unknown
    };

/** A field to order by; `-` descends. */
export type OrderKey<R> = (keyof R & string) | `-${keyof R & string}`;

export interface QueryOptions<R, I extends readonly string[] = readonly string[]> {
  readonly where?: Filter<R>;
  readonly order?: readonly OrderKey<R>[];
  readonly limit?: number;
  /** Neighbours to put into the rows: paths of relations such as `author` and `channel.members`. */
  readonly include?: I;
}

/** The same where rows are not typed. */
export interface LooseOptions {
  readonly where?: Values;
  readonly order?: readonly string[];
  readonly limit?: number;
  readonly include?: readonly string[];
}

/** What a search is narrowed by. */
export interface SearchOptions {
  readonly where?: Values;
  readonly limit?: number;
  readonly include?: readonly string[];
}

/** A question for numbers about many rows: of which, by which fields, and what by which name. */
export interface AggregateQuestion {
  readonly where?: Values;
  readonly group?: readonly string[];
  readonly aggregates: { readonly [name: string]: { readonly [F in "count" | "sum" | "min" | "max" | "avg"]?: string } };
}

/** What an optimistic function may do: a guess at what the server will do, seen at once. */
export interface OptimisticTransaction<A extends AppTypes = AnyApp> {
  get<E extends EntityName<A>>(entity: E, id: string): RowOf<A, E> | undefined;
  list<E extends EntityName<A>>(entity: E, where?: Filter<RowOf<A, E>>): readonly RowOf<A, E>[];
  /** Returns the id: give it to the function as an argument, so that both mean the same row. */
  insert<E extends EntityName<A>>(entity: E, values: InsertOf<A, E>): string;
  update<E extends EntityName<A>>(entity: E, id: string, values: PatchOf<A, E>): void;
  delete(entity: EntityName<A>, id: string): void;
}

export interface CallOptions<A extends AppTypes = AnyApp> {
  readonly optimistic?: (tx: OptimisticTransaction<A>) => void;
  /** Actions: called with each part of one that yields; the answer is the list of them. */
  readonly onPart?: (part: unknown) => void;
  /** Actions: cancels the call, here and on the server. */
  readonly signal?: AbortSignal;
}

export interface StreamOptions {
  /** Cancels the call, here and on the server; so does leaving the loop. */
  readonly signal?: AbortSignal;
}

/** What a function yields. */
export type PartOf<A extends AppTypes, F extends FunctionName<A>> = A["functions"][F] extends { readonly part: infer P } ? P : never;

/** What follows the name in a call: arguments may be left out where the function needs none. */
export type Given<T, O> = Record<string, never> extends T ? [args?: T, options?: O] : [args: T, options?: O];

export interface UpdateOptions {
  /** Only if the row is still as of this `_seq`; CONFLICT otherwise. */
  readonly ifSeq?: number;
}

/** Arguments that may be left out where none is required. */
export type GivenArgs<T> = Record<string, never> extends T ? [args?: T] : [args: T];

export interface UploadProgress {
  /** Bytes that the server has; it never goes back. */
  readonly loaded: number;
  readonly total: number;
}

export interface UploadOptions {
  readonly onProgress?: (progress: UploadProgress) => void;
  /** Gives the upload up; what came of it is removed. */
  readonly signal?: AbortSignal;
  /** By default the file's own. */
  readonly name?: string;
  readonly type?: string;
}
