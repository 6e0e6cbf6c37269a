"""Names that a press of Tab can offer at once: of branches, backups, entities and functions.

A few lines of sh look them up, the same in every shell: names of files in `.pylon`, and what stands
behind a decorator in the project's Python. No code of the app runs, and no Python starts. Only what
can be such a name is offered, so that none can hold what a shell would run.
"""

from __future__ import annotations

from typing import Final

import click

#: What a look costs at most.
FILES_MAX: Final = 100
BYTES_MAX: Final = 1_000_000
NAMES_MAX: Final = 500

#: By (command, parameter), what is known of it.
_KINDS: Final = {
    ("branch create", "of"): "branches",
    ("branch diff", "new"): "branches",
    ("branch diff", "old"): "branches",
    ("branch drop", "name"): "branches",
    ("branch switch", "name"): "branches",
    ("log replay", "into"): "branches",
    ("backups drop", "name"): "backups",
    ("backups restore", "name"): "backups",
    ("backups send", "name"): "backups",
    ("backups verify", "name"): "backups",
    ("call", "fn"): "calls",
    ("functions", "name"): "functions",
    ("workflows start", "name"): "workflows",
}
#: By the parameter's name alone; `rows` are written Entity/id, so the entity and a slash.
_EVERYWHERE: Final = {"entity": "entities", "row": "rows", "named": "rows"}

#: By kind: the decorators that such names stand behind, one that is there without a word in
#: app.py, and what is written behind a name.
_DECORATORS: Final = {
    "entities": ("entity", "User", "''"),
    "rows": ("entity", "User", "/"),
    "calls": ("query|mutation|action", "''", "''"),
    "functions": ("query|mutation|action|job|cron|workflow", "''", "''"),
    "workflows": ("workflow", "''", "''"),
}

#: `sh -c … pylon KIND [FOLDER]`: prints names, one a line. Without a folder, that of the project
#: which the current one is in.
LOOK: Final = r"""
dir=$2
if [ -z "$dir" ]; then
  dir=$PWD
  while [ ! -f "$dir/app.py" ] && [ ! -f "$dir/app/__init__.py" ]; do
    [ -n "$dir" ] || exit 0
    dir=${dir%/*}
  done
fi
case $dir in /*) ;; *) dir=./$dir ;; esac
[ -d "$dir" ] || exit 0
files() {
  count=0
  for path do
    path=${path%/}
    name=${path##*/}
    name=${name%.db}
    case $name in ""|[!A-Za-z0-9]*|*[!A-Za-z0-9_-]*) continue ;; esac
    [ -e "$path" ] || continue
    echo "$name"
    count=$((count + 1))
    [ "$count" -lt NAMES_MAX ] || return 0
  done
}
sources() {
  decorators=$1 always=$2 behind=$3
  set --
  for path in "$dir/app.py" "$dir"/app/__init__.py "$dir"/*.py "$dir"/app/*.py "$dir"/app/*/*.py; do
    [ ! -f "$path" ] || set -- "$@" "$path"
    [ "$#" -lt FILES_MAX ] || break
  done
  [ "$#" -gt 0 ] || exit 0
  cat "$@" | head -c BYTES_MAX | awk -v wanted="^($decorators)\$" -v always="$always" \
    -v behind="$behind" '
    function tell(name) { if (!(name in seen)) { seen[name] = 1; print name behind } }
    /^@/ {
      text = $0
      sub(/^@/, "", text)
      sub(/[^A-Za-z0-9_.].*$/, "", text)
      last = split(text, parts, ".")
      if (last > 1 && parts[last] ~ wanted) is_one = 1
    }
    /^(async +)?def |^class / {
      text = $0
      sub(/^(async +)?(def|class) +/, "", text)
      sub(/[^A-Za-z0-9_].*$/, "", text)
      if (is_one && text ~ /^[A-Za-z]/) tell(text)
      is_one = 0
    }
    END { if (always != "") tell(always) }'
}
case $1 in
  branches) echo main; files "$dir"/.pylon/branches/*/ ;;
  backups) files "$dir"/.pylon/backups/*.db ;;
SOURCES
esac
"""


def kind_of(path: str, parameter: click.Parameter) -> str:
    """Return what a parameter of a command takes, for `look`; empty where that is not known."""
    name = parameter.name or ""
    return _KINDS.get((path, name)) or _EVERYWHERE.get(name, "")


def kinds_of_commands() -> frozenset[tuple[str, str]]:
    """Return the parameters that are known by their command, for the test that they are there."""
    return frozenset(_KINDS)


def look() -> str:
    """Return the sh that looks names up, as `LOOK` says."""
    sources = "\n".join(
        f"  {kind}) sources '{words}' {always} {behind} ;;"
        for kind, (words, always, behind) in _DECORATORS.items()
    )
    text = LOOK.replace("SOURCES", sources)
    for name, value in (
        ("NAMES_MAX", NAMES_MAX), ("FILES_MAX", FILES_MAX), ("BYTES_MAX", BYTES_MAX)
    ):  # fmt: skip
        text = text.replace(name, str(value))
    return text.strip()
