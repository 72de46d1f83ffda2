#!/usr/bin/env bash
# Installs what `make test-browser` needs beside .venv: Debian's Chromium, and a font that has the notebooks' signs.
set -euo pipefail

packages=(chromium fonts-dejavu-core)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "${missing[*]} must be installed by root, and there is no sudo." >&2; exit 1; }
  as_root=(sudo)
fi
command -v apt-get >/dev/null || { echo "There is no apt-get: install Chromium in this system's own way." >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq || { echo "apt-get update failed: ${missing[*]} cannot be installed." >&2; exit 1; }
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
  { echo "apt-get could not install ${missing[*]}." >&2; exit 1; }
