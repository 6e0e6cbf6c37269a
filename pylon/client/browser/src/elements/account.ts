// <pylon-account>: one's own account. What changes it asks once more for a proof of who is there.

import { PylonError, type Database } from "../index.ts";
import { heldButton, hold, PylonElement, type Field } from "./base.ts";
import { button, h, type Child } from "./dom.ts";
import { inWords } from "./words.ts";

/** `GET /api/auth/account`. */
interface AccountSummary {
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly is_guest: boolean;
  readonly password: boolean;
  readonly totp: boolean;
  readonly recovery_left: number;
}

/** One of `GET /api/auth/sessions`. */
interface Session {
  readonly id: string;
  readonly kind: string;
  readonly name: string | null;
  readonly current: boolean;
  readonly created_at: string;
  readonly expires_at: string;
  readonly last_seen: string | null;
  readonly device: string | null;
}

interface Provider { readonly name: string; readonly label: string; readonly start: string }
interface Identity { readonly provider: string | null; readonly issuer: string; readonly email: string | null }

type Values = Readonly<Record<string, string>>;

const WRONG_PROOF = "That did not prove that it is you: the password or code is wrong, or used up. Type it again, or have another code sent.";

export class PylonAccount extends PylonElement {
  private database!: Database;
  private account!: AccountSummary;
  /** What is shown once, until the page is left or something else is shown. */
  private shown: Node | null = null;

  protected override async draw(database: Database): Promise<void> {
    this.database = database;
    if ((database.auth.user ?? await database.auth.me()) === null) {
      this.body.replaceChildren(
        h(`h${this.level}`, { part: "heading" }, "Your account"), h("p", {}, "Nobody is signed in."),
        h("a", { href: "/auth/", part: "button primary" }, "Sign in"));
      return;
    }
    const [account, sessions, ways] = await Promise.all([
      this.get<AccountSummary>("account"), this.get<{ sessions: readonly Session[] }>("sessions"),
      this.get<{ methods: readonly string[]; oauth: readonly Provider[] }>("providers"),
    ]);
    this.account = account;
    const has = (method: string): boolean => ways.methods.includes(method);
    const parts = [this.head()];
    if (this.shown !== null) parts.push(h("div", {}, this.shown));
    if (has("password") && account.email !== null) parts.push(this.password());
    if (!account.is_guest) parts.push(this.factor());
    if (ways.oauth.length > 0) parts.push(await this.providers(ways.oauth));
    parts.push(this.sessions(sessions.sessions), this.tokens(sessions.sessions), this.leaving());
    this.body.replaceChildren(...parts);
  }

  private async get<T>(route: string): Promise<T> {
    return await this.database.auth.ask("GET", route) as T;
  }

  /** Does something, shows the account as it is then, and says so. */
  private async act(method: string, route: string, body: object | undefined, done: string, once?: (answer: unknown) => Node): Promise<void> {
    const answer = await this.database.auth.ask(method, route, body);
    this.shown = once === undefined ? null : once(answer);
    await this.draw(this.database);
    this.clear();
    this.say(done);
    const target = this.shown instanceof HTMLElement ? this.shown.querySelector<HTMLElement>("h2,h3,h4") : null;
    (target ?? this.body.querySelector<HTMLElement>("[part~=heading]"))?.focus();
  }

  private try(work: Promise<unknown>, self?: HTMLButtonElement): void {
    work.catch((error: unknown) => {
      this.fail(error);
      if (self !== undefined && error instanceof PylonError) hold(self, self.textContent ?? "", error.retryAfter ?? 0);
    });
  }

  private titled(text: string, ...children: readonly Child[]): HTMLElement {
    const level = `h${this.level + 1}` as "h2" | "h3" | "h4";
    return h("section", { "aria-label": text, part: "section" }, h(level, { tabindex: "-1" }, text), ...children);
  }

  // --- who one is

  private head(): HTMLElement {
    const { email, roles, is_guest } = this.account;
    return h("div", {},
      h(`h${this.level}`, { part: "heading", tabindex: "-1" }, "Your account"),
      h("p", {}, is_guest ? "You are a guest: without an address, this browser alone signs you in." : "You are ",
        ...is_guest ? [] : [h("strong", {}, email ?? "signed in by a provider"), roles.length === 0 ? "." : `, with the roles ${roles.join(", ")}.`]),
      h("div", { class: "row" },
        h("a", { href: "/", part: "button secondary" }, "Back to the app"),
        ...is_guest ? [h("a", { href: "/auth/?next=/", part: "button primary" }, "Keep it: sign in")] : [],
        button("Sign out", () => { this.try(this.database.auth.signOut()); })));
  }

