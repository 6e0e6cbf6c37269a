#!/bin/sh
# Makes sure that the fault tests have strace, where Debian's packages can bring it. Without it they
# are skipped, and pytest lists them with that reason.
set -eu
command -v strace >/dev/null 2>&1 && exit 0
[ "$(uname -s)" = Linux ] || exit 0
advice="the tests of failing disks and power loss will be skipped; to run them: apt-get install strace"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo -n"
fi
echo "installing strace for the fault tests …" >&2
{ $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq strace; } \
  >&2 || echo "strace could not be installed: $advice" >&2
