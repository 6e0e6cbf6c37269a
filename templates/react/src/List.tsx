import { type FormEvent, useState } from "react";
import { PylonError, type RefusalCode } from "./pylon";
import { useAuth, useCall, useMutation, useQuery, useStatus } from "./pylon/react";

const words: Record<RefusalCode, string> = {
  NOTHING_DONE: "Tick something off first.",
};

/** Returns what to say of a failure: the app's own refusals in the page's words. */
function said(error: unknown): string {
  if (!(error instanceof PylonError)) return String(error);
  return words[error.code as RefusalCode] ?? error.message;
}

export function List() {
  const { user, loading, signIn, signOut } = useAuth();
  if (loading) return <p>…</p>;
  if (!user) {
    return (
      <>
        <h1>List</h1>
        <p>A list that everybody who is signed in has, as it is now.</p>
        <button onClick={() => signIn()}>Sign in</button>
      </>
    );
  }
  return (
    <>
      <header>
        <h1>List</h1>
        <Connection />
        <button onClick={() => void signOut()}>Sign out {user.email}</button>
      </header>
      <Items me={user.user_id} />
    </>
  );
}

function Connection() {
  const { state, pending } = useStatus();
  return <span role="status">{pending > 0 ? `${state}, ${pending} to send` : state}</span>;
}

function Items({ me }: { me: string }) {
  const { rows, ready } = useQuery("Item", { order: ["addedAt"] });
  const items = useMutation("Item");
  const clearing = useCall("clearDone");
  const [problem, setProblem] = useState("");

  // Shown at once; what the server refuses is taken back, and said.
  const attempt = (work: Promise<unknown>) => {
    setProblem("");
    work.catch((error: unknown) => setProblem(said(error)));
  };
  const add = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const title = String(new FormData(form).get("title")).trim();
    form.reset();
    if (title !== "") attempt(items.insert({ title }));
  };

  return (
    <>
      <form onSubmit={add}>
        <input name="title" aria-label="New item" maxLength={200} autoComplete="off" />
        <button>Add</button>
      </form>
      <ul>
        {rows.map((item) => (
          <li key={item.id}>
            <label>
              <input
                type="checkbox"
                checked={item.done}
                onChange={() => attempt(items.update(item.id, { done: !item.done }))}
              />
              {item.title}
            </label>
            {item.addedBy === me && (
              <button aria-label={`Delete ${item.title}`} onClick={() => attempt(items.delete(item.id))}>×</button>
            )}
          </li>
        ))}
      </ul>
      {rows.length === 0 && <p>{ready ? "Nothing to do yet." : "loading …"}</p>}
      <button onClick={() => attempt(clearing.call())}>Clear what I have done</button>
      {problem !== "" && <p role="alert">{problem}</p>}
    </>
  );
}
