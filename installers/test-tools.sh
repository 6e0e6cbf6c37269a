#!/bin/sh
# Makes sure that the tests have the programs of the system that they try Pylon with, where Debian's
# packages can bring them. Without one its tests are skipped, and pytest lists them with that reason.
set -eu
[ "$(uname -s)" = Linux ] || exit 0

missing=""
# need PACKAGE FILE…: it is there where one of the files is, or a command of that name.
need() {
  package=$1
  shift
  for name in "$@"; do
    case $name in
      /*) [ ! -e "$name" ] || return 0 ;;
      *) ! command -v "$name" >/dev/null 2>&1 || return 0 ;;
    esac
  done
  missing="$missing $package"
}

need strace strace # failing disks, power loss
# Attaching through ssh; not where a service manager would start the package's own server.
[ -d /run/systemd/system ] || need openssh-server /usr/sbin/sshd
need libfaketime /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1 \
  /usr/local/lib/faketime/libfaketime.so.1 # clocks that jump
# The proxies of docs/deploy.md; where systemd runs, installing them would start them.
if [ ! -d /run/systemd/system ]; then
  need nginx-light nginx /usr/sbin/nginx
  need caddy caddy
fi
# The launcher entry, clicked on in a terminal window of an X server without a monitor.
need xvfb Xvfb
need xterm xterm
need xdotool xdotool
need libglib2.0-bin gio
need desktop-file-utils desktop-file-validate
need zsh zsh   # its completion
need fish fish # its completion
# The Debian package is tried with these; their absence is no fault of a system that has no dpkg.
if command -v dpkg-deb >/dev/null 2>&1; then
  need python3 /usr/bin/python3
  need tzdata /usr/share/zoneinfo/UTC
fi

[ -n "$missing" ] || exit 0
advice="their tests will be skipped; to run them: apt-get install$missing"
command -v apt-get >/dev/null 2>&1 || { echo "missing$missing: $advice" >&2; exit 0; }
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo -n"
fi
echo "installing what tests need:$missing …" >&2
# shellcheck disable=SC2086 # a list of packages
{ $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq $missing; } \
  >&2 || echo "not installed:$missing: $advice" >&2
