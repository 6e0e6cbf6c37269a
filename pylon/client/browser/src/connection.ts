// The shell around the network: one WebSocket at a time, and the requests that the engine makes by
// itself, both within the budget for a server in trouble. Holds no rule of sync.

import type { Budget } from "./budget.ts";
import { decodeDownstream, encodeUpstream } from "./codec.ts";
import { errorOfBody } from "./errors.ts";
import { SUBPROTOCOL, type Downstream, type Upstream, type WireError } from "./protocol.gen.ts";
import { Requests, type Surroundings } from "./requests.ts";

/** What a connection tells. */
export interface ConnectionListener {
  opened(): void;
  received(message: Downstream): void;
  lost(code: number): void;
  refused(error: WireError): void;
}

export class Connection {
  private readonly requests: Requests;
  private socket: WebSocket | null = null;
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly token: string | undefined,
    private readonly surroundings: Surroundings,
    private readonly budget: Budget,
    private readonly listener: ConnectionListener,
  ) {
    this.requests = new Requests(url, token, surroundings);
  }

  connect(): void {
    this.disconnect(1000, "");
    const ms = this.budget.wait();
    if (ms > 0) this.waiting = setTimeout(() => this.connect(), ms);
    else this.open();
  }

  private open(): void {
    this.budget.count();
    const url = new URL("/api/sync/ws", this.url);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const protocols = this.token === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, `bearer.${this.token}`];
    const socket = new this.surroundings.WebSocket(url, protocols);
    this.socket = socket;
    let isOpen = false;
    socket.onopen = () => {
      isOpen = true;
      if (this.socket === socket) this.listener.opened();
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.socket !== socket) return;
      const message = typeof event.data === "string" ? decodeDownstream(event.data) : null;
      if (message !== null) return this.listener.received(message);
      this.disconnect(4400, "bad frame");
      this.listener.lost(1006);
    };
    socket.onclose = (event: CloseEvent) => {
      if (this.socket !== socket) return;
      if (isOpen) this.leave(socket, event.code);
      // Why an upgrade failed is not told to pages: ask in a way that gets an answer.
      else void this.probe().then((error) => this.leave(socket, event.code, error));
    };
  }

  private leave(socket: WebSocket, code: number, error: WireError | null = null): void {
    if (this.socket !== socket) return;
    this.socket = null;
    if (error === null) this.listener.lost(code);
    else this.listener.refused(error);
  }

  private async probe(): Promise<WireError | null> {
    if (this.budget.wait() > 0) return null;
    this.budget.count();
    try {
      const response = await this.requests.fetch("/api/sync/pull?limit=1", {});
      return response.status === 401 ? errorOfBody(await response.json(), 401) : null;
    } catch {
      // Nobody was reached: neither this nor the upgrade before it troubled a server.
      this.budget.refund();
      this.budget.refund();
      return null;
    }
  }

  disconnect(code: number, reason: string): void {
    clearTimeout(this.waiting);
    const { socket } = this;
    this.socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // A page may close with 1000 and 3000 to 4999 only.
    socket.close(code, reason.slice(0, 100));
  }

  send(message: Upstream): void {
    if (this.socket?.readyState === this.surroundings.WebSocket.OPEN) this.socket.send(encodeUpstream(message));
  }

  /** Asks by HTTP, when the budget allows it; throws a PylonError with the server's error. */
  async request(method: string, path: string): Promise<unknown> {
    for (let ms = this.budget.wait(); ms > 0; ms = this.budget.wait()) {
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
    this.budget.count();
    return this.requests.ask(method, path);
  }
}
