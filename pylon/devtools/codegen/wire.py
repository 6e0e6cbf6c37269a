"""The wire in TypeScript: `pylon/protocol` structs to `protocol.gen.ts`, by `msgspec.inspect`.

`python -m pylon.devtools.codegen.wire` writes the file, `--check` compares only. What does not
live here: the types of one app, which come from its manifest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import inspect

from pylon import errors, limits
from pylon.protocol import change, manifest, messages, version

OUTPUT = Path(__file__).parents[2] / "client" / "browser" / "src" / "protocol.gen.ts"

_HEADER = """\
// Written by `make generate` (pylon.devtools.codegen.wire) from pylon/protocol. Do not edit.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject { readonly [key: string]: Json }

/** A row as the wire carries it. */
export interface WireRow {
  readonly id: string;
  readonly _seq: number;
  readonly [field: string]: Json;
}

/** The documented error object. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: JsonObject;
}

/** One entry of a batch, in order. */
export type Entry = Change | Refresh;
"""

#: Members whose struct says less than the protocol does.
_SHARPER = {
    "changes": "readonly Entry[]",
    "rows": "readonly WireRow[]",
    "row": "WireRow",
    "error": "WireError",
}
_MANIFEST = (
    manifest.FieldManifest,
    manifest.RelationManifest,
    manifest.EntityManifest,
    manifest.ArgumentManifest,
    manifest.FunctionManifest,
    manifest.Manifest,
)
_ENUMS = (change.ChangeKind, change.HiddenCause, change.ResyncReason)
_PARTS = (
    change.Change,
    change.Refresh,
    change.ChangeBatch,
    messages.HaveAfter,
    messages.SubscriptionSpec,
    messages.Operation,
    messages.OperationResult,
)


def generate() -> str:
    """Return the whole text of `protocol.gen.ts`."""
    blocks = [_HEADER, _constants()]
    blocks += [_enum(one) for one in _ENUMS]
    upstream, downstream = get_args(messages.Upstream), get_args(messages.Downstream)
    blocks += [_interface(one) for one in (*_PARTS, *upstream, *downstream, *_MANIFEST)]
    blocks.append(_union("Upstream", upstream))
    blocks.append(_union("Downstream", downstream))
    blocks.append(_error_codes())
    return "\n".join(blocks)


def _constants() -> str:
    shared = {
        "PROTOCOL_VERSION": version.PROTOCOL_VERSION,
        "MIN_PROTOCOL_VERSION": version.MIN_PROTOCOL_VERSION,
        "SUBPROTOCOL": version.SUBPROTOCOL,
        "PUSH_OPERATIONS_MAX": limits.PUSH_OPERATIONS_MAX,
        "WS_MESSAGE_BYTES_MAX": limits.WS_MESSAGE_BYTES_MAX,
        "PULL_LIMIT_MAX": limits.PULL_LIMIT_MAX,
        "SUBSCRIPTIONS_MAX": limits.SUBSCRIPTIONS_MAX,
    }
    return "".join(f"export const {name} = {_literal(value)};\n" for name, value in shared.items())


def _literal(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _enum(enum: type[Any]) -> str:
    return f"export type {enum.__name__} = {' | '.join(_literal(one.value) for one in enum)};\n"


def _interface(struct: type[msgspec.Struct]) -> str:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    doc = (struct.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    lines = [f"/** {doc} */", f"export interface {struct.__name__} {{"]
    if described.tag is not None:
        lines.append(f"  readonly {described.tag_field}: {_literal(described.tag)};")
    lines += [_member(one) for one in described.fields]
    return "\n".join([*lines, "}", ""])


def _member(member: inspect.Field) -> str:
    kind = member.type
    is_optional = not member.required
    if isinstance(kind, inspect.UnionType) and is_optional and member.default is None:
        # Omitted when absent: `null` is never written, though the server reads it.
        rest = tuple(one for one in kind.types if not isinstance(one, inspect.NoneType))
        text = " | ".join(_type(one) for one in rest)
    else:
        text = _type(kind)
    text = _SHARPER.get(member.encode_name, text)
    return f"  readonly {member.encode_name}{'?' if is_optional else ''}: {text};"


_PLAIN: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.IntType: "number",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.NoneType: "null",
    inspect.AnyType: "Json",
}


def _type(kind: inspect.Type) -> str:
    plain = _PLAIN.get(type(kind))
    if plain is not None:
        return plain
    match kind:
        case inspect.EnumType(cls=named) | inspect.StructType(cls=named):
            return named.__name__
        case inspect.ListType(item_type=item):
            inner = _type(item)
            return f"readonly {f'({inner})' if ' | ' in inner else inner}[]"
        case inspect.DictType(value_type=inspect.AnyType()):
            return "JsonObject"
        case inspect.DictType(value_type=value):
            return f"{{ readonly [key: string]: {_type(value)} }}"
        case inspect.UnionType(types=types):
            return " | ".join(_type(one) for one in types)
        case _:
            raise AssertionError(f"no TypeScript for {kind!r}: add it here")


def _union(name: str, members: tuple[type[Any], ...]) -> str:
    inner = "\n".join(f"  | {one.__name__}" for one in members)
    return f"export type {name} =\n{inner};\n"


def _error_codes() -> str:
    found = {
        value.code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.PylonError)
    }
    inner = "\n".join(f"  | {_literal(code)}" for code in sorted(found))
    doc = "/** Codes of the runtime; an app's own refusals add theirs. */"
    return f"{doc}\nexport type ErrorCode =\n{inner};\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` tell whether it is current."""
    text = generate()
    if "--check" in arguments:
        is_current = OUTPUT.is_file() and OUTPUT.read_text(encoding="utf-8") == text
        if not is_current:
            sys.stderr.write(f"{OUTPUT.name} is not current; run: make generate\n")
        return 0 if is_current else 1
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
