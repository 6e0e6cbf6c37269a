// The followers of a leading tab: what each of them asked for, and the news that all of them get.
// Carries out requests on the engine; holds no rule of sync.

import type { Engine, EngineStep } from "./engine.ts";
import type { PendingMutation } from "./pending.ts";
import { Relay } from "./relay.ts";
import { keyOf, type Wanted } from "./subscription.ts";
import type { TabQuestion, TabRequest, TabSaying } from "./tab-messages.ts";

export class Followers {
  private readonly relay: Relay;
  /** By tab, how to give back what it asked for, by key. */
  private readonly granted = new Map<string, Map<string, () => void>>();
  private copiesDue: string[] = [];
  private isShown = false;

  constructor(
    private readonly engine: Engine,
    private readonly say: (saying: TabSaying, to?: string) => void,
  ) {
    this.relay = new Relay(engine);
  }

  serve(tab: string, request: TabRequest): void {
    const { engine } = this;
    switch (request.type) {
      case "follow": return this.admit(tab, request.wanted, request.mutations);
      case "want": return this.grant(tab, request.wanted);
      case "unwant":
        this.granted.get(tab)?.get(request.key)?.();
        this.granted.get(tab)?.delete(request.key);
        return;
      case "mutate": return engine.mutate(request.mutation);
      case "retry": return engine.retry(request.op_id, request.new_id);
      case "discard": return engine.discard(request.op_id);
      case "wake": return engine.dispatch({ type: "network", is_online: true });
      case "ask":
        void answerQuestion(engine, request.what).then(() => this.say({ type: "answer", number: request.number }, tab));
        return;
      default: request satisfies never;
    }
  }

  private admit(tab: string, wanted: readonly Wanted[], mutations: readonly PendingMutation[]): void {
    this.forget(tab);
    this.granted.set(tab, new Map());
    for (const one of wanted) this.grant(tab, one);
    for (const mutation of mutations) this.engine.mutate(mutation);
    if (this.isShown) void this.copy(tab);
    else this.copiesDue.push(tab);
  }

  private grant(tab: string, wanted: Wanted): void {
    const granted = this.granted.get(tab);
    const key = keyOf(wanted);
    if (granted?.has(key) === false) granted.set(key, this.engine.want(wanted));
  }

  forget(tab: string): void {
    for (const release of this.granted.get(tab)?.values() ?? []) release();
    this.granted.delete(tab);
  }

  /** The leader itself shows its engine now: followers may show what it holds. */
  show(): void {
    this.isShown = true;
    for (const tab of this.copiesDue.splice(0)) void this.copy(tab);
  }

  /** Sends what is shown, in parts, so that neither tab stands still meanwhile. */
  private async copy(tab: string): Promise<void> {
    for (const part of this.relay.copies()) {
      this.say(part, tab);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    this.say({ type: "copied", state: this.relay.state() }, tab);
  }

  tell(step: EngineStep): void {
    if (this.granted.size > 0) this.say({ type: "changed", change: this.relay.change(step) });
  }
}

/** Does something about the caller's rows; resolves when it is done. */
export function answerQuestion(engine: Engine, question: TabQuestion): Promise<void> {
  switch (question) {
    case "forget": return engine.forget();
    case "doubt": return engine.doubt();
    case "believe": return engine.believe();
  }
}
