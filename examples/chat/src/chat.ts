// The chat page: plain DOM over Pylon's client. No framework, no state of its own beside what is
// on the screen: rows come from live queries, and what is typed goes to the database.

import { connect, type Database, type LiveQuery, type Status } from "/_pylon/client.js";
import { Attachment } from "./attachment.ts";
import { h, words, type Child } from "./dom.ts";
import type { App, Channel, Membership, Message } from "./pylon.gen.ts";
import { Watched } from "./watched.ts";

const root = document.querySelector<HTMLElement>("#app")!;

// --- signing in --------------------------------------------------------------------------------

/** All ways in that the settings turn on; in another tab, too. */
async function showSignIn(db: Database<App>): Promise<void> {
  await import("/_pylon/elements.js");
  const signIn = Object.assign(h("pylon-sign-in", { level: "1" }), { db });
  const stop = db.auth.onChange(() => {
    if (db.auth.user == null) return;
    stop();
    void start(db);
  });
  root.replaceChildren(h("main", { class: "signin" }, signIn));
}

// --- the chat ----------------------------------------------------------------------------------

/** A channel's name as it is shown; a private one says so in words that every font has. */
function label(channel: Channel): Child[] {
  const name = h("span", { class: "name" }, `# ${channel.name}`);
  return channel.isPrivate ? [name, " ", h("span", { class: "tag" }, "private")] : [name];
}

class Chat {
  private readonly channels: Watched<"Channel">;
  private readonly memberships: Watched<"Membership">;
  /** Those of the channel on the screen, where they are this user's to choose. */
  private readonly members: Watched<"Membership">;
  private readonly users: Watched<"User">;
  private messages: LiveQuery<Message> | undefined;
  private messageRows: readonly Message[] = [];
  private current: string | undefined;
  private unread = new Map<string, number>();
  private unreadTimer: number | undefined;

  private readonly shell = h("div", { class: "chat" });
  private readonly state = h("span", { class: "state", role: "status" }, "connecting");
  private readonly channelList = h("div");
  private readonly title = h("h2");
  private readonly tools = h("span");
  private readonly membersPanel = h("section", { class: "members", id: "members", "aria-label": "Members", hidden: true });
  private readonly membersButton = h("button", {
    "aria-expanded": "false", "aria-controls": "members", onclick: () => { this.toggleMembers(); },
  }, "Members");
  private readonly list = h("ol", { class: "messages", "aria-label": "Messages" });
  private readonly error = h("p", { class: "error", role: "alert" });
  private readonly body = h("textarea", {
    placeholder: "Write a message", "aria-label": "Message", name: "body", disabled: true,
  });
  private readonly sendButton = h("button", { class: "primary", disabled: true }, "Send");
  private readonly picture = h("input", { type: "file", accept: "image/*", "aria-label": "Attach an image", hidden: true });
  private readonly attachment: Attachment;

  constructor(private readonly db: Database<App>, private readonly me: string, private readonly email: string) {
    this.channels = new Watched(db, "Channel", () => this.drawChannels());
    this.memberships = new Watched(db, "Membership", () => this.drawRoom());
    this.members = new Watched(db, "Membership", () => this.drawRoom());
    this.users = new Watched(db, "User", () => { this.drawMessages(); this.drawRoom(); });
    this.attachment = new Attachment(db, () => this.allowSending(), (problem) => this.fail(problem));
  }

  start(): void {
    this.buildShell();
    this.db.onStatus((status) => this.drawStatus(status));
    this.users.watch({});
    // The newest message anywhere that I may read: when it changes, the unread counts may have.
    this.db.query("Message", { order: ["-sentAt"], limit: 1 }).subscribe(() => this.countUnread());
    this.memberships.watch({ where: { userId: this.me } });
    // All that I may see: whoever invites me into a private channel, or throws me out, moves it here.
    this.channels.watch({ order: ["name"] });
    addEventListener("focus", () => this.markRead());
    // Signed out in another tab, or by the server.
    this.db.auth.onChange(() => {
      if (this.db.auth.user === null) location.reload();
    });
  }

