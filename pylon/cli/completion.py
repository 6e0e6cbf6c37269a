"""`pylon completion SHELL`: a script that completes commands and options, made from the parser.

The script knows everything itself: a press of Tab starts no Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import click

from pylon.cli.output import print_line
from pylon.version import __version__

_SHELLS: Final = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Flag:
    """One option by one of its names; `choices` are its values where there are few."""

    name: str
    help: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One command: its words after `pylon`, what may follow, and its options."""

    words: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    flags: tuple[Flag, ...]
    choices: tuple[str, ...]

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
    context = click.Context(command, info_name=" ".join(("pylon", *words)))
    below: list[tuple[str, click.Command]] = []
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                below.append((name, found))
    flags: list[Flag] = []
    choices: tuple[str, ...] = ()
    for parameter in command.get_params(context):
        offered = parameter.shell_complete(context, "")
        values = tuple(one.value for one in offered if one.type == "plain")
        if isinstance(parameter, click.Option):
            takes = not (parameter.is_flag or parameter.count)
            flags += [
                Flag(name, parameter.help or "", takes, values)
                for name in (*parameter.opts, *parameter.secondary_opts)
            ]
        else:
            choices += values
    commands = tuple((name, found.get_short_help_str(80)) for name, found in below)
    yield Node(words, commands, tuple(flags), choices)
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
                yield f"{node.path}/{flag.name}", f"value=1; {values}".rstrip("; ")


def bash_script(nodes: list[Node]) -> str:
    """Return the script for bash 3.2 and later."""
    words = ((node.path, f"words={_quoted(_words_of(node))}") for node in nodes)
    flags = (
        (node.path, f"words={_quoted(' '.join(one.name for one in node.flags))}") for node in nodes
    )
    return f"""_pylon() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" path="" words="" value="" word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    if [[ -n $value ]]; then value=""; words=""; continue; fi
    case "$path/$word" in
{_case(_descents(nodes))}
    esac
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
    fi
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
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
  local path_="" value="" word i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    word="${{words[i]}}"
    if [[ -n $value ]]; then value=""; found=(); continue; fi
    case "$path_/$word" in
{_case((key, body.replace("path=", "path_=")) for key, body in _descents(nodes))}
    esac
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
    fi
  fi
  if (( $#found )); then _describe pylon found; else _files; fi
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
    for node in nodes:
        at = f'-n "test \\"\\$(__pylon_path)\\" = {_fish(node.path)}"'
        for name, text in (*node.commands, *((one, "") for one in node.choices)):
            lines.append(f"complete -c pylon {at} -f -a {_fish(name)} -d {_fish(text)}")
        for flag in node.flags:
            kind = "-l" if flag.name.startswith("--") else "-s"
            line = f"complete -c pylon {at} {kind} {flag.name.lstrip('-')} -d {_fish(flag.help)}"
            if flag.choices:
                line += f" -x -a {_fish(' '.join(flag.choices))}"
            elif flag.takes_value:
                line += " -r"
            lines.append(line)
    return "\n".join(lines)


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
