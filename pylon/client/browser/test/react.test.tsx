// @vitest-environment happy-dom
// Goal: the hooks show live rows under StrictMode and render only when something changed.

import { act, StrictMode, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connect, type Database } from "../src/index.ts";
import { PylonProvider, useAuth, useCall, useLive, useMutation, useQuery, useRow, useStatus, useUpload, type UploadState } from "../src/react/index.ts";
import { FakeNetwork } from "./fake-network.ts";
import { ModelServer } from "./model-server.ts";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let server: ModelServer;
let network: FakeNetwork;
let db: Database;
let root: Root;
let page: HTMLElement;

beforeEach(async () => {
  server = new ModelServer();
  network = new FakeNetwork(server);
  db = await connect({ url: "http://localhost:4321", store: "memory", surroundings: network.surroundings });
  page = document.createElement("div");
  root = createRoot(page);
});
afterEach(async () => {
  await act(async () => root.unmount());
  db.close();
});

async function show(children: ReactNode): Promise<void> {
  await act(async () => root.render(<StrictMode><PylonProvider db={db}>{children}</PylonProvider></StrictMode>));
  await act(() => network.settle());
}

const later = (change: () => unknown): Promise<void> => act(async () => {
  change();
  await network.settle();
});

test("useQuery shows rows, follows changes, and is still for rows of others", async () => {
  server.write("Note", "a", { text: "1", state: "on" });
  let renders = 0;
  const List = (): ReactNode => {
    const { rows, ready } = useQuery("Note", { where: { state: "on" }, order: ["text"] });
    renders += 1;
    return <p>{ready ? rows.map((row) => String(row["text"])).join(",") : "…"}</p>;
  };
  await show(<List />);
  expect(page.textContent).toBe("1");
  await later(() => server.write("Note", "b", { text: "0", state: "on" }));
  expect(page.textContent).toBe("0,1");
  const before = renders;
  await later(() => server.write("Note", "c", { text: "2", state: "off" }));
  expect(renders).toBe(before);
});

test("useQuery follows its options", async () => {
  server.write("Note", "a", { text: "1", state: "on" });
  server.write("Note", "b", { text: "2", state: "off" });
  const List = ({ state }: { state: string }): ReactNode => <p>{useQuery("Note", { where: { state } }).rows.map((row) => row.id)}</p>;
  await show(<List state="on" />);
  expect(page.textContent).toBe("a");
  await show(<List state="off" />);
  expect(page.textContent).toBe("b");
});

test("useMutation writes at once, useRow shows it, useStatus counts it", async () => {
  server.write("Note", "a", { text: "1" });
  let write: ReturnType<typeof useMutation> | undefined;
  const seen: string[] = [];
  const Editor = (): ReactNode => {
    write = useMutation("Note");
    const { row } = useRow("Note", "a");
    const text = `${String(row?.["text"])} ${useStatus().pending} ${useStatus().state}`;
    seen.push(text);
    return <p>{text}</p>;
  };
  await show(<Editor />);
  expect(page.textContent).toBe("1 0 live");
  await act(async () => { void write?.update("a", { text: "2" }); });
  expect(page.textContent).toBe("2 1 live");
  await later(() => undefined);
  expect(page.textContent).toBe("2 0 live");
  expect(seen.lastIndexOf("1 0 live")).toBeLessThan(seen.indexOf("2 1 live"));
});

test("useCall keeps the last answer and its error", async () => {
  let count: ReturnType<typeof useCall<number>> | undefined;
  let none: ReturnType<typeof useCall> | undefined;
  const Counter = (): ReactNode => {
    count = useCall<number>("count");
    none = useCall("nothing");
    return <p>{`${count.value} ${none.error?.code}`}</p>;
  };
  await show(<Counter />);
  await act(async () => { await count?.call(); await none?.call().catch(() => undefined); });
  expect(page.textContent).toBe("0 NOT_FOUND");
});

