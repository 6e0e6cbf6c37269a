// Builds dist/: client.js, elements.js, react.js and dev.js as modules with source maps, and their types.
//
// react.js imports "react" by its bare name (a bundler or an import map resolves it) and the
// client as "./client.js", so that both share one copy of it.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { joinDeclarations } from "./declarations.mjs";
import { privateNames } from "./private-names.mjs";

const root = import.meta.dirname;
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

const sources = readdirSync(join(root, "src"), { recursive: true }).filter((name) => /\.tsx?$/.test(name));
const shortened = privateNames(sources.map((name) => join(root, "src", name)));

const shared = {
  bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, legalComments: "none",
  absWorkingDir: root, logLevel: "warning", sourcesContent: true,
  mangleProps: new RegExp(`^(${shortened.join("|")})$`),
};
const nextDoor = {
  name: "client next door",
  setup(builder) {
    builder.onResolve({ filter: /\/index\.ts$/ }, ({ path, kind }) =>
      kind === "entry-point" || !path.startsWith("..") ? undefined : { path: "./client.js", external: true });
  },
};
// Loaded by a page when it first asks for what is in it.
const loadedLater = {
  name: "loaded later",
  setup(builder) {
    builder.onResolve({ filter: /\/(include|questions|streaming|upload)\.ts$/ }, ({ path, kind }) =>
      kind === "dynamic-import" ? { path: path.replace(".ts", ".js"), external: true } : undefined);
  },
};
await build({ ...shared, entryPoints: { client: "src/index.ts" }, outdir: "dist", plugins: [loadedLater] });
await build({ ...shared, entryPoints: { include: "src/include.ts", questions: "src/questions.ts", streaming: "src/streaming.ts", upload: "src/upload.ts" }, outdir: "dist" });
await build({ ...shared, entryPoints: { dev: "src/dev.ts" }, outdir: "dist" });
await build({
  ...shared, entryPoints: { elements: "src/elements/index.ts" }, outdir: "dist", plugins: [nextDoor], loader: { ".css": "text" },
});
// The same sheet for the page itself.
copyFileSync(join(root, "src", "elements", "elements.css"), join(dist, "elements.css"));
await build({ ...shared, entryPoints: { react: "src/react/index.ts" }, outdir: "dist", external: ["react"], plugins: [nextDoor] });

const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
const checked = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
if (checked.status !== 0) process.exit(checked.status ?? 1);

// Declarations: one file beside each script.
const types = join(dist, "types");
writeFileSync(join(dist, "client.d.ts"), joinDeclarations(join(types, "index.d.ts"), () => null));
writeFileSync(join(dist, "react.d.ts"), joinDeclarations(join(types, "react", "index.d.ts"), (from) =>
  from === "react" ? "react" : from.endsWith("/index.ts") ? "./client.js" : null));
writeFileSync(join(dist, "elements.d.ts"), joinDeclarations(join(types, "elements", "index.d.ts"), (from) =>
  from.endsWith("/index.ts") ? "./client.js" : null));
writeFileSync(join(dist, "dev.d.ts"), "export {};\n");
rmSync(types, { recursive: true });

// What a page loads stays small; over the bound, the build fails.
for (const [name, kilobytesMax] of [["client.js", 25], ["include.js", 3], ["questions.js", 1], ["streaming.js", 2], ["upload.js", 3], ["react.js", 5], ["elements.js", 12]]) {
  const bytes = gzipSync(readFileSync(join(dist, name)), { level: 9 }).length;
  console.log(`${name}: ${(bytes / 1000).toFixed(1)} kB gzipped`);
  if (bytes > kilobytesMax * 1000) throw new Error(`${name} has ${bytes} bytes gzipped; at most ${kilobytesMax} kB`);
}
