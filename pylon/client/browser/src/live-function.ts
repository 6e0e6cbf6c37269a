// A followed query function: its value, kept current. Pure but for listeners.
// A value is replaced only by another one, so that whoever compares by identity sees what changed.

import { isSame } from "./compare.ts";
import type { PylonError } from "./errors.ts";
import { shownError, type QueryProgress } from "./live.ts";
import { Observed } from "./observed.ts";
import type { Json } from "./protocol.gen.ts";
import type { FunctionCall } from "./subscription.ts";

/** What a followed function has to show: its value, whether there is one, and why not. */
export interface ValueSnapshot<T> {
  readonly value: T | undefined;
  readonly ready: boolean;
  readonly error: PylonError | null;
}

/** What a followed function needs of the database behind it. */
export interface ValueHost {
  acquire(call: FunctionCall): string;
  release(key: string): void;
  stateOf(key: string): QueryProgress | undefined;
  attachValue(one: LiveFunction<never>): void;
  detachValue(one: LiveFunction<never>): void;
}

/** A call that stays current until it is closed. */
export class LiveFunction<T = Json> extends Observed<ValueSnapshot<T>, T | undefined> {
  private key: string | null = null;

  /** @internal */
  constructor(private readonly host: ValueHost, readonly call: FunctionCall) {
    super({ value: undefined, ready: false, error: null });
  }

  /** The value, undefined before there is one and where there is an error. */
  get value(): T | undefined {
    return this.snapshot.value;
  }

  /** True when the server has answered: there is a value, or an error. */
  get ready(): boolean {
    return this.snapshot.ready;
  }

  get error(): PylonError | null {
    return this.snapshot.error;
  }

  /** @internal */
  protected get shown(): T | undefined {
    return this.value;
  }

  /** @internal */
  protected get isShown(): boolean {
    return this.value !== undefined;
  }

  /** @internal Looks at what is known now. */
  refresh(): void {
    if (this.key === null) return;
    const { snapshot } = this;
    const state = this.host.stateOf(this.key);
    const error = shownError(state?.error ?? null, snapshot.error, `live("${this.call.fn}")`);
    const told = state?.value as Json | undefined;
    // Another tab's news are copies: an equal value is the one that is shown.
    const value = isSame(told, snapshot.value as Json | undefined) ? snapshot.value : told as T | undefined;
    const ready = state?.ready ?? false;
    if (value !== snapshot.value || ready !== snapshot.ready || error !== snapshot.error) this.publish({ value, ready, error });
  }

  /** @internal */
  protected open(): void {
    if (this.key !== null) return;
    this.key = this.host.acquire(this.call);
    this.host.attachValue(this as unknown as LiveFunction<never>);
    this.refresh();
  }

  /** @internal */
  protected shut(): void {
    if (this.key === null) return;
    this.host.detachValue(this as unknown as LiveFunction<never>);
    this.host.release(this.key);
    this.key = null;
  }
}
