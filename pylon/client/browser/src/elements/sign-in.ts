// <pylon-sign-in>: all ways in that the app has turned on. With `page` it is the page /auth/, and
// reads what the runtime put into its address.

import { PylonError, type Database, type Me } from "../index.ts";
import { heldButton, hold, PylonElement, type Field } from "./base.ts";
import { button, h, type Child } from "./dom.ts";
import { safeNext } from "./safe-next.ts";
import { providerWords } from "./words.ts";

/** `GET /api/auth/providers`. */
interface Ways {
  readonly methods: readonly string[];
  readonly oauth: readonly { readonly name: string; readonly label: string; readonly start: string }[];
  readonly dev_login: boolean;
}

type Form = "code" | "password" | "register" | "forgot";

/** The runtime that serves this script puts its app's name in the place of the mark. */
const SERVED_BY = "__PYLON_APP__";
const RESEND_SECONDS = 30;
const WRONG_CODE = "This code is wrong, used up, or older than ten minutes. Look at the newest mail, or have another one sent.";
const WRONG_PASSWORD = "This address and this password do not go together. Check both, or choose a new password.";
const WRONG_FACTOR = "This code of your second factor is wrong or was used already. Wait for the next one, or take a recovery code.";
const WRONG_LINK = "This link was used already, or is too old. Have a new one sent.";

const EMAIL: Field = {
  name: "email", label: "E-mail",
  attributes: { type: "email", autocomplete: "username email", spellcheck: "false", maxlength: "254" },
};
const CODE: Field = {
  name: "code", label: "Code", hint: "8 letters and digits; spaces and dashes do not matter.",
  attributes: {
    class: "code", autocomplete: "one-time-code", autocapitalize: "characters", spellcheck: "false", maxlength: "40",
  },
};
const NEW_PASSWORD: Field = {
  name: "password", label: "New password", hint: "At least 10 characters.",
  attributes: { type: "password", autocomplete: "new-password", minlength: "10", maxlength: "1024" },
};

export class PylonSignIn extends PylonElement {
  private ways: Ways = { methods: [], oauth: [], dev_login: false };
  private database!: Database;
  private email = "";
  private isShown = false;
  /** Whatever the address of the page says is said once. */
  private query = new URLSearchParams();

  protected override async draw(database: Database): Promise<void> {
    this.database = database;
    if (!this.isShown && this.hasAttribute("page")) this.query = new URLSearchParams(location.search);
    const [ways, me] = await Promise.all([database.auth.ask("GET", "providers"), database.auth.me()]);
    this.ways = ways as Ways;
    if (location.pathname === "/auth/link" && this.hasAttribute("page") && !this.isShown) return this.link();
    if (this.query.get("step") === "totp") return this.factor((totp) => database.auth.enter("totp/verify", { totp }));
    this.welcome(me);
    const reason = this.query.get("error");
    if (reason !== null) this.fail(new PylonError({ code: "PROVIDER", message: providerWords(reason) }));
  }

  protected override changed(database: Database): void {
    // Only the end of one's own sign-in leads on; that of another tab just shows here.
    if (this.isBusy) return;
    this.query = new URLSearchParams(this.query.has("next") ? { next: this.next } : {});
    this.welcome(database.auth.user ?? null);
  }

  private isBusy = false;

  /** Where it leads afterwards: nowhere where neither the page nor the attribute says. */
  private get next(): string {
    const given = this.hasAttribute("page") ? this.query.get("next") : this.getAttribute("next");
    return safeNext(given);
  }

  private get app(): string {
    return this.getAttribute("app") ?? decodeURIComponent(SERVED_BY);
  }

  private has(method: string): boolean {
    return this.ways.methods.includes(method);
  }

  // --- steps

  /** Shows a step; whoever came here by a key or a click finds the focus in its first input. */
  private step(heading: string, ...children: readonly Child[]): void {
    const title = h(`h${this.level}`, { part: "heading", tabindex: "-1" }, heading);
    this.clear();
    this.body.replaceChildren(title, ...children);
    const first = this.body.querySelector<HTMLElement>("input:not([readonly])") ?? title;
    if (this.isShown || this.level === 1) first.focus();
    this.isShown = true;
  }

  private welcome(me: Me | null): void {
    if (me !== null && me.email !== "") return this.done(me);
    this.start(this.has("magic") || this.has("link") ? "code" : "password", me !== null);
  }

  private done(me: Me): void {
    this.step(
      `Signed in to ${this.app}`,
      h("p", {}, "You are ", h("strong", {}, me.email), "."),
      h("div", { class: "stack" },
        h("a", { href: this.next, part: "button primary" }, "Continue"),
        h("a", { href: "/auth/account", part: "button secondary" }, "Your account"),
        button("Sign out", () => {
          this.database.auth.signOut().then(() => { this.say("You are signed out."); }, (error: unknown) => { this.fail(error); });
        })),
    );
  }

