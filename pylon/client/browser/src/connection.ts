// The shell around the network: one WebSocket at a time, and requests beside it. Holds no rule.

import { decodeDownstream, encodeUpstream } from "./codec.ts";
import { errorOfBody, PylonError, wireError } from "./errors.ts";
import { SUBPROTOCOL, type Downstream, type Upstream, type WireError } from "./protocol.gen.ts";

/** What the shell needs of its surroundings; tests hand in their own. */
export interface Surroundings {
  readonly WebSocket: typeof WebSocket;
  readonly fetch: typeof fetch;
}

/** What a connection tells. */
export interface ConnectionListener {
  opened(): void;
  received(message: Downstream): void;
  lost(code: number): void;
  refused(error: WireError): void;
}

export class Connection {
  private socket: WebSocket | null = null;

  constructor(
    private readonly url: string,
    private readonly token: string | undefined,
    private readonly surroundings: Surroundings,
    private readonly listener: ConnectionListener,
  ) {}

  connect(): void {
    this.disconnect(1000, "");
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
    try {
      const response = await this.fetch("/api/sync/pull?limit=1", {});
      return response.status === 401 ? errorOfBody(await response.json(), 401) : null;
    } catch {
      return null;
    }
  }

  disconnect(code: number, reason: string): void {
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

  /** Returns the body of an answer, or throws a PylonError with the server's error. */
  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const options: RequestInit = { method };
    if (body !== undefined) options.body = JSON.stringify(body);
    let response: Response;
    let answer: unknown = null;
    try {
      response = await this.fetch(path, options);
      const text = await response.text();
      if (text !== "") answer = JSON.parse(text);
    } catch (error) {
      if (error instanceof SyntaxError) throw new PylonError(wireError("UNAVAILABLE", "the answer is not JSON"));
      throw new PylonError(wireError("UNAVAILABLE", "the server cannot be reached"));
    }
    if (!response.ok) throw new PylonError(errorOfBody(answer, response.status));
    return answer;
  }

  private fetch(path: string, options: RequestInit): Promise<Response> {
    const headers = new Headers({ Accept: "application/json" });
    if (options.body !== undefined) headers.set("Content-Type", "application/json");
    if (this.token !== undefined) headers.set("Authorization", `Bearer ${this.token}`);
    return this.surroundings.fetch(new URL(path, this.url), {
      ...options, headers, credentials: this.token === undefined ? "same-origin" : "omit",
    });
  }
}
