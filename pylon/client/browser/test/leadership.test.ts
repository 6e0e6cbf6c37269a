// Goal: among the tabs of a browser there is one leader, soon after whatever happened, and all follow it.
// Method: the pure machines of several tabs in virtual time; tabs come, die, freeze and thaw in any order.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Leadership, type TabCommand, type TabEvent, type TabTimer } from "../src/leadership.ts";
import { TABS_VERSION, type TabMessage } from "../src/tab-messages.ts";

/** Milliseconds within which a killed leader is replaced; a frozen one may take longer. */
const KILLED_MS_MAX = 5_000;
const FROZEN_MS_MAX = 12_000;

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

class SimulatedTab {
  readonly machine = new Leadership();
  isDead = false;
  isFrozen = false;
  private held: (() => void)[] = [];
  private readonly timers = new Map<TabTimer, number>();

  constructor(private readonly browser: Simulation, readonly id: string, readonly key: string) {}

  step(event: TabEvent): void {
    if (this.isDead) return;
    if (this.isFrozen) return void this.held.push(() => this.step(event));
    for (const command of this.machine.step(event)) this.carryOut(command);
  }

  thaw(): void {
    this.isFrozen = false;
    for (const run of this.held.splice(0)) run();
  }

  private carryOut(command: TabCommand): void {
    switch (command.type) {
      case "say": return this.browser.say(this, command.message);
      case "request_lock": return this.browser.request(this);
      case "steal_lock": return this.browser.steal(this);
      case "release_lock": return this.browser.release(this);
      case "clear_timer": return void this.timers.delete(command.timer);
      case "set_timer": {
        const { timer } = command;
        const mark = this.browser.tick();
        this.timers.set(timer, mark);
        return this.browser.later(command.ms, () => {
          if (this.timers.get(timer) !== mark) return;
          this.timers.delete(timer);
          this.step({ type: "fired", timer });
        });
      }
      default: return undefined;
    }
  }
}

class Simulation {
  now = 0;
  readonly tabs: SimulatedTab[] = [];
  private marks = 0;
  private due: Due[] = [];
  private queue: SimulatedTab[] = [];
  private holder: SimulatedTab | null = null;

  constructor(private readonly hasLocks: boolean, private readonly delays: readonly number[]) {}

  tick(): number {
    return ++this.marks;
  }

  later(ms: number, run: () => void): void {
    this.due.push({ at: this.now + ms, order: this.tick(), run });
  }

  say(from: SimulatedTab, message: TabMessage): void {
    for (const tab of this.tabs) {
      if (tab !== from) this.later(this.delays[this.tick() % this.delays.length] ?? 0, () => tab.step({ type: "heard", message }));
    }
  }

  request(tab: SimulatedTab): void {
    this.queue = [...this.queue.filter((one) => one !== tab), tab];
    this.grant();
  }

  steal(tab: SimulatedTab): void {
    const robbed = this.holder;
    this.queue = [tab, ...this.queue.filter((one) => one !== tab)];
    this.holder = null;
    if (robbed !== null) this.later(0, () => robbed.step({ type: "lost" }));
    this.grant();
  }

  release(tab: SimulatedTab): void {
    this.queue = this.queue.filter((one) => one !== tab);
    if (this.holder !== tab) return;
    this.holder = null;
    this.grant();
  }

  private grant(): void {
    const next = this.holder === null ? this.queue.shift() : undefined;
    if (next === undefined) return;
    this.holder = next;
    this.later(1, () => next.step({ type: "granted" }));
  }

  open(id: string, key = ""): SimulatedTab {
    const tab = new SimulatedTab(this, id, key);
    this.tabs.push(tab);
    tab.step({ type: "started", id, key, has_locks: this.hasLocks });
    return tab;
  }