  /** The first step: what is shown of it is what the app has turned on. */
  private start(form: Form, isGuest = false): void {
    const hasCode = this.has("magic") || this.has("link");
    const others: Child[] = [];
    if (this.has("password")) {
      if (form === "code") others.push(this.way("Use a password", () => { this.start("password"); }));
      else if (hasCode) others.push(this.way("Have a code sent instead", () => { this.start("code"); }));
      if (form === "password") {
        others.push(
          this.way("Create an account", () => { this.start("register"); }),
          this.way("Forgot your password?", () => { this.start("forgot"); }));
      } else if (form !== "code") others.push(this.way("I have a password", () => { this.start("password"); }));
    }
    const hasForm = hasCode || this.has("password");
    const children: Child[] = [];
    if (isGuest) children.push(h("p", {}, "You are here as a guest. With an address you keep what you made."));
    if (hasForm) children.push(this.formOf(form), ...others);
    if (hasForm && this.ways.oauth.length > 0) children.push(h("p", { class: "or" }, "or"));
    if (this.ways.oauth.length > 0) children.push(h("div", { class: "stack" }, ...this.ways.oauth.map((one) => this.provider(one))));
    if (isGuest) children.push(h("a", { href: this.next, part: "button secondary" }, "Continue as a guest"));
    else if (this.has("guest")) children.push(this.guest());
    if (this.ways.dev_login) children.push(this.devLogin());
    if (children.length === 0) children.push(h("p", {}, "This app has no way to sign in: see auth.methods in its settings."));
    const headings: Readonly<Record<Form, string>> = {
      code: `Sign in to ${this.app}`, password: `Sign in to ${this.app}`,
      register: `Create an account for ${this.app}`, forgot: `Choose a new password for ${this.app}`,
    };
    this.step(headings[form], ...children);
  }

  private way(text: string, act: () => void): HTMLButtonElement {
    return button(text, act, { part: "button link" });
  }

  private formOf(form: Form): HTMLFormElement {
    const email: Field = { ...EMAIL, attributes: { ...EMAIL.attributes, value: this.email } };
    const keep = (values: Readonly<Record<string, string>>): string => (this.email = (values["email"] ?? "").trim());
    switch (form) {
      case "code": case "forgot": {
        const what = form === "code" && this.has("link") ? "Send me a code and a link" : "Send me a code";
        return this.form({
          fields: [email], submit: what,
          work: async (values) => {
            await this.database.auth.sendCode(keep(values));
            this.code(form === "forgot");
          },
        });
      }
      case "password": return this.form({
        fields: [email, { name: "password", label: "Password", attributes: { type: "password", autocomplete: "current-password", maxlength: "1024" } }],
        submit: "Sign in", wrong: WRONG_PASSWORD,
        work: (values) => this.enter("password/login", { email: keep(values), password: values["password"] }),
      });
      case "register": return this.form({
        fields: [email, NEW_PASSWORD], submit: "Create an account",
        work: (values) => this.enter("password/register", { email: keep(values), password: values["password"] }),
      });
      default: return form satisfies never;
    }
  }

  private code(isReset: boolean): void {
    const hasLink = !isReset && this.has("link");
    const resend = heldButton("Send another code", (self) => {
      this.database.auth.sendCode(this.email).then(() => {
        this.clear();
        this.say("Another code is on its way.");
        hold(self, "Send another code", RESEND_SECONDS);
      }, (error: unknown) => {
        this.fail(error);
        if (error instanceof PylonError) hold(self, "Send another code", error.retryAfter ?? 0);
      });
    }, { part: "button link" });
    hold(resend, "Send another code", RESEND_SECONDS);
    const address: Field = { ...EMAIL, attributes: { ...EMAIL.attributes, value: this.email, readonly: true } };
    this.step(
      isReset ? `Choose a new password for ${this.app}` : `Your code for ${this.app}`,
      h("p", {}, "If ", h("strong", {}, this.email), ` can sign in to ${this.app}, a code is on its way there. It works in this browser, once, for ten minutes.`,
        hasLink ? " The mail has a link, too." : ""),
      ...this.ways.dev_login ? [h("p", { class: "quiet" }, "In development it is on the dashboard's Mail screen and in .pylon/outbox/.")] : [],
      this.form({
        fields: isReset ? [address, CODE, NEW_PASSWORD] : [CODE],
        submit: isReset ? "Set the password and sign in" : "Sign in", wrong: WRONG_CODE,
        work: (values) => isReset
          ? this.enter("password/reset", { email: this.email, code: values["code"], password: values["password"] })
          : this.enter("magic/verify", { email: this.email, code: values["code"] }),
      }),
      resend,
      this.way("Use another address", () => { this.start(isReset ? "forgot" : "code"); }),
    );
    this.say(`A code was asked for, for ${this.email}.`);
  }

