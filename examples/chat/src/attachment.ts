// An image for the next message: chosen, uploaded with its progress on the screen, or taken back.

import type { Database } from "/_pylon/client.js";
import { h } from "./dom.ts";
import type { App, Message } from "./pylon.gen.ts";

type Made = NonNullable<Message["attachment"]>;

export class Attachment {
  /** What is shown of it. */
  readonly line = h("p", { class: "attached", hidden: true, "aria-live": "polite" });
  /** The image that goes with the next message. */
  made: Made | undefined;
  private uploading: AbortController | undefined;
  private isWaiting = false;

  constructor(
    private readonly db: Database<App>,
    private readonly changed: () => void,
    private readonly failed: (problem: unknown) => void,
  ) {}

  /** Tells whether its upload is under way, so that a message waits. */
  get isUploading(): boolean {
    return this.isWaiting;
  }

  async choose(file: File): Promise<void> {
    this.drop();
    const own = this.uploading = new AbortController();
    const bar = h("progress", { value: "0", max: "1", "aria-label": `Uploading ${file.name}` });
    this.line.hidden = false;
    this.isWaiting = true;
    this.changed();
    this.line.replaceChildren(h("span", { class: "name" }, file.name), bar,
      h("button", { type: "button", class: "plain", onclick: () => this.drop() }, "remove"));
    try {
      this.made = await this.db.upload(file, {
        signal: own.signal, onProgress: ({ loaded, total }) => { bar.value = total === 0 ? 1 : loaded / total; },
      });
      bar.remove();
    } catch (problem) {
      if (own.signal.aborted) return;
      this.drop();
      this.failed(problem);
    }
    this.isWaiting = false;
    this.changed();
  }

  /** Returns the image for a message that is sent now, and has none any more. */
  take(): Made | undefined {
    const made = this.made;
    this.uploading = undefined;
    this.drop();
    return made;
  }

  drop(): void {
    this.uploading?.abort();
    this.uploading = this.made = undefined;
    this.line.hidden = true;
    this.isWaiting = false;
    this.changed();
  }
}
