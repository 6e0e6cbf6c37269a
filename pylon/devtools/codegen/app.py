"""An app in TypeScript: its rows, what writes take, and its functions, for `connect<App>()`.

Pure: a frozen definition in, the text of the file out; equal apps give equal texts. What does not
live here: files (`files`), a package for bundlers (`package`), the wire's own types (`wire`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pylon.app.definition import AppDefinition
from pylon.app.functions import ArgumentSpec, Function
from pylon.devtools.codegen.needs import entity_needs, function_needs
from pylon.schema.describe import ts_name, ts_type
from pylon.schema.model import Entity, Field, FieldKind, Schema
from pylon.schema.relations import relations_of

#: How the first line of a generated file begins.
MARK = "// Written by `pylon codegen`"
_HEADER = """\
{mark} from the app {app}. Do not edit.
//
{use}

/* eslint-disable */
"""


_USE = """\
//   import { connect } from "/_pylon/client.js";
//   import type { App } from "./pylon.gen";
//   const db = await connect<App>();"""


def app_types(definition: AppDefinition, refusals: Iterable[str] = (), use: str = _USE) -> str:
    """Return the whole text of `pylon.gen.ts`.

    Args:
        definition: the app.
        refusals: codes that the app refuses with (`refusals.refusal_codes`).
        use: lines of comment that show how the types are used.
    """
    entities = tuple(definition.schema.entities.values())
    functions = [one for one in definition.functions.values() if not one.is_internal]
    blocks = [_HEADER.format(mark=MARK, app=definition.name, use=use)]
    blocks += [_row(one) for one in entities]
    blocks.append(_app(definition, entities, functions))
    blocks.append(_refusals(refusals))
    return "\n".join(blocks)


# --- entities


def _row(entity: Entity) -> str:
    lines = [*_doc(entity.doc or f"A row of {entity.name}, as clients read it.", "")]
    lines += [f"export interface {ts_name(entity.name)} {{", "  readonly id: string;"]
    for one in entity.public_fields:
        mark = "?" if one.read is not None else ""
        lines += [*_doc(one.doc, "  "), f"  readonly {one.name}{mark}: {_read_type(one)};"]
    return "\n".join([*lines, "  readonly _seq: number;", "}", ""])


def _read_type(field: Field) -> str:
    # A row is shared by all who read it, so its lists can't be changed in place.
    return f"{'readonly ' * (field.kind is FieldKind.LIST)}{ts_type(field)}"


def _write_type(field: Field) -> str:
    # What is written becomes JSON, and a Date becomes its ISO text.
    return f"{'Date | ' * (field.kind is FieldKind.DATETIME)}{_read_type(field)}"


def _members(fields: Iterable[Field], *, all_optional: bool) -> Iterator[str]:
    for one in fields:
        is_optional = all_optional or not one.is_required
        yield from _doc(one.doc, "        ")
        yield f"        {_member(one.name, _write_type(one), is_optional=is_optional)}"


def _member(name: str, kind: str, *, is_optional: bool) -> str:
    return f"readonly {name}{'?' if is_optional else ''}: {kind}{' | undefined' * is_optional};"


def _entity(definition: AppDefinition, entity: Entity) -> Iterator[str]:
    schema = definition.schema
    yield from _doc("\n".join(entity_needs(definition, entity)), "    ")
    yield f"    readonly {entity.name}: {{"
    yield f"      readonly row: {ts_name(entity.name)};"
    changeable = [one for one in entity.fields if not one.immutable]
    yield from _block("insert", list(_members(entity.fields, all_optional=False)))
    yield from _block("patch", list(_members(changeable, all_optional=True)))
    yield from _block("relations", list(_relations(schema, entity)))
    yield "    };"


def _relations(schema: Schema, entity: Entity) -> Iterator[str]:
    for name, one in relations_of(schema, entity).items():
        if name == one.name:
            many = "true" if one.is_back else "false"
            leads = f'readonly entity: "{one.entity}"; readonly many: {many}'
            yield f"        readonly {name}: {{ {leads} }};"


def _block(name: str, members: list[str]) -> Iterator[str]:
    if not members:
        yield f"      readonly {name}: Record<string, never>;"
        return
    yield f"      readonly {name}: {{"
    yield from members
    yield "      };"


# --- functions


def _function(function: Function) -> Iterator[str]:
    needs = "\n".join(function_needs(function))
    yield from _doc(f"{function.doc.strip()}\n\n{needs}" if function.doc else needs, "    ")
    yield f"    readonly {function.name}: {{"
    arguments = [_argument(one) for one in function.arguments.arguments]
    yield from _block("args", arguments)
    yield f"      readonly returns: {function.arguments.returns.typescript};"
    if function.arguments.part is not None:
        yield f"      readonly part: {function.arguments.part.typescript};"
    yield "    };"


def _argument(argument: ArgumentSpec) -> str:
    text = argument.type.typescript
    if argument.type.kind is FieldKind.DATETIME:
        text = f"Date | {text}"
    return f"        {_member(argument.name, text, is_optional=not argument.is_required)}"


def _app(
    definition: AppDefinition, entities: Iterable[Entity], functions: Iterable[Function]
) -> str:
    lines = [
        "/** What `connect<App>()` knows of this app. */", "export interface App {",
        "  readonly entities: {",
    ]  # fmt: skip
    for entity in entities:
        lines += _entity(definition, entity)
    lines += ["  };", "  readonly functions: {"]
    for function in functions:
        lines += _function(function)
    return "\n".join([*lines, "  };", "}", ""])


def _refusals(codes: Iterable[str]) -> str:
    known = " | ".join(f'"{one}"' for one in codes) or "never"
    doc = "/** Codes that this app refuses with, beside those of the runtime (`ErrorCode`). */"
    return f"{doc}\nexport type RefusalCode = {known};\n"


def _doc(text: str | None, indent: str) -> Iterator[str]:
    """Yield a comment; nothing in it can end it early."""
    if not text:
        return
    lines = [line.strip() for line in text.replace("*/", "*\\/").strip().splitlines()]
    if len(lines) == 1:
        yield f"{indent}/** {lines[0]} */"
        return
    yield f"{indent}/**"
    yield from (f"{indent} * {line}".rstrip() for line in lines)
    yield f"{indent} */"