  /** Returns the inputs that prove once more who is there, and how they are read. */
  private proof(): { fields: readonly Field[]; extra: readonly Child[]; read: (values: Values) => object } {
    const { password, totp, email, is_guest } = this.account;
    const fields: Field[] = [];
    const extra: Child[] = [];
    if (password) {
      fields.push({ name: "current", label: "Your present password", attributes: { type: "password", autocomplete: "current-password", maxlength: "1024" } });
    } else if (email !== null && !is_guest) {
      fields.push({ name: "code", label: `Code, sent to ${email}`, attributes: { class: "code", autocomplete: "one-time-code", spellcheck: "false", maxlength: "40" } });
      extra.push(heldButton("Send me a code", (self) => {
        this.try(this.database.auth.sendCode(email).then(() => {
          this.clear();
          this.say(`A code is on its way to ${email}.`);
          hold(self, "Send me a code", 30);
        }), self);
      }));
    }
    if (totp) {
      fields.push({ name: "totp", label: "Code of your authenticator app", attributes: { class: "code", autocomplete: "off", spellcheck: "false", maxlength: "40" } });
    }
    const names = fields.map(({ name }) => name);
    return { fields, extra, read: (values) => Object.fromEntries(names.map((name) => [name, (values[name] ?? "")])) };
  }

  /** A form behind a summary that asks for the proof before it does something. */
  private proven(summary: string, submit: string, fields: readonly Field[], work: (body: Values) => Promise<void>, isDanger = false): HTMLDetailsElement {
    const proof = this.proof();
    // Password managers want to know whose password it is.
    const whose = h("input", { autocomplete: "username", value: this.account.email ?? "", hidden: true, tabindex: "-1", "aria-hidden": "true" });
    return h("details", {}, h("summary", {}, summary), this.form({
      fields: [...fields, ...proof.fields], extra: [whose, ...proof.extra], submit, wrong: WRONG_PROOF, danger: isDanger,
      work: (values) => work({ ...Object.fromEntries(fields.map(({ name }) => [name, values[name] ?? ""])), ...proof.read(values) }),
    }));
  }

  // --- ways in

  private password(): HTMLElement {
    const text = this.account.password ? "Change the password" : "Set a password";
    return this.titled("Password", this.proven(text, text, [{
      name: "password", label: "New password", hint: "At least 10 characters. All your other sessions end.",
      attributes: { type: "password", autocomplete: "new-password", minlength: "10", maxlength: "1024" },
    }], (body) => this.act("POST", "password/change", body, "The password is set; your other sessions ended.")));
  }

  private factor(): HTMLElement {
    const { totp, recovery_left } = this.account;
    const begin = this.proven(totp ? "Set up another authenticator app" : "Set up an authenticator app", "Begin", [], (body) =>
      this.act("POST", "totp", body, "Add this to your authenticator app, then type its code.", (answer) => this.enrolment(answer as { secret: string; url: string })));
    if (!totp) return this.titled("Second factor", h("p", {}, "A code of an app on your phone, asked for at each sign-in."), begin);
    return this.titled("Second factor",
      h("p", {}, `It is on. ${recovery_left} recovery codes are left.`), begin,
      this.proven("Turn it off", "Turn the second factor off", [], (body) => this.act("DELETE", "totp", body, "The second factor is off."), true));
  }

