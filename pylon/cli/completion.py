"""`pylon completion SHELL`: a script that completes commands and options, made from the parser.

The script knows all of them itself, and looks names of the project up (`known_names`): a press of
Tab starts no Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import click

from pylon.cli.known_names import kind_of, look
from pylon.cli.output import print_line
from pylon.version import __version__

_SHELLS: Final = ("bash", "zsh", "fish")
#: What bash has around a word, or before a character of it, as a pattern of bash.
_QUOTING: Final = r"""[\\\"\']"""


@dataclass(frozen=True, slots=True)
class Flag:
    """One option by one of its names; `choices` are its values where there are few.

    `kind` is what is known of them otherwise, for `known_names.look`; empty for nothing.
    """

    name: str
    help: str
    takes_value: bool
    choices: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Node:
    """One command: its words after `pylon`, what may follow, and its options.

    `kinds` has the kind of each argument by its place, from 0; that of one that may be given again
    is at `*`.
    """

    words: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    flags: tuple[Flag, ...]
    choices: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        """Return the words as the scripts compare them."""
        return " ".join(self.words)


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what completes `pylon` in SHELL: commands, options, and their values.

    bash: pylon completion bash > ~/.local/share/bash-completion/completions/pylon

    zsh: pylon completion zsh > a folder of $fpath, as _pylon

    fish: pylon completion fish > ~/.config/fish/completions/pylon.fish
    """
    nodes = list(nodes_of(context.find_root().command))
    head = f"# Completes pylon {__version__}. Made by: pylon completion {shell}"
    match shell:
        case "bash":
            script = bash_script(nodes)
        case "zsh":
            script = zsh_script(nodes)
            head = f"#compdef pylon\n{head}"
        case _:
            script = fish_script(nodes)
    print_line(f"{head}\n{script}")


def nodes_of(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[Node]:
    """Yield a command and all those below it."""
    context, path = click.Context(command, info_name=" ".join(("pylon", *words))), " ".join(words)
    below: list[tuple[str, click.Command]] = []
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                below.append((name, found))
    flags: list[Flag] = []
    choices: tuple[str, ...] = ()
    kinds: list[tuple[str, str]] = []
    place = 0
    for parameter in command.get_params(context):
        offered = parameter.shell_complete(context, "")
        values = tuple(one.value for one in offered if one.type == "plain")
        if isinstance(parameter, click.Option):
            takes = not (parameter.is_flag or parameter.count)
            flags += [
                Flag(name, parameter.help or "", takes, values, kind_of(path, parameter))
                for name in (*parameter.opts, *parameter.secondary_opts)
            ]
        else:
            choices += values
            if kind := kind_of(path, parameter):
                kinds.append(("*" if parameter.nargs < 0 else str(place), kind))
            place += 1
    commands = tuple((name, found.get_short_help_str(80)) for name, found in below)
    yield Node(words, commands, tuple(flags), choices, tuple(kinds))
    for name, found in below:
        yield from nodes_of(found, (*words, name))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _case(of: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"    {_quoted(key)}) {body} ;;" for key, body in of)


def _words_of(node: Node) -> str:
    return " ".join([*(name for name, _ in node.commands), *node.choices])


def _descents(nodes: list[Node]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if node.words:
            parent = " ".join(node.words[:-1])
            yield f"{parent}/{node.words[-1]}", f"path={_quoted(node.path)}"


def _values(nodes: list[Node], setting: str) -> Iterator[tuple[str, str]]:
    for node in nodes:
        for flag in node.flags:
            if flag.takes_value:
                values = setting.format(" ".join(flag.choices)) if flag.choices else ""
                kind = f"kind={flag.kind}; " if flag.kind else ""
                yield f"{node.path}/{flag.name}", f"value=$word; {kind}{values}".rstrip("; ")


def _kinds(nodes: list[Node]) -> str:
    """Return the cases of `command/place`; the place of what may be given again is a pattern."""
    return "\n".join(
        f"    {_quoted(node.path)}/{place}) kind={kind} ;;"
        for node in nodes
        for place, kind in node.kinds
    )


def bash_script(nodes: list[Node]) -> str:
    """Return the script for bash 3.2 and later."""
    words = ((node.path, f"words={_quoted(_words_of(node))}") for node in nodes)
    flags = (
        (node.path, f"words={_quoted(' '.join(one.name for one in node.flags))}") for node in nodes
    )
    return f"""_pylon() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" path="" words="" value="" kind="" folder=""
  local word i before place=0 look={_quoted(look())}
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    if [[ $word == "=" ]]; then continue; fi
    if [[ -n $value ]]; then
      # As it is typed: quotes and backslashes go, and nothing in it is looked at as a shell would.
      if [[ $value == --project ]]; then folder="${{word//{_QUOTING}/}}"; fi
      value=""; words=""; kind=""; continue
    fi
    before="$path"
    case "$path/$word" in
{_case(_descents(nodes))}
    esac
    if [[ $path != "$before" ]]; then place=0; elif [[ $word != -* ]]; then ((place += 1)); fi
    case "$path/$word" in
{_case(_values(nodes, "words='{}'"))}
    esac
  done
  if [[ -z $value ]]; then
    if [[ $current == -* ]]; then
      case "$path" in
{_case(flags)}
      esac
    else
      case "$path" in
{_case(words)}
      esac
      case "$path/$place" in
{_kinds(nodes)}
      esac
    fi
  fi
  if [[ $current == "=" ]]; then current=""; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -n $kind ]]; then
    case "$folder" in "~/"*) folder="$HOME/${{folder#??}}" ;; esac
    while IFS= read -r word; do
      if [[ -n $word && $word == "$current"* ]]; then COMPREPLY+=("$word"); fi
    done <<< "$(command sh -c "$look" pylon "$kind" "$folder" 2>/dev/null)"
    if [[ $kind == rows ]]; then compopt -o nospace 2>/dev/null; fi
  fi
}}
complete -o default -F _pylon pylon"""


def zsh_script(nodes: list[Node]) -> str:
    """Return the script for zsh, with what each word is for."""

    def described(pairs: list[tuple[str, str]]) -> str:
        return " ".join(
            _quoted(f"{name.replace(':', chr(92) + ':')}:{text}") for name, text in pairs
        )

    commands = (
        (node.path, f"found=({described([*node.commands, *((one, '') for one in node.choices)])})")
        for node in nodes
    )
    flags = (
        (node.path, f"found=({described([(one.name, one.help) for one in node.flags])})")
        for node in nodes
    )
    return f"""_pylon() {{
  local path_="" value="" kind="" folder="" before="" word i place=0
  local look={_quoted(look())}
  local -a found names
  for ((i = 2; i < CURRENT; i++)); do
    word="${{words[i]}}"
    if [[ -n $value ]]; then
      if [[ $value == --project ]]; then folder="${{(Q)word}}"; fi
      value=""; found=(); kind=""; continue
    fi
    before="$path_"
    case "$path_/$word" in
{_case((key, body.replace("path=", "path_=")) for key, body in _descents(nodes))}
    esac
    if [[ $path_ != "$before" ]]; then place=0; elif [[ $word != -* ]]; then ((place += 1)); fi
    case "$path_/$word" in
{_case(_values(nodes, "found=({})"))}
    esac
  done
  if [[ -z $value ]]; then
    if [[ $PREFIX == -* ]]; then
      case "$path_" in
{_case(flags)}
      esac
    else
      case "$path_" in
{_case(commands)}
      esac
      case "$path_/$place" in
{_kinds(nodes)}
      esac
    fi
  fi
  if [[ -n $kind ]]; then
    case "$folder" in "~/"*) folder="$HOME/${{folder#??}}" ;; esac
    names=("${{(@f)$(command sh -c "$look" pylon "$kind" "$folder" 2>/dev/null)}}")
    if [[ $kind == rows ]]; then compadd -S "" -a names; else compadd -a names; fi
  fi
  if (( $#found )); then _describe pylon found; elif [[ -z $kind ]]; then _files; fi
}}
if [[ $funcstack[1] == _pylon ]]; then _pylon "$@"; else compdef _pylon pylon; fi"""


def fish_script(nodes: list[Node]) -> str:
    """Return the script for fish, with what each word is for."""
    lines = [
        "function __pylon_path",
        "  set -l path ''",
        "  for word in (commandline -opc)[2..-1]",
        '    switch "$path/$word"',
    ]
    for key, body in _descents(nodes):
        lines.append(f"      case {_fish(key)}; set path {_fish(body[6:-1])}")
    lines += ["    end", "  end", "  echo $path", "end"]
    lines += [
        "function __pylon_names",
        "  set -l folder ''",
        "  set -l word (commandline -opc)",
        "  for i in (seq 2 (count $word))",
        "    test $word[(math $i - 1)] = --project; and set folder $word[$i]",
        "  end",
        "  set folder (string replace -r '^~/' \"$HOME/\" -- $folder)",
        f'  command sh -c {_fish(look())} pylon $argv[1] "$folder" 2>/dev/null',
        "end",
    ]
    for node in nodes:
        at = f'-n "test \\"\\$(__pylon_path)\\" = {_fish(node.path)}"'
        for name, text in (*node.commands, *((one, "") for one in node.choices)):
            lines.append(f"complete -c pylon {at} -f -a {_fish(name)} -d {_fish(text)}")
        for _, known in node.kinds:
            lines.append(f"complete -c pylon {at} -f -a '(__pylon_names {known})'")
        for flag in node.flags:
            kind = "-l" if flag.name.startswith("--") else "-s"
            line = f"complete -c pylon {at} {kind} {flag.name.lstrip('-')} -d {_fish(flag.help)}"
            if flag.kind:
                line += f" -x -a '(__pylon_names {flag.kind})'"
            elif flag.choices:
                line += f" -x -a {_fish(' '.join(flag.choices))}"
            elif flag.takes_value:
                line += " -r"
            lines.append(line)
    return "\n".join(lines)


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