  private buildShell(): void {
    const menu = h("button", {
      class: "menu", onclick: () => { this.toggleMenu(); },
    }, "Channels");
    const out = h("button", {
      onclick: () => { void this.db.auth.signOut().then(() => location.reload()); },
    }, "Sign out");
    const compose = h("form", {
      class: "compose",
      onsubmit: (event) => { event.preventDefault(); this.send(); },
    }, this.picture, h("button", { type: "button", onclick: () => this.picture.click() }, "Image"), this.body, this.sendButton);
    this.picture.addEventListener("change", () => {
      const file = this.picture.files?.[0];
      this.picture.value = "";
      this.error.textContent = "";
      if (file !== undefined) void this.attachment.choose(file);
    });
    this.body.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
    this.shell.append(
      h("header", { class: "top" }, menu, h("strong", {}, "Chat"), this.state,
        h("span", { class: "spacer" }), h("span", { class: "note me" }, this.email), out),
      h("nav", { class: "channels", "aria-label": "Channels" }, this.channelList, this.newChannel()),
      h("main", { class: "room" },
        h("div", {}, h("header", {}, this.title, this.tools), this.membersPanel),
        this.list, h("div", {}, this.error, this.attachment.line, compose)),
    );
    root.replaceChildren(this.shell);
  }

  private toggleMenu(open = this.shell.dataset.menu !== "open"): void {
    this.shell.dataset.menu = open ? "open" : "closed";
  }

  private drawStatus(status: Status): void {
    this.state.dataset.state = status.state;
    const waiting = status.pending > 0 ? `, ${status.pending} waiting` : "";
    this.state.textContent = status.state + waiting;
  }

  private fail(problem: unknown): void {
    this.error.textContent = words(problem);
  }

  // --- channels

