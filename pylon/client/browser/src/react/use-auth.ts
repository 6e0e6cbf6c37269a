// Who is signed in, in a component.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Auth, Me } from "../index.ts";
import { useDatabase } from "./provider.ts";

export interface AuthState {
  /** Undefined until the server said who; null for nobody. */
  readonly user: Me | null | undefined;
  /** Roles of the user; none for nobody. */
  readonly roles: readonly string[];
  /** True until the server said who. */
  readonly loading: boolean;
  /** Leaves for the sign-in page, which leads back to this page or to another of the app. */
  readonly signIn: (next?: string) => void;
  readonly sendCode: (email: string) => Promise<void>;
  readonly verifyCode: Auth["verifyCode"];
  readonly devLogin: Auth["devLogin"];
  /** Signs in by a route under `/api/auth/`, such as `password/login`. */
  readonly enter: Auth["enter"];
  readonly signOut: () => Promise<void>;
}

const NONE: readonly string[] = [];

/** Returns the signed-in user and the ways in and out. The functions are the same ones at each render. */
export function useAuth(): AuthState {
  const { auth } = useDatabase();
  const read = (): Me | null | undefined => auth.user;
  const user = useSyncExternalStore(auth.onChange, read, read);
  useEffect(() => {
    if (auth.user === undefined) auth.me().catch(() => undefined);
  }, [auth]);
  const ways = useMemo(() => ({
    signIn: (next?: string) => auth.signIn(next),
    sendCode: (email: string) => auth.sendCode(email),
    verifyCode: (email: string, code: string) => auth.verifyCode(email, code),
    devLogin: (email: string, roles?: readonly string[]) => auth.devLogin(email, roles),
    enter: (route: string, body: object) => auth.enter(route, body),
    signOut: () => auth.signOut(),
  }), [auth]);
  return useMemo(() => ({ user, roles: user?.roles ?? NONE, loading: user === undefined, ...ways }), [user, ways]);
}
