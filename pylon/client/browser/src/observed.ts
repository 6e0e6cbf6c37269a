// What can be listened to: its newest snapshot, told to each listener once, and open for as long as
// anybody wants it. Pure but for listeners.

interface Listener<S, T> {
  readonly call: (shown: T) => void;
  seen: S | null;
}

/** `S` is all of what is shown, as one value; `T` the part of it that listeners are called with. Who
 * was told something is told as well that it is there no more (I33). */
export abstract class Observed<S, T> {
  private readonly listeners = new Set<Listener<S, T>>();
  private readonly watchers = new Set<() => void>();
  private isKept = false;

  /** @internal */
  constructor(/** @internal */ protected snapshot: S) {}

  /** @internal Begins to be kept current; again and again is fine. */
  protected abstract open(): void;
  /** @internal Ends that. */
  protected abstract shut(): void;
  /** @internal What listeners are called with. */
  protected abstract get shown(): T;
  /** @internal False where there is nothing to tell yet. */
  protected abstract get isShown(): boolean;

  /** Calls with what there is: soon where there is any, then whenever it changes. */
  subscribe(call: (shown: T) => void): () => void {
    const listener: Listener<S, T> = { call, seen: null };
    this.listeners.add(listener);
    this.open();
    queueMicrotask(() => this.tell(listener));
    return () => {
      this.listeners.delete(listener);
      this.rest();
    };
  }

  /** For external stores: tells that the snapshot is another, not what it is. */
  readonly watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    this.open();
    return () => {
      this.watchers.delete(changed);
      this.rest();
    };
  };

  /** Returns all that is shown as one value, the same until some of it changes. */
  readonly getSnapshot = (): S => this.snapshot;

  /** Ends it: no listener is called any more. */
  close(): void {
    this.isKept = false;
    this.listeners.clear();
    this.watchers.clear();
    this.rest();
  }

  /** @internal Keeps it current though nobody listens. */
  keep(): this {
    this.isKept = true;
    this.open();
    return this;
  }

  /** @internal Shows this from now on. */
  protected publish(snapshot: S): void {
    this.snapshot = snapshot;
    for (const listener of [...this.listeners]) this.tell(listener);
    for (const watcher of [...this.watchers]) guarded(watcher);
  }

  /** @internal */
  protected get isWanted(): boolean {
    return this.isKept || this.listeners.size > 0 || this.watchers.size > 0;
  }

  private tell(listener: Listener<S, T>): void {
    const { snapshot } = this;
    if ((!this.isShown && listener.seen === null) || listener.seen === snapshot || !this.listeners.has(listener)) return;
    listener.seen = snapshot;
    guarded(() => listener.call(this.shown));
  }

  private rest(): void {
    if (!this.isWanted) this.shut();
  }
}

/** Calls app code: what it throws is reported, and harms nobody else. */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (typeof reportError === "function") reportError(error);
    else console.error(error);
  }
}
