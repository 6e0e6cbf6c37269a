#!/bin/sh
# Opens Pylon in the terminal of whoever clicks on it: launch.sh PYLON [ARGUMENT…]
# With --inside before them it is what that terminal runs. Where Pylon does not start, what it said
# stays readable until enter is pressed. Knows nothing but its arguments, and evaluates none of them.
set -f
self=$0

inside() {
  cd "${HOME:-/}" 2>/dev/null || cd /
  printf '\033]0;Pylon\007'
  # xterm has more colours than it says.
  [ -z "${XTERM_VERSION:-}" ] || [ "${TERM:-}" != xterm ] || export TERM=xterm-256color
  if [ ! -x "$1" ]; then
    echo "pylon: there is no Pylon at $1 any more"
    echo "  install it again, then: pylon desktop install"
    code=127
  else
    "$@" desktop open
    code=$?
  fi
  case $code in 0 | 130) exit "$code" ;; esac
  if [ "$code" -gt 128 ]; then # killed: the screen is not given back by whom it was taken
    stty sane 2>/dev/null
    printf '\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?2004l\033[?1049l\033[?25h\033[0m\n'
  fi
  printf '\nPylon ended with code %s; press enter to close ' "$code"
  read -r _
  exit "$code"
}

# become WORDS PYLON…: turn into that terminal; come back where there is none of that name.
become() {
  words=$1
  shift
  program=${words%% *}
  [ -n "$program" ] && command -v "$program" >/dev/null 2>&1 || return 0
  case ${program##*/} in
    xdg-terminal-exec | kitty | foot | footclient) flag= ;;
    gnome-terminal | kgx | blackbox-terminal) flag=-- ;;
    ptyxis) flag='--new-window --' ;;
    xfce4-terminal | mate-terminal | terminator | deepin-terminal) flag=-x ;;
    wezterm) flag='start --' ;;
    *) flag=-e ;; # x-terminal-emulator, konsole, qterminal, alacritty, ghostty, st, urxvt, xterm
  esac
  # shellcheck disable=SC2086 # words
  exec $words $flag /bin/sh "$self" --inside "$@"
}

# What the desktop's own settings call the terminal; nothing where they say nothing.
preferred() {
  config=${XDG_CONFIG_HOME:-${HOME:-}/.config}
  case :${XDG_CURRENT_DESKTOP:-}: in
    *:KDE:*) sed -n 's/^TerminalApplication=//p' "$config/kdeglobals" ;;
    *:XFCE:*) sed -n 's/^TerminalEmulator=//p' "$config/xfce4/helpers.rc" ;;
    *:MATE:*) gsettings get org.mate.applications-terminal exec ;;
    *:X-Cinnamon:* | *:Cinnamon:*) gsettings get org.cinnamon.desktop.default-applications.terminal exec ;;
    *:GNOME:* | *:Unity:* | *:Budgie:*) gsettings get org.gnome.desktop.default-applications.terminal exec ;;
  esac 2>/dev/null | tail -n 1 | tr -d "'"
}

# The terminals that belong to a desktop, before those that anybody may have.
usual() {
  case :${XDG_CURRENT_DESKTOP:-}: in
    *:KDE:*) echo konsole ;;
    *:XFCE:*) echo xfce4-terminal ;;
    *:MATE:*) echo mate-terminal ;;
    *:LXQt:*) echo qterminal ;;
    *:GNOME:* | *:Unity:* | *:Budgie:* | *:X-Cinnamon:*) echo ptyxis gnome-terminal kgx ;;
  esac
  echo x-terminal-emulator ghostty kitty alacritty wezterm foot ptyxis gnome-terminal kgx konsole \
    xfce4-terminal mate-terminal qterminal lxterminal terminator tilix urxvt st xterm
}

complain() {
  echo "pylon: $1" >&2
  for program in 'zenity --error --no-markup --text' 'kdialog --error' 'notify-send Pylon' 'xmessage -center'; do
    command -v "${program%% *}" >/dev/null 2>&1 || continue
    # shellcheck disable=SC2086 # words
    $program "$1" && break
  done
  exit 1
}

if [ "${1-}" = --inside ]; then
  shift
  inside "$@"
fi
become "${TERMINAL:-}" "$@"
become xdg-terminal-exec "$@"
become "$(preferred)" "$@"
for terminal in $(usual); do
  become "$terminal" "$@"
done
complain 'there is no terminal program here that Pylon knows; set TERMINAL to the name of yours'
