// <pylon-user>: who is signed in, and the way in or out; for the corner of a page.

import type { Database } from "../index.ts";
import { PylonElement } from "./base.ts";
import { button, h } from "./dom.ts";

export class PylonUser extends PylonElement {
  protected override async draw(database: Database): Promise<void> {
    this.show(database, database.auth.user === undefined ? await database.auth.me() : database.auth.user);
  }

  private show(database: Database, me: Database["auth"]["user"]): void {
    this.clear();
    if (me === null || me === undefined) {
      const next = encodeURIComponent(location.pathname + location.search);
      this.body.replaceChildren(h("a", { href: `/auth/?next=${next}`, part: "button primary" }, "Sign in"));
      return;
    }
    const name = me.email === "" ? "Guest" : me.email;
    this.body.replaceChildren(h("div", { class: "row", part: "user" },
      h("a", { href: me.email === "" ? "/auth/" : "/auth/account", part: "name" }, name),
      button("Sign out", () => {
        database.auth.signOut().catch((error: unknown) => { this.fail(error); });
      })));
  }
}