test("useAuth says who is signed in, and follows signing out and in", async () => {
  let auth: ReturnType<typeof useAuth> | undefined;
  const seen: string[] = [];
  const Me = (): ReactNode => {
    auth = useAuth();
    const text = auth.loading ? "…" : `${auth.user?.email ?? "nobody"} ${auth.roles.join()}`;
    seen.push(text);
    return <p>{text}</p>;
  };
  await show(<Me />);
  expect(page.textContent).toBe("u1@example.com member");
  const { signOut, enter } = auth!;
  await act(async () => { await auth?.signOut(); await network.settle(); });
  expect(page.textContent).toBe("nobody ");
  expect(auth).toMatchObject({ user: null, roles: [], loading: false });
  await act(async () => { await auth?.enter("dev/login", { email: "b@example.com" }); await network.settle(); });
  expect(page.textContent).toBe("u2@example.com member");
  expect([auth?.signOut, auth?.enter]).toEqual([signOut, enter]);
  expect(seen.indexOf("nobody ")).toBeGreaterThan(seen.indexOf("u1@example.com member"));
});

test("useAuth leaves for the sign-in page, which leads back here", async () => {
  let auth: ReturnType<typeof useAuth> | undefined;
  const Link = (): ReactNode => {
    auth = useAuth();
    return null;
  };
  await show(<Link />);
  const left = vi.spyOn(location, "assign").mockImplementation(() => undefined);
  auth?.signIn("/rooms/7?x=1");
  auth?.signIn();
  expect(left.mock.calls[0]).toEqual(["/auth/?next=%2Frooms%2F7%3Fx%3D1"]);
  expect(left.mock.calls[1]?.[0]).toBe(`/auth/?next=${encodeURIComponent(location.pathname + location.search)}`);
  left.mockRestore();
});

test("useLive shows a function's value, follows its arguments, and is still for equal ones", async () => {
  server.functions = {
    count: ({ state }) => [...server.rows.get("Note")?.values() ?? []].filter((row) => row["state"] === state).length,
  };
  let renders = 0;
  const Count = ({ state }: { state: string }): ReactNode => {
    const { value, ready } = useLive<number>("count", { state });
    renders += 1;
    return <p>{ready ? value : "…"}</p>;
  };
  await show(<Count state="on" />);
  expect(page.textContent).toBe("0");
  await later(() => server.write("Note", "a", { state: "on" }));
  expect(page.textContent).toBe("1");
  const before = renders;
  await later(() => server.write("Note", "b", { state: "off" }));
  expect(renders).toBe(before);
  await show(<Count state="off" />);
  expect(page.textContent).toBe("1");
});

test("useUpload shows how far it is, what it made, and that it was given up", async () => {
  const steps: ((value: unknown) => void)[] = [];
  vi.spyOn(db, "upload").mockImplementation((file, options = {}) => new Promise((resolve, reject) => {
    options.onProgress?.({ loaded: 1, total: file.size });
    options.signal?.addEventListener("abort", () => reject(options.signal!.reason as Error));
    steps.push(resolve as (value: unknown) => void);
  }));
  let state: UploadState | undefined;
  const Form = (): ReactNode => {
    state = useUpload();
    return <p>{state.pending ? `${state.progress?.loaded}/${state.progress?.total}` : state.file?.id ?? "none"}</p>;
  };
  await show(<Form />);
  expect(page.textContent).toBe("none");
  const first = state!.upload;
  await later(() => { void first(new Blob(["abc"])).catch(() => undefined); });
  expect(page.textContent).toBe("1/3");
  await later(() => { steps[0]!({ id: "f1" }); });
  expect(page.textContent).toBe("f1");
  expect(state!.upload).toBe(first);
  await later(() => { void first(new Blob(["abcd"])).catch(() => undefined); });
  expect(page.textContent).toBe("1/4");
  await later(() => state!.cancel());
  expect([page.textContent, state!.error]).toEqual(["none", null]);
});