  private newChannel(): HTMLElement {
    const name = h("input", {
      name: "channel", placeholder: "New channel", "aria-label": "New channel", maxlength: "40", required: true,
    });
    const hidden = h("input", { type: "checkbox", name: "private" });
    return h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        const chosen = name.value.trim();
        if (chosen !== "") void this.createChannel(chosen, hidden.checked);
        name.value = "";
        hidden.checked = false;
      },
    }, name, h("label", {}, hidden, "private"), h("button", {}, "Create"));
  }

  private async createChannel(name: string, isPrivate: boolean): Promise<void> {
    this.toggleMenu(false);
    try {
      const channel = await this.db.insert("Channel", { name, isPrivate });
      await this.db.insert("Membership", { channelId: channel.id, userId: this.me });
      this.open(channel.id);
    } catch (problem) {
      this.fail(problem);
    }
  }

  private drawChannels(): void {
    const rows = this.channels.rows;
    if (this.current === undefined || !rows.some((row) => row.id === this.current)) {
      const first = rows[0];
      if (first !== undefined) this.enter(first.id);
      else this.leaveRoom();
    }
    this.channelList.replaceChildren(...rows.map((row) => {
      const count = this.unread.get(row.id) ?? 0;
      const button = h("button", {
        class: "channel", "aria-current": String(row.id === this.current),
        onclick: () => { this.open(row.id); this.toggleMenu(false); },
      }, ...label(row));
      if (count > 0 && row.id !== this.current) {
        button.append(h("span", { class: "badge", "aria-label": `${count} unread` }, String(count)));
      }
      return button;
    }));
    if (rows.length === 0 && this.channels.ready) {
      this.channelList.append(h("p", { class: "note" }, "No channel yet. Create the first one."));
    }
    this.countUnread();
  }

  private open(id: string): void {
    if (this.current === id) return;
    this.current = id;
    this.messages?.close();
    this.messageRows = [];
    const query = this.db.query("Message", { where: { channelId: id }, order: ["sentAt"] });
    this.messages = query;
    query.subscribe((rows) => {
      if (this.messages !== query) return;
      this.messageRows = rows;
      this.drawMessages();
      this.markRead();
    });
    this.drawRoom();
    this.drawChannels();
    this.body.focus();
  }

  /** Opens a channel by itself, unless somebody is writing the name of a new one. */
  private enter(id: string): void {
    this.open(id);
    if (this.shell.querySelector("nav input:focus") === null) this.toggleMenu(false);
  }

  /** The channel on the screen is gone, or not ours any more, and there is no other. */
  private leaveRoom(): void {
    this.current = undefined;
    this.messages?.close();
    this.messages = undefined;
    this.messageRows = [];
    this.drawRoom();
    this.drawMessages();
    if (this.channels.ready) this.toggleMenu(true);
  }

  private drawRoom(): void {
    const channel = this.channels.rows.find((row) => row.id === this.current);
    this.title.replaceChildren(...(channel === undefined ? ["No channel"] : label(channel)));
    this.body.disabled = channel === undefined;
    this.allowSending();
    const isMine = channel !== undefined && channel.isPrivate && channel.ownerId === this.me;
    if (!isMine) this.toggleMembers(false);
    else this.members.watch({ where: { channelId: channel.id }, order: ["joinedAt"] });
    // What has the focus stays, so that a keyboard does not lose its place.
    if (isMine && this.tools.contains(this.membersButton)) return this.drawMembers(channel);
    this.tools.replaceChildren();
    if (channel === undefined) return;
    const membership = this.memberships.rows.find((row) => row.channelId === channel.id);
    if (isMine) {
      this.tools.append(this.membersButton);
      this.drawMembers(channel);
    } else if (membership === undefined && !channel.isPrivate) {
      this.tools.append(h("button", {
        onclick: () => {
          this.db.insert("Membership", { channelId: channel.id, userId: this.me }).catch((e: unknown) => this.fail(e));
        },
      }, "Join"));
    } else if (membership !== undefined) {
      this.tools.append(h("button", {
        onclick: () => { this.db.delete("Membership", membership.id).catch((e: unknown) => this.fail(e)); },
      }, "Leave"));
    }
  }

  // --- members of a private channel, for its owner

  private toggleMembers(open = this.membersPanel.hidden): void {
    this.membersPanel.hidden = !open;
    this.membersButton.setAttribute("aria-expanded", String(open));
  }

  private drawMembers(channel: Channel): void {
    const members = this.members.rows.filter((row) => row.channelId === channel.id);
    this.membersButton.textContent = `Members (${members.length})`;
    const chosen = this.membersPanel.querySelector("select")?.value ?? "";
    const focused = this.membersPanel.contains(document.activeElement) ? document.activeElement?.id : undefined;
    this.membersPanel.replaceChildren(
      h("ul", {}, ...members.map((row) => this.drawMember(channel, row))), this.addForm(channel, members),
    );
    const choice = this.membersPanel.querySelector("select");
    if (choice?.querySelector(`option[value="${chosen}"]`) != null) choice.value = chosen;
    if (focused === undefined) return;
    // Whoever was removed by keyboard leaves the focus to the list.
    const again = document.getElementById(focused) ?? choice;
    again?.focus();
  }

  private drawMember(channel: Channel, row: Membership): HTMLElement {
    const name = this.nameOf(row.userId);
    const item = h("li", {}, h("span", { class: "name" }, name));
    if (row.userId === channel.ownerId) item.append(h("span", { class: "tag" }, "owner"));
    else {
      item.append(h("button", {
        id: `remove-${row.id}`, class: "plain", "aria-label": `Remove ${name}`,
        onclick: () => { this.db.delete("Membership", row.id).catch((e: unknown) => this.fail(e)); },
      }, "Remove"));
    }
    return item;
  }

  private addForm(channel: Channel, members: readonly Membership[]): HTMLElement {
    const present = new Set(members.map((row) => row.userId));
    const others = this.users.rows.filter((user) => !present.has(user.id));
    if (others.length === 0) return h("p", { class: "note" }, "Everybody who ever signed in is a member.");
    const choice = h("select", { id: "add-member", "aria-label": "Add a member", required: true },
      h("option", { value: "" }, "Add …"), ...others.map((user) => h("option", { value: user.id }, this.nameOf(user.id))));
    return h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        this.db.insert("Membership", { channelId: channel.id, userId: choice.value })
          .catch((e: unknown) => this.fail(e));
      },
    }, choice, h("button", {}, "Add"));
  }

  // --- messages

  private nameOf(id: string): string {
    return this.users.rows.find((user) => user.id === id)?.name ?? "somebody";
  }

  private drawMessages(): void {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    if (this.messageRows.length === 0) {
      const text = this.current === undefined
        ? "No channel yet. Create one in the list of channels." : "Nothing here yet. Say something.";
      this.list.replaceChildren(h("li", { class: "empty" }, text));
      return;
    }
    const known = new Map<string, HTMLElement>();
    for (const child of this.list.children) {
      if (child instanceof HTMLElement && child.dataset.key !== undefined) known.set(child.dataset.key, child);
    }
    // An element stays as long as its row and its author's name do, so that nothing flickers.
    this.list.replaceChildren(...this.messageRows.map((row) => {
      const key = `${row.id}/${row._seq}/${row.body.length}/${row.editedAt ?? ""}/${this.nameOf(row.authorId)}`;
      return known.get(key) ?? this.drawMessage(row, key);
    }));
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  private drawMessage(row: Message, key: string): HTMLElement {
    const time = new Date(row.sentAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const edited = row.editedAt === null ? "" : " · edited";
    const item = h("li", { class: "message" },
      h("span", { class: "who" }, this.nameOf(row.authorId), h("span", { class: "when" }, time + edited)));
    item.dataset.key = key;
    item.dataset.id = row.id;
    item.dataset.pending = String(row._seq === 0);
    const tools = h("span", { class: "tools" });
    if (row.authorId === this.me) {
      tools.append(
        h("button", { class: "plain", onclick: () => this.edit(row) }, "edit"),
        h("button", {
          class: "plain",
          onclick: () => { this.db.delete("Message", row.id).catch((e: unknown) => this.fail(e)); },
        }, "delete"),
      );
    }
    item.append(tools, h("span", { class: "body" }, row.body));
    if (row.attachment != null) {
      const { url, name } = row.attachment;
      const image = h("img", { src: `${url}?w=512`, alt: name, loading: "lazy" });
      // A runtime without Pillow has the whole picture only.
      image.addEventListener("error", () => { image.src = url; }, { once: true });
      item.append(h("a", { class: "picture", href: url, target: "_blank" }, image));
    }
    return item;
  }

  private edit(row: Message): void {
    const body = prompt("Edit your message", row.body)?.trim();
    if (body === undefined || body === "" || body === row.body) return;
    this.db.update("Message", row.id, { body, editedAt: new Date().toISOString() })
      .catch((e: unknown) => this.fail(e));
  }

  private allowSending(): void {
    this.sendButton.disabled = this.body.disabled || this.attachment.isUploading;
  }

  private send(): void {
    const body = this.body.value.trim();
    if (body === "" || this.current === undefined || this.sendButton.disabled) return;
    const attachment = this.attachment.take();
    this.body.value = "";
    this.error.textContent = "";
    this.list.scrollTop = this.list.scrollHeight;
    this.db.insert("Message", { channelId: this.current, body, ...(attachment === undefined ? {} : { attachment }) }).catch((problem: unknown) => {
      this.fail(problem);
      if (this.body.value === "") this.body.value = body;
    });
  }

  // --- what is unread

  private countUnread(): void {
    if (this.unreadTimer !== undefined) return;
    this.unreadTimer = setTimeout(() => {
      this.unreadTimer = undefined;
      this.db.call("unreadCounts").then((counts) => {
        const next = new Map(Object.entries(counts));
        const same = next.size === this.unread.size && [...next].every(([id, n]) => this.unread.get(id) === n);
        this.unread = next;
        if (!same) this.drawChannels();
      }, () => undefined /* offline: the numbers stay as they are */);
    }, 300);
  }

  private markRead(): void {
    if (this.current === undefined || !document.hasFocus()) return;
    const last = this.messageRows.at(-1);
    if (last === undefined || last.authorId === this.me) return;
    this.db.call("markRead", { channelId: this.current }).then(() => this.countUnread(), () => undefined);
  }
}

async function start(db: Database<App>): Promise<void> {
  const me = await db.auth.me();
  if (me === null) await showSignIn(db);
  else new Chat(db, me.user_id, me.email).start();
}

connect<App>().then(start).catch((problem: unknown) => {
  root.replaceChildren(h("p", { class: "error" }, `The chat could not start: ${words(problem)}`));
});
