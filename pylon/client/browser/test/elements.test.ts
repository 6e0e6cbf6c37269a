// What the elements decide without a page: where a sign-in leads, and how errors are said.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { safeNext } from "../src/elements/safe-next.ts";
import { inWords, providerWords } from "../src/elements/words.ts";
import { PylonError } from "../src/index.ts";

const FORMS = JSON.parse(readFileSync(join(import.meta.dirname, "../../../../tests/vectors/redirects.json"), "utf8")) as {
  evil: string[]; good: [string, string][];
};

describe("where a sign-in leads", () => {
  test.each(FORMS.evil)("not to %j", (text) => {
    expect(safeNext(text)).toBe("/");
  });
  test.each(FORMS.good)("to %j, as the runtime says", (text, path) => {
    expect(safeNext(text)).toBe(path);
    expect(safeNext(path)).toBe(path);
  });
  test.each([null, undefined, 7, true, ["/"], { a: 1 }])("not to %j, which is no text", (thing) => {
    expect(safeNext(thing)).toBe("/");
  });
});

describe("errors are said to a person", () => {
  test("a refused proof in the words of the place", () => {
    const error = new PylonError({ code: "UNAUTHENTICATED", message: "this is wrong or has expired", hint: "check it" });
    expect(inWords(error, "The code is wrong.")).toBe("The code is wrong.");
    expect(inWords(error)).toBe("This is wrong or has expired: check it.");
  });
  test("a rate says how long", () => {
    expect(inWords(new PylonError({ code: "RATE_LIMITED", message: "no" }, "12"))).toContain("in 12 s");
    expect(inWords(new PylonError({ code: "RATE_LIMITED", message: "no" }))).toContain("Wait a little");
  });
  test("a server that is away, and a mistake in the page", () => {
    expect(inWords(new PylonError({ code: "UNAVAILABLE", message: "x" }))).toContain("Check your connection");
    expect(inWords(new TypeError("x is no function"))).toContain("Load it again");
  });
  test("each reason of a provider has words of its own, and an unknown one has some", () => {
    const reasons = ["cancelled", "expired", "provider", "unverified", "refused", "linked_elsewhere"];
    const words = [...reasons, "<b>", "constructor"].map(providerWords);
    expect(new Set(words).size).toBe(reasons.length + 1);
    expect(words.every((one) => one.endsWith("."))).toBe(true);
  });
});