  private enrolment({ secret, url }: { secret: string; url: string }): Node {
    return this.titled("Your authenticator app",
      h("p", {}, "Add an account with this key (time-based, 6 digits, 30 seconds):"),
      h("p", {}, h("code", { class: "secret" }, secret.replace(/(.{4})(?=.)/g, "$1 "))),
      h("p", {}, h("a", { href: url }, "Open it in an app on this device")),
      this.form({
        fields: [{ name: "totp", label: "Code that the app shows", hint: "6 digits.", attributes: { class: "code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "10" } }],
        submit: "Turn it on", wrong: "This code is wrong. Look whether the clock of your phone is right, then type the code that it shows now.",
        work: ({ totp = "" }) => this.act("POST", "totp/confirm", { totp: totp.trim() }, "The second factor is on.", (answer) => this.recovery((answer as { recovery: readonly string[] }).recovery)),
      }));
  }

  private recovery(codes: readonly string[]): Node {
    return this.titled("Recovery codes",
      h("p", {}, "Each signs you in once when your phone is lost. They are shown now and never again: keep them away from your phone."),
      h("ul", {}, ...codes.map((code) => h("li", {}, h("code", {}, code)))));
  }

  private async providers(all: readonly Provider[]): Promise<HTMLElement> {
    const { identities } = await this.get<{ identities: readonly Identity[] }>("identities");
    const items = all.map((one) => {
      const linked = identities.find(({ provider }) => provider === one.name);
      if (linked === undefined) {
        return h("li", {}, one.label, h("a", {
          // Its own answer leads back here: nowhere else is linking asked for.
          href: `${one.start}?link=1&next=/`, part: "button secondary",
        }, `Link ${one.label}`));
      }
      return h("li", {}, `${one.label}${linked.email === null ? "" : `: ${linked.email}`}`,
        button(`Unlink ${one.label}`, () => { this.try(this.act("DELETE", `identities/${one.name}`, undefined, `${one.label} signs you in no more.`)); }));
    });
    return this.titled("Providers", h("ul", {}, ...items));
  }

  // --- sessions and tokens

  private sessions(all: readonly Session[]): HTMLElement {
    const sessions = all.filter(({ kind }) => kind === "session");
    const items = sessions.map((one) => {
      const name = deviceOf(one.device);
      return h("li", {},
        h("span", {}, h("strong", {}, name), h("br"), h("span", { class: "quiet" }, one.current ? "this browser" : `last seen ${when(one.last_seen ?? one.created_at)}`)),
        ...one.current ? [] : [button("End", () => { this.try(this.act("DELETE", `sessions/${one.id}`, undefined, "The session ended.")); }, { "aria-label": `End the session of ${name}, begun ${when(one.created_at)}` })]);
    });
    const rest = all.some(({ current }) => !current)
      ? [button("End all others, and all tokens", () => { this.try(this.act("DELETE", "sessions", undefined, "All others ended.")); })] : [];
    return this.titled("Where you are signed in", h("ul", {}, ...items), ...rest);
  }

  private tokens(all: readonly Session[]): HTMLElement {
    const tokens = all.filter(({ kind }) => kind === "token");
    const items = tokens.map((one) => h("li", {},
      h("span", {}, h("strong", {}, one.name ?? "without a name"), h("br"), h("span", { class: "quiet" }, `until ${when(one.expires_at)}`)),
      button("Revoke", () => { this.try(this.act("DELETE", `sessions/${one.id}`, undefined, "The token works no more.")); }, { "aria-label": `Revoke the token ${one.name ?? "without a name"}, made ${when(one.created_at)}` })));
    const make = h("details", {}, h("summary", {}, "Make a token"), this.form({
      fields: [
        { name: "name", label: "Name", hint: "What it is for.", attributes: { autocomplete: "off", maxlength: "100" } },
        { name: "days", label: "Days that it works", attributes: { type: "number", inputmode: "numeric", min: "1", max: "3650", value: "90" } },
      ],
      submit: "Make a token",
      work: ({ name, days }) => this.act("POST", "tokens", { name, days: Number(days) }, "The token is made.", (answer) => this.titled("Your new token",
        h("p", {}, "It is shown now and never again. Whoever has it is you."),
        h("p", {}, h("code", { class: "secret" }, (answer as { token: string }).token)))),
    }));
    const lead = h("p", {}, "For programs that do something in your name.");
    return this.titled("API tokens", lead, ...items.length === 0 ? [] : [h("ul", {}, ...items)], make);
  }

  // --- leaving

  private leaving(): HTMLElement {
    return this.titled("Your data",
      h("p", {}, h("a", { href: "/api/auth/export", download: "export.json" }, "Download everything that is yours")),
      this.proven("Delete the account", "Delete my account for ever", [], async (body) => {
        await this.database.auth.ask("DELETE", "me", body);
        await this.database.auth.signOut();
        this.say("The account is deleted.");
      }, true));
  }

  protected override async changed(database: Database): Promise<void> {
    this.shown = null;
    try {
      await this.draw(database);
    } catch (error) {
      this.fail(new Error(inWords(error)));
    }
  }
}

/** Names a browser by the little that people know it by. */
function deviceOf(agent: string | null): string {
  if (agent === null || agent === "") return "unknown device";
  const browser = /Edg|OPR|Firefox|Chrome|Safari/.exec(agent)?.[0];
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(agent)?.[0];
  const names: Readonly<Record<string, string>> = { Edg: "Edge", OPR: "Opera", "Mac OS": "a Mac" };
  if (browser === undefined) return agent.slice(0, 60);
  return `${names[browser] ?? browser}${system === undefined ? "" : ` on ${names[system] ?? system}`}`;
}

function when(text: string): string {
  return new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
