// Who is signed in, in a component.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Auth, Me } from "../index.ts";
import { useDatabase } from "./provider.ts";

export interface AuthState {
  /** Undefined until the server said who; null for nobody. */
  readonly user: Me | null | undefined;
  readonly sendCode: (email: string) => Promise<void>;
  readonly verifyCode: Auth["verifyCode"];
  readonly devLogin: Auth["devLogin"];
  readonly signOut: () => Promise<void>;
}

/** Returns the signed-in user and the ways in and out. */
export function useAuth(): AuthState {
  const { auth } = useDatabase();
  const read = (): Me | null | undefined => auth.user;
  const user = useSyncExternalStore(auth.onChange, read, read);
  useEffect(() => {
    if (auth.user === undefined) auth.me().catch(() => undefined);
  }, [auth]);
  return useMemo(() => ({
    user,
    sendCode: (email) => auth.sendCode(email),
    verifyCode: (email, code) => auth.verifyCode(email, code),
    devLogin: (email, roles) => auth.devLogin(email, roles),
    signOut: () => auth.signOut(),
  }), [auth, user]);
}
