#!/bin/sh
# Installs Pylon for one user, and takes it away again: `sh install.sh --help`.
#
# Whoever has uv or pipx gets it from there. Without either it is a virtual environment made by
# python3: this script does not run installers of other people to get a tool that it can do without.
set -eu

DISTRIBUTION=pylon-runtime
OLDEST=11 # Python 3.11

usage() {
  cat <<'TEXT'
Installs Pylon (the command `pylon`) for this user, or makes it newer.

  sh install.sh                    the newest release
  sh install.sh --version 1.2.3    that release
  sh install.sh --from WHAT        a wheel, a folder or a requirement, as pip takes it
  sh install.sh --with TOOL        uv, pipx or venv; otherwise the first of them that is there
  sh install.sh --uninstall        take it away again; projects and their data stay

It needs uv, or pipx, or Python 3.11 or newer with its venv module.
TEXT
}

fail() {
  echo "install.sh: $1" >&2
  echo "  what to do: $2" >&2
  exit 1
}

wrong_usage() {
  echo "install.sh: $1" >&2
  echo "  what to do: sh install.sh --help lists what there is" >&2
  exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

# The folder with the virtual environment where neither uv nor pipx has it, and that of commands.
# One that was made when XDG_DATA_HOME was another is where the command points to.
own_folder() {
  folder="${XDG_DATA_HOME:-$HOME/.local/share}/$DISTRIBUTION"
  if [ ! -e "$folder/pyvenv.cfg" ] && [ ! -e "$folder.before" ]; then
    meant=$(readlink "$(own_commands)/pylon" 2>/dev/null) || meant=""
    case $meant in
      /*/"$DISTRIBUTION"/bin/pylon)
        meant=${meant%/bin/pylon}
        # Theirs have such a folder, too, with a note of their own in it.
        if [ -e "$meant/pyvenv.cfg" ] && [ ! -e "$meant/uv-receipt.toml" ] && [ ! -e "$meant/pipx_metadata.json" ]; then
          folder=$meant
        fi
        ;;
    esac
  fi
  echo "$folder"
}
own_commands() { echo "${XDG_BIN_HOME:-$HOME/.local/bin}"; }

# Prints the first Python that is new enough; fails where there is none.
find_python() {
  for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
    has "$name" || continue
    if "$name" -c "import sys; sys.exit(sys.version_info < (3, $OLDEST))" >/dev/null 2>&1; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

# Prints the tool that has Pylon installed already; fails where none has.
installed_by() {
  if [ -e "$(own_folder)/pyvenv.cfg" ]; then
    echo venv
  elif has uv && uv tool list 2>/dev/null | grep -q "^$DISTRIBUTION "; then
    echo uv
  elif has pipx && pipx list --short 2>/dev/null | grep -q "^$DISTRIBUTION "; then
    echo pipx
  else
    return 1
  fi
}

choose_tool() {
  before=$(installed_by) || before=""
  if [ -n "$tool" ]; then
    [ -z "$before" ] || [ "$before" = "$tool" ] \
      || fail "$before has Pylon already" "leave out --with, or run this with --uninstall first"
    [ "$tool" = venv ] || has "$tool" || fail "$tool is not on PATH" "install $tool, or leave out --with"
  elif [ -n "$before" ]; then
    tool=$before
  elif has uv; then
    tool=uv
  elif has pipx; then
    tool=pipx
  elif find_python >/dev/null; then
    tool=venv
  else
    fail "there is neither uv, nor pipx, nor a Python of 3.$OLDEST or newer on PATH" \
      "install one of them (Debian, Ubuntu: apt install pipx; Fedora: dnf install pipx; macOS: brew install uv), then run this again"
  fi
}

needs_python() {
  python=$(find_python) || fail "$tool is there, but no Python of 3.$OLDEST or newer on PATH" \
    "install a newer Python, or uv, which brings one; then run this again"
}

not_installed() {
  fail "$1 could not install $what" \
    "read what $1 said above; nothing was changed outside of its own folders"
}

# Where a command goes, there must be none of somebody else's.
refuse_strangers() {
  link="$commands/pylon"
  if [ -e "$link" ] || [ -L "$link" ]; then
    case $(readlink "$link" 2>/dev/null) in
      */"$DISTRIBUTION"/*) ;;
      *) fail "$link is another program's" "move it away or delete it, then run this again" ;;
    esac
  fi
}

# Minutes may pass: on a terminal the tool says what it is at.
quiet=--quiet
[ ! -t 2 ] || quiet=""

install_by_uv() {
  commands=$(uv tool dir --bin)
  refuse_strangers
  # A release may ask for a Python that is not here: uv brings its own.
  # shellcheck disable=SC2086 # $quiet is one option or none
  uv tool install $quiet --python ">=3.$OLDEST" --upgrade --reinstall-package "$DISTRIBUTION" "$what" \
    || not_installed uv
}

install_by_pipx() {
  needs_python
  commands=$(pipx environment --value PIPX_BIN_DIR)
  refuse_strangers
  # --force replaces what is there; without it pipx leaves the old version and says that it did.
  # shellcheck disable=SC2086 # see above
  pipx install $quiet --force --python "$python" "$what" >&2 || not_installed pipx
}

# Has the installation before this one stand where it stood.
put_back() {
  if [ -e "$folder.before" ]; then
    rm -rf "$folder"
    mv "$folder.before" "$folder"
  fi
}

install_by_venv() {
  needs_python
  commands=$(own_commands)
  refuse_strangers
  folder=$(own_folder)
  "$python" -c 'import venv, ensurepip' 2>/dev/null \
    || fail "$python has no venv module" "Debian, Ubuntu: apt install python3-venv; or install pipx or uv; then run this again"
  put_back # a run before this one was killed
  # Made anew, so that what an older version needed does not stay; that one waits beside it.
  [ ! -e "$folder" ] || mv "$folder" "$folder.before"
  trap 'rm -rf "$folder"; put_back; exit 130' HUP INT TERM
  mkdir -p "$commands" "$folder"
  # shellcheck disable=SC2086 # see above
  if ! { "$python" -m venv "$folder" \
    && "$folder/bin/python" -m pip install $quiet --disable-pip-version-check "$what" >&2; }; then
    rm -rf "$folder"
    put_back
    fail "pip could not install $what" "read what pip said above; what was installed before is there as it was"
  fi
  trap - HUP INT TERM
  rm -rf "$folder.before"
  ln -sf "$folder/bin/pylon" "$commands/pylon"
}

# Says the line for the user's shell that puts a folder on PATH.
say_path() {
  case ":$PATH:" in
    *":$commands:"*) return 0 ;;
  esac
  case ${SHELL-} in
    */fish) line="fish_add_path '$commands'" ;;
    */zsh) line="echo 'export PATH=\"$commands:\$PATH\"' >> ~/.zshrc" ;;
    */bash) line="echo 'export PATH=\"$commands:\$PATH\"' >> ~/.bashrc" ;;
    *) line="echo 'export PATH=\"$commands:\$PATH\"' >> ~/.profile" ;;
  esac
  echo "install.sh: $commands is not on PATH, so the shell does not find pylon yet" >&2
  echo "  what to do: $line" >&2
  echo "  and open a new shell" >&2
}

