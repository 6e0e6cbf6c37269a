// Hands the database down the tree.

import { createContext, createElement, useContext, useEffect, useState, type ReactNode } from "react";
import { connect, type ConnectOptions, type Database } from "../index.ts";

const DatabaseContext = createContext<Database | null>(null);

export interface PylonProviderProps {
  /** A database that is connected already; without one the provider connects by itself. */
  readonly db?: Database;
  readonly options?: ConnectOptions;
  /** What is shown until the database is there. */
  readonly fallback?: ReactNode;
  readonly children?: ReactNode;
}

/** Gives the hooks below it their database. Without `db` it connects, and closes when it leaves. */
export function PylonProvider({ db, options, fallback = null, children }: PylonProviderProps): ReactNode {
  const [own, setOwn] = useState<Database | null>(null);
  const isGiven = db !== undefined;
  useEffect(() => {
    if (isGiven) return undefined;
    let isLeft = false;
    let opened: Database | null = null;
    void connect(options).then((database) => {
      opened = database;
      if (isLeft) database.close();
      else setOwn(database);
    });
    return () => {
      isLeft = true;
      opened?.close();
      setOwn(null);
    };
    // Options are read once, as the arguments of `connect()` are.
  }, [isGiven]);
  const value = db ?? own;
  return createElement(DatabaseContext.Provider, { value }, value === null ? fallback : children);
}

/** Returns the database of the nearest provider. */
export function useDatabase(): Database {
  const db = useContext(DatabaseContext);
  if (db === null) throw new Error("this hook needs a <PylonProvider> above it");
  return db;
}
