// The public names of `/_pylon/elements.js`: sign-in, the account and the signed-in user as elements.

import { PylonAccount } from "./account.ts";
import { PylonSignIn } from "./sign-in.ts";
import { PylonUser } from "./user.ts";

for (const [name, element] of [["pylon-sign-in", PylonSignIn], ["pylon-account", PylonAccount], ["pylon-user", PylonUser]] as const) {
  if (customElements.get(name) === undefined) customElements.define(name, element);
}

declare global {
  interface HTMLElementTagNameMap {
    "pylon-sign-in": PylonSignIn;
    "pylon-account": PylonAccount;
    "pylon-user": PylonUser;
  }
}

export { PylonAccount } from "./account.ts";
export { PylonSignIn } from "./sign-in.ts";
export { PylonUser } from "./user.ts";
