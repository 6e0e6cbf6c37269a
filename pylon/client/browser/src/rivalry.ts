// The shell around leadership: the channel between tabs, and the lock that one of them holds.
// Holds no rule; those are in `leadership`.

import type { Surroundings } from "./requests.ts";
import type { TabMessage } from "./tab-messages.ts";

/** What is told: something was heard, the lock is ours, the lock was taken from us. */
export interface RivalryListener {
  heard(message: TabMessage): void;
  granted(): void;
  lost(): void;
}

export class Rivalry {
  readonly hasLocks: boolean;
  private readonly channel: BroadcastChannel;
  private readonly locks: LockManager | undefined;
  private queued: AbortController | null = null;
  private release: (() => void) | null = null;

  /** `name` is the database's: who holds its lock leads. */
  constructor(
    private readonly name: string, surroundings: Surroundings, Channel: typeof BroadcastChannel,
    private readonly listener: RivalryListener,
  ) {
    this.locks = surroundings.locks;
    this.hasLocks = this.locks !== undefined;
    this.channel = new Channel(name);
    this.channel.onmessage = (event: MessageEvent<TabMessage>) => listener.heard(event.data);
  }

  say(message: TabMessage): void {
    this.channel.postMessage(message);
  }

  requestLock(): void {
    this.queued?.abort();
    this.queued = new AbortController();
    this.hold({ signal: this.queued.signal });
  }

  stealLock(): void {
    this.queued?.abort();
    this.queued = null;
    this.hold({ steal: true });
  }

  private hold(options: LockOptions): void {
    let isHeld = false;
    let isReleased = false;
    const held = this.locks?.request(this.name, options, () => {
      isHeld = true;
      this.listener.granted();
      return new Promise<void>((resolve) => {
        this.release = () => {
          isReleased = true;
          resolve();
        };
      });
    });
    held?.catch((error: unknown) => {
      if (isHeld && !isReleased) this.listener.lost();
      // Where locks are refused altogether, the store's owner mark has to do.
      else if (!(error instanceof DOMException && error.name === "AbortError")) this.listener.granted();
    });
  }

  releaseLock(): void {
    this.queued?.abort();
    this.queued = null;
    this.release?.();
    this.release = null;
  }

  close(): void {
    this.releaseLock();
    this.channel.close();
  }
}