say_hidden() {
  found=$(command -v pylon || true)
  if [ -n "$found" ] && [ "$found" != "$commands/pylon" ]; then
    echo "install.sh: PATH has another pylon first: $found" >&2
    echo "  what to do: put $commands before it in PATH, or delete that one" >&2
  fi
}

uninstall() {
  before=$(installed_by) || before=""
  if [ -z "$before" ] || [ "${tool:-$before}" != "$before" ]; then
    echo "Pylon is not installed by ${tool:-uv, pipx or this script}: nothing to take away."
    return 0
  fi
  tool=$before
  case $tool in
    uv) uv tool uninstall --quiet "$DISTRIBUTION" >&2 ;;
    pipx) pipx uninstall --quiet "$DISTRIBUTION" >&2 ;;
    venv)
      link="$(own_commands)/pylon"
      folder=$(own_folder) # before the link is gone, which may say where it is
      case $(readlink "$link" 2>/dev/null) in
        "$folder"/*) rm -f "$link" ;;
      esac
      rm -rf "$folder"
      ;;
  esac
  echo "Pylon is taken away ($tool). Projects stay where they are; what they share between them is in"
  echo "${PYLON_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/pylon}, and yours to delete."
}

main() {
  what="" version="" tool="" uninstalls=""
  while [ $# -gt 0 ]; do
    case $1 in
      --from | --version | --with)
        [ $# -ge 2 ] && [ -n "$2" ] || wrong_usage "$1 needs a value"
        case $1 in
          --from) what=$2 ;;
          --version) version=$2 ;;
          --with) tool=$2 ;;
        esac
        shift
        ;;
      --uninstall) uninstalls=yes ;;
      -h | --help)
        usage
        return 0
        ;;
      *) wrong_usage "$1 is no option of it" ;;
    esac
    shift
  done
  case $tool in
    "" | uv | pipx | venv) ;;
    *) wrong_usage "--with takes uv, pipx or venv, not $tool" ;;
  esac
  [ -z "$what" ] || [ -z "$version" ] || wrong_usage "--from and --version both say what to install"
  [ -n "${HOME:-}" ] || fail "HOME is not set" "set it to the folder of the user who shall have Pylon"
  case $(uname -s) in
    MINGW* | MSYS* | CYGWIN*) fail "this is Windows" "run installers/install.ps1 in PowerShell" ;;
  esac
  if [ -n "$uninstalls" ]; then
    uninstall
    return 0
  fi
  case $what in
    *.whl | */*)
      case $what in
        *://* | *@*) ;;
        *) [ -e "$what" ] || fail "there is no $what" "name a wheel or a folder that is there" ;;
      esac
      ;;
    "") what="$DISTRIBUTION${version:+==$version}" ;;
  esac
  choose_tool
  echo "installing $what by $tool …" >&2
  commands=""
  "install_by_$tool"
  "$commands/pylon" --version || fail "$commands/pylon does not start" \
    "run it by hand to see why; sh install.sh --uninstall takes it away"
  say_path
  say_hidden
}

# Nothing runs before the last line is there: a download that breaks off does nothing.
main "$@"
