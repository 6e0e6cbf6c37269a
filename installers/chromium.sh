#!/bin/sh
# Makes sure that the browser tests have a Chromium, and prints its path.
set -eu
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null 2>&1; then
    command -v "$name"
    exit 0
  fi
done
advice="install Chromium by hand (Debian and Ubuntu: apt-get install chromium; macOS: brew install --cask chromium), then run make test again"
if ! command -v apt-get >/dev/null 2>&1; then
  echo "The browser tests need Chromium, and this machine has no apt-get: $advice" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "The browser tests need Chromium, and installing it needs root: $advice" >&2
    exit 1
  fi
  as_root="sudo"
fi
echo "installing Chromium for the browser tests …" >&2
$as_root apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq chromium >&2 || {
  echo "Chromium could not be installed: $advice" >&2
  exit 1
}
command -v chromium
