import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run build` writes web/, which `pylon serve` serves.
export default defineConfig({
  plugins: [react()],
  build: { outDir: "web" },
});
