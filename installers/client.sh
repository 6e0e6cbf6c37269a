#!/bin/sh
# Builds the browser client (pylon/client/browser/dist) and the chat example's page.
set -eu
cd "$(dirname "$0")/.."
PATH="$(sh installers/node.sh):$PATH"
export PATH
cd pylon/client/browser
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.installed ]; then
  echo "installing what the browser client is built with (half a minute) …"
  # A home that cannot be written to has no place for npm's cache.
  mkdir -p "${npm_config_cache:-$HOME/.npm}" 2>/dev/null && [ -w "${npm_config_cache:-$HOME/.npm}" ] || {
    npm_config_cache="$(cd ../../.. && pwd)/.venv/npm-cache"
    export npm_config_cache
  }
  npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
  touch node_modules/.installed
fi
echo "building the browser client …"
npm run --silent build
./node_modules/.bin/esbuild ../../../examples/chat/src/chat.ts --bundle --format=esm \
  --target=es2022 '--external:/_pylon/*' --log-level=warning \
  --outfile=../../../examples/chat/web/chat.js