  kill(tab: SimulatedTab): void {
    tab.isDead = true;
    this.release(tab);
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.due.sort((left, right) => left.at - right.at || left.order - right.order);
      const next = this.due[0];
      if (next === undefined || next.at > end) break;
      this.due.shift();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  get awake(): readonly SimulatedTab[] {
    return this.tabs.filter((tab) => !tab.isDead && !tab.isFrozen);
  }

  roles(): readonly string[] {
    return this.awake.map((tab) => tab.machine.role).sort();
  }
}

function oneLeader(count: number): readonly string[] {
  return [...Array.from({ length: Math.max(0, count - 1) }, () => "following"), ...(count > 0 ? ["leading"] : [])];
}

const step = fc.oneof(
  fc.record({ kind: fc.constant("open" as const), id: fc.stringMatching(/^[a-z]{3}$/) }),
  fc.record({ kind: fc.constantFrom("kill" as const, "freeze" as const, "thaw" as const), at: fc.nat(9) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(3_000) }),
);

describe.each([["with locks", true], ["without locks", false]])("leadership %s", (_, hasLocks) => {
  test("ends with one leader and all others behind it", () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 14 }), fc.array(fc.nat(30), { minLength: 1, maxLength: 8 }), (steps, delays) => {
      const browser = new Simulation(hasLocks, delays);
      let opened = 0;
      for (const one of steps) {
        if (one.kind === "open") browser.open(`${one.id}${++opened}`);
        else if (one.kind === "wait") browser.run(one.ms);
        else {
          const tab = browser.tabs[one.at % Math.max(1, browser.tabs.length)];
          if (tab === undefined) continue;
          if (one.kind === "kill") browser.kill(tab);
          else if (one.kind === "freeze") tab.isFrozen = true;
          else tab.thaw();
        }
      }
      browser.run(FROZEN_MS_MAX);
      expect(browser.roles()).toEqual(oneLeader(browser.awake.length));
      for (const tab of browser.tabs) tab.thaw();
      browser.run(FROZEN_MS_MAX);
      expect(browser.roles()).toEqual(oneLeader(browser.awake.length));
    }), { numRuns: 300 });
  });

  test("a killed leader is replaced within five seconds", () => {
    const browser = new Simulation(hasLocks, [3]);
    const [first] = [browser.open("a"), browser.open("b"), browser.open("c")];
    browser.run(3_000);
    expect(browser.roles()).toEqual(["following", "following", "leading"]);
    for (const tab of browser.tabs) if (tab.machine.role === "leading") browser.kill(tab);
    browser.run(KILLED_MS_MAX);
    expect(browser.roles()).toEqual(["following", "leading"]);
    expect(first?.id).toBe("a");
  });

  test("a leader of another key, or of another build, is not followed", () => {
    const browser = new Simulation(hasLocks, [3]);
    browser.open("a");
    browser.run(3_000);
    const other = browser.open("b", "token");
    browser.run(3_000);
    expect([other.machine.role, browser.tabs[0]?.machine.role]).toEqual(["alone", "leading"]);
    const third = browser.open("c");
    const message: TabMessage = { type: "lead", key: "", term: 9, knows: true, version: TABS_VERSION + 1, from: "z" };
    third.step({ type: "heard", message });
    expect(third.machine.role).toBe("alone");
  });
});

describe("one tab, step by step", () => {
  type Saying = Partial<TabMessage> & { readonly type: TabMessage["type"] };

  function tab(hasLocks = true): { machine: Leadership; hear: (from: string, saying: Saying) => readonly TabCommand[] } {
    const machine = new Leadership();
    machine.step({ type: "started", id: "m", key: "", has_locks: hasLocks });
    const hear = (from: string, saying: Saying): readonly TabCommand[] => (
      machine.step({ type: "heard", message: { version: TABS_VERSION, from, ...saying } as TabMessage })
    );
    return { machine, hear };
  }

  const lead = (term: number, knows = true): Saying => ({ type: "lead", key: "", term, knows });
  const kinds = (commands: readonly TabCommand[]): readonly string[] => commands.map((command) => command.type);

  test("a leader whose lock is stolen leads no longer", () => {
    const { machine } = tab();
    machine.step({ type: "granted" });
    expect(machine.role).toBe("leading");
    machine.step({ type: "lost" });
    expect(machine.role).toBe("seeking");
  });

  test("of two leaders the one of the lower term yields, and gives the lock back", () => {
    const { machine, hear } = tab();
    machine.step({ type: "granted" });
    expect(kinds(hear("z", lead(0)))).toEqual(["say"]);
    expect(machine.role).toBe("leading");
    expect(kinds(hear("z", lead(5)))).toContain("release_lock");
    expect(machine.role).toBe("following");
  });

  test("a follower goes over to a newer leader, and not to an older one", () => {
    const { machine, hear } = tab();
    hear("a", lead(3));
    expect(kinds(hear("b", lead(2)))).toEqual([]);
    const commands = hear("c", lead(4));
    expect(commands).toContainEqual({ type: "become", role: "following", leader: "c" });
    expect(machine.role).toBe("following");
  });

  test("a follower that its leader has forgotten follows anew", () => {
    const { hear } = tab();
    hear("a", lead(1));
    expect(kinds(hear("a", { ...lead(1), to: "m" }))).not.toContain("become");
    expect(hear("a", { ...lead(1, false), to: "m" })).toContainEqual({ type: "become", role: "following", leader: "a" });
  });

  test("of two that claim at once the one of the lower id leads", () => {
    const [first, second] = [tab(false), tab(false)];
    for (const { machine } of [first, second]) machine.step({ type: "fired", timer: "seek" });
    expect(kinds(first.hear("z", { type: "claim", term: 1 }))).toEqual([]);
    expect(second.hear("a", { type: "claim", term: 1 })).toContainEqual({ type: "clear_timer", timer: "claim" });
  });

  test("a follower that is silent for two counts is forgotten, and told so when it speaks", () => {
    const { machine, hear } = tab();
    machine.step({ type: "granted" });
    hear("f", { type: "follow", definitions: [], mutations: [] } as Saying);
    expect(kinds(machine.step({ type: "fired", timer: "members" }))).not.toContain("forget_tab");
    expect(kinds(machine.step({ type: "fired", timer: "members" }))).toContain("forget_tab");
    expect(hear("f", { type: "wake" })).toMatchObject([{ type: "say", message: { type: "lead", knows: false, to: "f" } }]);
  });
});
