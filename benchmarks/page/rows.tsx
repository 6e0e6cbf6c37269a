// The page of `python -m benchmarks.browser`: 10,000 rows behind `useQuery`, and how long a change takes
// from the frame that brings it until React has committed it.

import { useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import { connect } from "../../pylon/client/browser/src/index.ts";
import { PylonProvider, useQuery } from "../../pylon/client/browser/src/react/index.ts";

interface Sample {
  readonly applied: number;
  readonly committed: number;
}

const samples: Sample[] = [];
let frame: { started: number; ended: number; version: number } | null = null;
let shown = 0;

/** Notes when a frame with changes is handled. */
const handler = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
Object.defineProperty(WebSocket.prototype, "onmessage", {
  configurable: true,
  set(this: WebSocket, call: ((event: MessageEvent<string>) => void) | null) {
    handler?.set?.call(this, call === null ? null : (event: MessageEvent<string>) => {
      if (!event.data.includes('"type":"changes"') || event.data.includes('"changes":[]')) return call(event);
      const started = performance.now();
      frame = { started, ended: started, version: shown };
      call(event);
      frame.ended = performance.now();
    });
  },
});

function Rows(): string {
  const { rows, ready } = useQuery("Row", { order: ["n"] });
  useLayoutEffect(() => {
    shown += 1;
    if (frame === null) return;
    // React may commit before the handler is back: what was applied is then in that time.
    const { started, ended } = frame;
    const committed = performance.now();
    queueMicrotask(() => samples.push({ applied: (frame?.ended ?? ended) - started, committed: committed - started }));
  }, [rows]);
  return `${rows.length} ${ready ? "ready" : "waiting"}`;
}

const db = await connect();
Object.assign(window, { db, samples });
createRoot(document.body.appendChild(document.createElement("main"))).render(
  <PylonProvider db={db}><Rows /></PylonProvider>,
);