  /** The page of a one-time link. Looking at it uses nothing up; whoever is here means it. */
  private link(needsAddress = false): void {
    const t = new URLSearchParams(location.hash.slice(1) || location.search).get("t") ?? "";
    this.step(
      `Sign in to ${this.app}`,
      h("p", {}, needsAddress ? "Another browser asked for this link. Which address was it sent to?" : "You opened a sign-in link."),
      this.form({
        fields: needsAddress ? [EMAIL] : [], submit: "Sign in", wrong: WRONG_LINK,
        work: async (values) => {
          try {
            await this.enter("link", needsAddress ? { t, email: values["email"] } : { t });
          } catch (error) {
            if (needsAddress || !(error instanceof PylonError) || error.details["confirm"] !== "email") throw error;
            this.link(true);
          }
        },
      }),
      h("a", { href: "/auth/", part: "button link" }, "Sign in another way"),
    );
  }

  private factor(send: (totp: string) => Promise<unknown>): void {
    this.step(
      `Second step for ${this.app}`,
      this.form({
        fields: [{
          name: "totp", label: "Code of your authenticator app", hint: "6 digits, or one of your recovery codes.",
          attributes: { class: "code", autocomplete: "one-time-code", spellcheck: "false", maxlength: "40" },
        }],
        submit: "Sign in", wrong: WRONG_FACTOR,
        work: async ({ totp = "" }) => {
          try {
            await this.arrive(() => send(totp.trim()));
          } catch (error) {
            // Not the code is wrong, but the time is up.
            if (!(error instanceof PylonError) || error.code !== "UNAUTHENTICATED" || "second_factor" in error.details) throw error;
            this.welcome(null);
            throw new PylonError({ code: "EXPIRED", message: error.message, ...error.hint === undefined ? {} : { hint: error.hint } });
          }
        },
      }),
      this.way("Begin again", () => {
        this.query.delete("step");
        this.welcome(null);
      }),
    );
  }

  // --- ways

  private provider(one: Ways["oauth"][number]): HTMLAnchorElement {
    const next = this.hasAttribute("page") || this.hasAttribute("next") ? this.next : safeNext(location.pathname + location.search);
    const href = `${one.start}?next=${encodeURIComponent(next)}`;
    return h("a", {
      href, part: "button secondary",
      onclick: (event) => {
        event.preventDefault();
        // Who comes back may be another: rows that are shown now go first.
        void this.database.auth.leave().finally(() => { location.assign(href); });
      },
    }, `Continue with ${one.label}`);
  }

  private guest(): HTMLButtonElement {
    return heldButton("Continue as a guest", (self) => {
      this.clear();
      this.enter("guest", {}).catch((error: unknown) => {
        this.fail(error);
        if (error instanceof PylonError) hold(self, "Continue as a guest", error.retryAfter ?? 0);
      });
    });
  }

  private devLogin(): HTMLDetailsElement {
    return h("details", { class: "dev" }, h("summary", {}, "Development: sign in as anybody"), this.form({
      fields: [
        { ...EMAIL, attributes: { ...EMAIL.attributes, autocomplete: "off" } },
        {
          name: "roles", label: "Roles", hint: "With commas between them; empty leaves them as they are.",
          attributes: { required: false, autocomplete: "off", spellcheck: "false" },
        },
      ],
      submit: "Sign in without a code",
      work: ({ email = "", roles = "" }) => {
        const list = roles.split(",").map((one) => one.trim()).filter((one) => one !== "");
        return this.enter("dev/login", list.length === 0 ? { email } : { email, roles: list });
      },
    }));
  }

  // --- arriving

  private async enter(route: string, body: object): Promise<void> {
    try {
      await this.arrive(() => this.database.auth.enter(route, body));
    } catch (error) {
      if (!(error instanceof PylonError) || error.details["second_factor"] !== "totp") throw error;
      // The first half was not used up: it is sent again with the second.
      this.factor((totp) => this.database.auth.enter(route, { ...body, totp }));
    }
  }

  private async arrive(work: () => Promise<unknown>): Promise<void> {
    this.isBusy = true;
    try {
      await work();
    } finally {
      this.isBusy = false;
    }
    const event = new CustomEvent("pylon-signed-in", { bubbles: true, composed: true, cancelable: true });
    if (!this.dispatchEvent(event)) return;
    if (this.hasAttribute("page") || this.hasAttribute("next")) location.replace(this.next);
    else await this.draw(this.database);
  }
}
