import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { List } from "./List";
import { PylonProvider } from "./pylon/react";
import "./style.css";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <PylonProvider fallback={<p>connecting …</p>}>
      <List />
    </PylonProvider>
  </StrictMode>,
);
