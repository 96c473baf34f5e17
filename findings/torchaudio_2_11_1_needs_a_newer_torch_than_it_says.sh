#!/usr/bin/env bash
# torchaudio 2.11.1, its last release, declares torch >= 2.11 and cannot be imported with torch 2.11.0.
#
# pip resolves the pair without a word, so whoever keeps torch 2.11 and upgrades torchaudio has a broken environment;
# torchaudio 2.11.0 goes with that torch.
#
# Seen, Python 3.11, Linux x86-64: `import torchaudio` ends with an OSError or ImportError at its native library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.11.0 torchaudio==2.11.1
"$folder/venv/bin/pip" check
"$folder/venv/bin/pip" show torchaudio | grep -E "^(Version|Requires)"
if "$folder/venv/bin/python" -c "import torchaudio" 2> "$folder/error"; then
    echo "torchaudio was imported: the declared range is right now"
    exit 1
fi
tail -n 1 "$folder/error"
grep -qE "^(OSError|ImportError)" "$folder/error"
