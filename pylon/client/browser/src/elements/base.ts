// What the elements share: a shadow root with the sheet, a database, one message and one error that
// screen readers are told of, and forms that say what went wrong and where.

import { connect, PylonError, type Database } from "../index.ts";
import { button, h, type Attributes, type Child } from "./dom.ts";
import sheetText from "./elements.css";
import { inWords } from "./words.ts";

/** One input of a form. */
export interface Field {
  readonly name: string;
  readonly label: string;
  readonly attributes?: Attributes;
  readonly hint?: string;
}

export interface FormOptions {
  readonly fields: readonly Field[];
  readonly submit: string;
  /** Does it; what it throws is shown. */
  readonly work: (values: Readonly<Record<string, string>>) => Promise<void>;
  /** What UNAUTHENTICATED means here. */
  readonly wrong?: string;
  readonly danger?: boolean;
  /** Stands between the inputs and the button. */
  readonly extra?: readonly Child[];
}

/** The elements of one page share a connection; a page that has one hands it in by `db`. */
let shared: Promise<Database> | undefined;
let sheet: CSSStyleSheet | undefined;
let count = 0;

export abstract class PylonElement extends HTMLElement {
  /** The database; without one the element connects by itself when it comes onto a page. */
  db: Database | undefined;
  protected readonly body = h("div");
  private readonly note = h("p", { role: "status", part: "note" });
  private readonly error = h("p", { role: "alert", part: "error" });
  private stop: (() => void) | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    if (sheet === undefined) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(sheetText);
    }
    root.adoptedStyleSheets = [sheet];
    root.append(this.note, this.body, this.error);
  }

  connectedCallback(): void {
    this.open().catch((error: unknown) => { this.fail(error); });
  }

  disconnectedCallback(): void {
    this.stop?.();
    this.stop = undefined;
  }

  /** Shows what there is to show. */
  protected abstract draw(database: Database): void | Promise<void>;

  /** Shows it anew when somebody signs in or out, in this tab or another. */
  protected changed(database: Database): void | Promise<void> {
    return this.draw(database);
  }

  private async open(): Promise<void> {
    const database = this.db ??= await (shared ??= connect());
    if (!this.isConnected) return;
    this.stop?.();
    await this.draw(database);
    if (!this.isConnected) return;
    this.stop = database.auth.onChange(() => {
      Promise.resolve(this.changed(database)).catch((error: unknown) => { this.fail(error); });
    });
  }

  /** Tells something that is no error; screen readers say it. */
  protected say(text: string): void {
    this.note.textContent = text;
  }

  protected fail(error: unknown, wrong?: string): void {
    this.error.textContent = inWords(error, wrong);
  }

  protected clear(): void {
    this.say("");
    this.error.textContent = "";
    this.body.after(this.error);
  }

  /** The level of the element's heading: `level="1"` where it is the page. */
  protected get level(): 1 | 2 | 3 {
    const given = Number(this.getAttribute("level") ?? 2);
    return given === 1 || given === 3 ? given : 2;
  }

  /** Makes a form. What went wrong stands above its button, and the input that it is about is marked. */
  protected form(options: FormOptions): HTMLFormElement {
    const inputs = new Map<string, HTMLInputElement>();
    const labels = options.fields.map(({ name, label, attributes = {}, hint }) => {
      const input = h("input", { name, part: "input", required: true, ...attributes });
      inputs.set(name, input);
      const parts: Child[] = [h("label", { part: "label" }, h("span", {}, label), input)];
      if (hint !== undefined) {
        const id = `hint-${++count}`;
        input.setAttribute("aria-describedby", id);
        parts.push(h("span", { class: "hint", part: "hint", id }, hint));
      }
      return h("div", { class: "field" }, ...parts);
    });
    const go = h("button", { part: options.danger === true ? "button danger" : "button primary" }, options.submit);
    // Not `disabled`: the focus would be lost, and screen readers would not say why.
    const isHeld = (): boolean => go.getAttribute("aria-disabled") === "true";
    const submit = async (): Promise<void> => {
      if (isHeld()) return;
      this.clear();
      // Where somebody looks who just pressed the button.
      go.before(this.error);
      for (const input of inputs.values()) input.removeAttribute("aria-invalid");
      go.setAttribute("aria-disabled", "true");
      let seconds: number | undefined;
      try {
        await options.work(Object.fromEntries([...inputs].map(([name, input]) => [name, input.value])));
      } catch (error) {
        this.fail(error, options.wrong);
        seconds = error instanceof PylonError ? error.retryAfter : undefined;
        const field = error instanceof PylonError ? error.details["field"] : undefined;
        const named = typeof field === "string" ? inputs.get(field) : undefined;
        const blamed = named ?? [...inputs.values()].filter((one) => !one.readOnly).at(-1);
        if (seconds === undefined && isAboutInput(error)) blamed?.setAttribute("aria-invalid", "true");
        blamed?.focus();
      }
      hold(go, options.submit, seconds ?? 0);
    };
    return h("form", {
      onsubmit: (event) => { event.preventDefault(); void submit(); },
    }, ...labels, ...options.extra ?? [], go);
  }
}

/** Keeps a button from acting for so many seconds, and says so on it. */
export function hold(one: HTMLButtonElement, text: string, seconds: number): void {
  const until = Date.now() + seconds * 1000;
  const tick = (): void => {
    const left = Math.ceil((until - Date.now()) / 1000);
    one.toggleAttribute("aria-disabled", false);
    one.textContent = left > 0 ? `${text} (in ${left} s)` : text;
    if (left <= 0) return;
    one.setAttribute("aria-disabled", "true");
    setTimeout(tick, 250);
  };
  tick();
}

/** Makes a button that can be held back. */
export function heldButton(text: string, act: (self: HTMLButtonElement) => void, attributes: Attributes = {}): HTMLButtonElement {
  const self: HTMLButtonElement = button(text, () => {
    if (self.getAttribute("aria-disabled") !== "true") act(self);
  }, attributes);
  return self;
}

function isAboutInput(error: unknown): boolean {
  return error instanceof PylonError && (error.code === "UNAUTHENTICATED" || error.code === "INVALID_ARGUMENT" || error.code === "CONFLICT");
}
