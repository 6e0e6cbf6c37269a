// A browser in memory: tabs with a channel between them and locks, some of which die without a word.

import type { Surroundings } from "../src/requests.ts";
import type { FakeNetwork, FakeSocket } from "./fake-network.ts";

interface LockRequest {
  readonly tab: FakeTab;
  readonly callback: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

/** One page: what `connect()` gets as its surroundings, and how to end it. */
export class FakeTab {
  isDead = false;
  /** Alive, but nothing runs: messages wait. */
  isFrozen = false;
  readonly channels = new Set<FakeChannel>();
  private readonly sockets = new Set<FakeSocket>();

  constructor(private readonly browser: FakeBrowser) {}

  get surroundings(): Surroundings {
    const { browser } = this;
    const tab = this;
    const { WebSocket, fetch } = browser.network.surroundings;
    class Channel extends FakeChannel {
      constructor(name: string) {
        super(tab, browser, name);
      }
    }
    const Socket = new Proxy(WebSocket, {
      construct: (target, given: [string, string[]]) => {
        const socket = new target(...given);
        tab.sockets.add(socket as unknown as FakeSocket);
        if (tab.isDead) socket.close();
        return socket;
      },
    });
    return {
      WebSocket: Socket,
      fetch: (...given) => (tab.isDead ? new Promise(() => undefined) : fetch(...given)),
      BroadcastChannel: Channel as unknown as typeof BroadcastChannel,
      ...(browser.hasLocks ? { locks: browser.locksOf(tab) } : {}),
    };
  }

  /** As by SIGKILL: no farewell, sockets cut, locks free. */
  kill(): void {
    this.isDead = true;
    for (const socket of this.sockets) socket.close();
    this.browser.free(this);
  }

  thaw(): void {
    this.isFrozen = false;
    for (const channel of this.channels) channel.drain();
  }
}

class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  private readonly waiting: unknown[] = [];

  constructor(private readonly tab: FakeTab, private readonly browser: FakeBrowser, readonly name: string) {
    browser.channels.add(this);
    tab.channels.add(this);
  }

  postMessage(message: unknown): void {
    if (this.tab.isDead) return;
    this.browser.said.push(message);
    for (const other of this.browser.channels) {
      if (other !== this && other.name === this.name) other.receive(structuredClone(message));
    }
  }

  private receive(message: unknown): void {
    this.waiting.push(message);
    setTimeout(() => this.drain(), 0);
  }

  drain(): void {
    if (this.tab.isDead || this.tab.isFrozen) return;
    for (let data = this.waiting.shift(); data !== undefined; data = this.waiting.shift()) this.onmessage?.({ data });
  }

  close(): void {
    this.browser.channels.delete(this);
    this.onmessage = null;
  }
}

export class FakeBrowser {
  readonly channels = new Set<FakeChannel>();
  readonly said: unknown[] = [];
  private holder: LockRequest | null = null;
  private queue: LockRequest[] = [];

  constructor(readonly network: FakeNetwork, readonly hasLocks: boolean) {}

  tab(): FakeTab {
    return new FakeTab(this);
  }

  locksOf(tab: FakeTab): LockManager {
    return {
      request: (_: string, options: LockOptions, callback: () => Promise<void>) => new Promise((resolve, reject) => {
        const request: LockRequest = { tab, reject, callback: () => callback().then(() => resolve(undefined)) };
        if (options.steal === true) {
          const robbed = this.holder;
          this.holder = null;
          robbed?.reject(new DOMException("stolen", "AbortError"));
          this.queue.unshift(request);
        } else {
          this.queue.push(request);
        }
        options.signal?.addEventListener("abort", () => {
          if (!this.queue.includes(request)) return;
          this.queue = this.queue.filter((one) => one !== request);
          reject(new DOMException("aborted", "AbortError"));
        });
        this.grant();
      }),
    } as unknown as LockManager;
  }

  private grant(): void {
    queueMicrotask(() => {
      if (this.holder !== null) return;
      const next = this.queue.shift();
      if (next === undefined) return;
      this.holder = next;
      void next.callback().then(() => {
        if (this.holder !== next) return;
        this.holder = null;
        this.grant();
      });
    });
  }

  free(tab: FakeTab): void {
    this.queue = this.queue.filter((one) => one.tab !== tab);
    if (this.holder?.tab !== tab) return;
    this.holder = null;
    this.grant();
  }
}
