// A network in memory: sockets and requests that end at a model server. Nothing waits for a clock.

import type { Surroundings } from "../src/requests.ts";
import type { Downstream, Manifest, Upstream } from "../src/protocol.gen.ts";
import { ModelConnection, type ModelServer } from "./model-server.ts";

export const MANIFEST: Manifest = {
  app: "test", version: "1", hash: "h",
  entities: [{
    name: "Note",
    fields: [
      { name: "text", kind: "str", type: "string", required: true },
      { name: "state", kind: "str", type: "string", default: { value: "new" } },
      { name: "authorId", kind: "ref", type: "string", default: { actor: true } },
      { name: "at", kind: "datetime", type: "string", default: { now: true } },
    ],
  }],
  functions: [
    { name: "rename", kind: "mutation", arguments: [], returns: "null" },
    { name: "count", kind: "query", arguments: [], returns: "number" },
  ],
};

export class FakeNetwork {
  isUp = true;
  userId: string | null = "u1";
  /** What the server answers to an upgrade: 401 for a session that it does not know. */
  upgradeStatus = 101;
  readonly sockets = new Set<FakeSocket>();
  /** Also those that are closed. */
  readonly all = new Set<FakeSocket>();
  readonly requests: string[] = [];
  manifest = MANIFEST;

  constructor(readonly server: ModelServer) {}

  get surroundings(): Surroundings {
    const network = this;
    class Socket extends FakeSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(network, url, protocols);
      }
    }
    return { WebSocket: Socket as unknown as typeof WebSocket, fetch: (input, init) => this.answer(String(input), init) };
  }

  private async answer(url: string, init?: RequestInit): Promise<Response> {
    const { pathname, searchParams } = new URL(url);
    this.requests.push(`${init?.method ?? "GET"} ${pathname}`);
    if (!this.isUp) throw new TypeError("failed to fetch");
    const say = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status });
    switch (pathname) {
      case "/api/schema": return say(this.manifest);
      case "/api/sync/pull": {
        if (this.upgradeStatus === 401) return say({ error: { code: "UNAUTHENTICATED", message: "no" } }, 401);
        const seq = Number(searchParams.get("cursor")?.split(":")[1] ?? 0);
        return say(this.server.batch(seq, this.server.head, JSON.parse(searchParams.get("subscriptions") ?? "[]")));
      }
      case "/api/auth/logout": this.userId = null; this.upgradeStatus = 101; return new Response(null, { status: 204 });
      case "/api/auth/me":
        return this.userId === null ? say({ user_id: null, email: null, roles: [] })
          : say({ user_id: this.userId, email: `${this.userId}@example.com`, roles: ["member"] });
      case "/api/auth/dev/login": this.userId = "u2"; return say({ token: "t", user_id: "u2", expires_at: "" });
      case "/api/fn/count": return say({ value: this.server.rows.get("Note")?.size ?? 0 });
      default: return say({ error: { code: "NOT_FOUND", message: "nothing here" } }, 404);
    }
  }

  /** Carries frames both ways until nothing moves any more. */
  async settle(): Promise<void> {
    let quiet = 0;
    while (quiet < 5) {
      let isBusy = false;
      for (const socket of [...this.sockets]) isBusy = socket.pump() || isBusy;
      quiet = isBusy ? 0 : quiet + 1;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  cut(): void {
    for (const socket of [...this.sockets]) socket.end(1006);
  }
}

export class FakeSocket {
  static readonly OPEN = 1;
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly protocols: readonly string[];
  readonly sent: Upstream[] = [];
  private readonly connection: ModelConnection;

  constructor(private readonly network: FakeNetwork, readonly url: string | URL, protocols?: string | string[]) {
    this.protocols = [protocols ?? []].flat();
    this.connection = new ModelConnection(network.server, 2, network.userId);
    queueMicrotask(() => {
      if (this.readyState === 3) return;
      if (!network.isUp || network.upgradeStatus !== 101) return this.end(1006);
      this.readyState = 1;
      network.sockets.add(this);
      network.all.add(this);
      this.onopen?.();
    });
  }

  send(text: string): void {
    const message = JSON.parse(text) as Upstream;
    this.sent.push(message);
    this.connection.receive(message);
  }

  close(): void {
    this.readyState = 3;
    this.network.sockets.delete(this);
  }

  end(code: number): void {
    this.close();
    this.onclose?.({ code });
  }

  pump(): boolean {
    while (this.connection.run("page"));
    const isBusy = this.connection.run("changes");
    let message: Downstream | undefined;
    while ((message = this.connection.out.shift()) !== undefined) this.onmessage?.({ data: JSON.stringify(message) });
    return isBusy;
  }
}
