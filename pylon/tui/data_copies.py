"""A row as code: TypeScript for the typed client, and a pytest that has the row again.

Pure: rows in, text out. Private fields are left out where the runtime has them by itself: tests and
pages are shown to others.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pylon import jsonvalue

Row = Mapping[str, Any]
Entity = Mapping[str, Any]
#: Rows that a row needs are followed so far, and so many of them.
DEPTH_MAX: Final = 4
ROWS_MAX: Final = 12
_USER: Final = "User"
_TS_HEAD: Final = (
    'import { connect } from "/_pylon/client.js";\n'
    'import type { App } from "./pylon.gen"; // pylon codegen writes it\n\n'
    "const db = await connect<App>();\n"
)


def _values(entity: Entity, row: Row) -> dict[str, Any]:
    """Return what an insert of the row says."""
    return {
        one["name"]: row[one["name"]]
        for one in entity["fields"]
        if one["name"] in row and row[one["name"]] is not None and one["kind"] != "file"
        and not (one["private"] and not one["required"])
    }  # fmt: skip


def _files(entity: Entity, row: Row) -> dict[str, Mapping[str, Any]]:
    """Return the files that an insert of the row can't be without: their bytes stay away."""
    return {
        one["name"]: row[one["name"]]
        for one in entity["fields"]
        if one["kind"] == "file" and one["required"] and isinstance(row.get(one["name"]), Mapping)
    }


def typescript(entity: Entity, row: Row) -> list[tuple[str, str]]:
    """Return (name, text): a row like it inserted, and this one queried."""
    values = msgspec.json.format(jsonvalue.encode(_values(entity, row)), indent=2).decode()
    name, row_id = jsonvalue.encode_text(entity["name"]), jsonvalue.encode_text(row["id"])
    for field, file in _files(entity, row).items():
        named, kind = (jsonvalue.encode_text(str(file.get(one))) for one in ("name", "type"))
        upload = f"await db.upload(new File([], {named}, {{ type: {kind} }}))"
        lead = values.removesuffix("}").rstrip()
        values = f"{lead}{'' if lead == '{' else ','}\n  {field}: {upload}\n}}"
    insert = f"{_TS_HEAD}await db.insert({name}, {_bare_keys(values)});\n"
    query = (
        f"{_TS_HEAD}db.query({name}, {{ where: {{ id: {row_id} }} }})"
        ".subscribe((rows) => console.log(rows));\n"
    )
    return [("insert as TypeScript", insert), ("query as TypeScript", query)]


def _bare_keys(text: str) -> str:
    """Return formatted JSON with the outer keys as TypeScript writes them."""
    return re.sub(r'(?m)^  "([A-Za-z_][A-Za-z0-9_]*)": ', r"  \1: ", text)


def needs(entity: Entity, row: Row) -> list[tuple[str, str]]:
    """Return (entity, id) of the rows that a row refers to, without itself."""
    found = [
        (str(one["ref"]), str(row[one["name"]]))
        for one in entity["fields"]
        if one["ref"] and row.get(one["name"]) is not None
    ]
    own = (entity["name"], row["id"])
    return [one for one in dict.fromkeys(found) if one != own]


def as_pytest(rows: Sequence[tuple[Entity, Row]]) -> str:
    """Return a test that has the last of these rows, and before it those that it needs.

    `rows` come in the order of their references. What is referred to and is none of them is left
    out where it may be.
    """
    names: dict[tuple[str, str], str] = {}
    lines = [
        "from pylon.testing import running", "", "",
        f"async def test_{_snake(rows[-1][0]['name'])}_as_it_was():",
        '    async with running(".") as rt:  # the folder of the project',
    ]  # fmt: skip
    if any(_files(entity, row) for entity, row in rows):
        lines.append('        files = await rt.user("files@example.com")  # brings empty files')
    for place, (entity, row) in enumerate(rows):
        key = (entity["name"], row["id"])
        variable = "row" if place == len(rows) - 1 else f"{_snake(entity['name'])}{place + 1}"
        if entity["name"] == _USER:
            names[key] = f"{variable}.user_id"
            lines.append(f'        {variable} = await rt.user("{variable}@example.com")')
            continue
        values, references = _split(entity, row, names)
        names[key] = f"{variable}.id"
        uploads = {
            name: f"await files.upload(b'', name={file.get('name')!r}, type={file.get('type')!r})"
            for name, file in _files(entity, row).items()
        }
        lines += _insert(variable, entity["name"], values, {**references, **uploads})
    entity, row = rows[-1]
    lines.append("        await rt.settled()")
    if entity["name"] == _USER:
        lines.append('        assert row.email == "row@example.com"')
    else:
        values, _ = _split(entity, row, {})
        public = {one["name"] for one in entity["fields"] if not one["private"]}
        lines += [
            f"        assert row[{name!r}] == {value!r}" for name, value in values.items()
            if name in public
        ]  # fmt: skip
        lines.append("        # As somebody else sees it: (await rt.anonymous()).rows("
                     f"{entity['name']!r})")  # fmt: skip
    return "\n".join(lines) + "\n"


def _split(
    entity: Entity, row: Row, names: Mapping[tuple[str, str], str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return values as they are, and for references the expression of what they refer to."""
    refs = {one["name"]: str(one["ref"]) for one in entity["fields"] if one["ref"]}
    values, references = {}, {}
    for name, value in _values(entity, row).items():
        if name not in refs:
            values[name] = value
        elif (found := names.get((refs[name], str(value)))) is not None:
            references[name] = found
    return values, references


def _insert(
    variable: str, entity: str, values: Mapping[str, Any], references: Mapping[str, str]
) -> list[str]:
    """Return the lines of one insert; what is no name of Python's stands in a dictionary."""
    pairs = {**{name: repr(value) for name, value in values.items()}, **references}
    plain = {name: text for name, text in pairs.items() if _is_plain(name)}
    rest = {name: text for name, text in pairs.items() if name not in plain}
    lines = [f"        {variable} = await rt.system_insert("]
    lines.append(f"            {entity!r},")
    lines += [f"            {name}={text}," for name, text in plain.items()]
    lines += [f"            **{{{name!r}: {text}}}," for name, text in rest.items()]
    return [*lines, "        )"]


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in ("entity", "self")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
