// Names that only private members bear, and that a bundle may therefore shorten.
//
// A name is taken out where anything else might bear it: a public member, a key of an object, a
// destructured member, a string, or a member of something that is not `this`.
import { readFileSync } from "node:fs";
import ts from "typescript";

const { SyntaxKind } = ts;

/** Returns the names, given the paths of all sources of the bundle. */
export function privateNames(paths) {
  const names = new Set();
  const taken = new Set();
  for (const path of paths) {
    visit(ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true), names, taken);
  }
  return [...names].filter((name) => !taken.has(name)).sort();
}

function visit(node, names, taken) {
  if (ts.isStringLiteralLike(node)) taken.add(node.text);
  else if (ts.isPropertyAccessExpression(node)) {
    if (node.expression.kind !== SyntaxKind.ThisKeyword) taken.add(node.name.text);
  } else if (ts.isBindingElement(node)) taken.add((node.propertyName ?? node.name).getText());
  else if (ts.isParameter(node)) {
    // A parameter's own name is no member, unless the constructor makes it one.
    if (node.modifiers?.some(isPrivate)) names.add(node.name.getText());
    else if (node.modifiers?.length) taken.add(node.name.getText());
  } else if (node.name !== undefined && (ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElement(node))) {
    (node.modifiers?.some(isPrivate) ? names : taken).add(node.name.getText());
  }
  ts.forEachChild(node, (child) => visit(child, names, taken));
}

function isPrivate({ kind }) {
  return kind === SyntaxKind.PrivateKeyword;
}
