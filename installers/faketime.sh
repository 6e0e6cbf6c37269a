#!/bin/sh
# Makes sure that the tests of clocks that jump have libfaketime, where Debian's packages can bring
# it. Without it they are skipped, and pytest lists them with that reason.
set -eu
for folder in /usr/lib/*/faketime /usr/lib/faketime /usr/local/lib/faketime; do
  [ ! -e "$folder/libfaketime.so.1" ] || exit 0
done
[ "$(uname -s)" = Linux ] || exit 0
advice="the tests of clocks that jump will be skipped; to run them: apt-get install libfaketime"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo -n"
fi
echo "installing libfaketime for the tests of clocks …" >&2
{ $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq libfaketime; } \
  >&2 || echo "libfaketime could not be installed: $advice" >&2
