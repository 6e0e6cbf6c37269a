import { afterEach, describe, expect, test, vi } from "vitest";
import { failure } from "../src/errors.ts";

afterEach(() => vi.restoreAllMocks());

describe("failure", () => {
  test("under pylon dev the console says why a policy refused, once and in words", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const explain = { id: "d_1", decided_by: "data.ownerId == auth.userId", flip: "would pass if role `editor`" };
    const error = failure({ code: "POLICY_DENIED", message: "no", details: { explain } });
    expect(error.code).toBe("POLICY_DENIED");
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]).toEqual([
      "no (d_1)\n  decided: data.ownerId == auth.userId\n  would pass if role `editor`\n", explain,
    ]);
  });

  test("where the runtime does not say why, the console says nothing", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    failure({ code: "POLICY_DENIED", message: "no" });
    failure({ code: "CONFLICT", message: "no", details: { fields: ["name"] } });
    expect(warn).not.toHaveBeenCalled();
  });
});
