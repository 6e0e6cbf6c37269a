// Joins the declarations of several modules into one file, so that `/_pylon/client.d.ts` stands alone.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const IMPORT = /^(?:import|export)\s[^;]*?from\s*"([^"]+)";\n?/gm;

/** Returns one text with all that `entry` reaches, exporting only what `entry` exports. */
export function joinDeclarations(entry, isOutside) {
  const seen = new Set();
  const declared = new Map();
  const outside = new Map();
  const blocks = [];
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = readFileSync(path, "utf8");
    for (const [statement, from] of text.matchAll(IMPORT)) {
      const kept = isOutside(from, path);
      if (kept !== null) {
        const names = outside.get(kept) ?? new Set();
        for (const name of statement.slice(statement.indexOf("{") + 1, statement.indexOf("}")).split(",")) {
          names.add(name.trim().replace(/^type /, ""));
        }
        outside.set(kept, names);
      } else visit(join(dirname(path), from.replace(/\.ts$/, ".d.ts")));
    }
    const body = text.replaceAll(IMPORT, "").replaceAll(/^export \{\};\n?/gm, "").replaceAll(/^export (?=declare|interface|type|abstract)/gm, "");
    for (const [, name] of body.matchAll(/^(?:declare )?(?:abstract )?(?:class|interface|type|const|function)\s+([A-Za-z0-9_]+)/gm)) {
      const other = declared.get(name);
      if (other !== undefined && other !== path) throw new Error(`${name} is declared in ${other} and in ${path}`);
      declared.set(name, path);
    }
    blocks.push(body.trim());
  };
  visit(entry);
  const names = [...readFileSync(entry, "utf8").matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(([, type, list]) =>
    list.split(",").map((name) => name.trim()).filter((name) => name !== "").map((name) => (type !== undefined && !name.startsWith("type ") ? `type ${name}` : name)));
  const imports = [...outside].map(([from, list]) => `import type { ${[...list].sort().join(", ")} } from "${from}";`);
  return `${imports.join("\n")}\n${blocks.filter((one) => one !== "").join("\n\n")}\n\nexport { ${names.join(", ")} };\n`.trimStart();
}
