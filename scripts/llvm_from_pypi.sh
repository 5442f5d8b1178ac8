#!/usr/bin/env bash
# Puts LLVM from the Python package index where the build of Burn's CUDA and ROCm backends looks for it, so that
# `--features cuda` builds on a machine that cannot download from GitHub.
#
#   scripts/llvm_from_pypi.sh
#   CUDARC_CUDA_VERSION=13000 cargo build --release --features cuda
#
# With access to GitHub it is not needed: the build downloads LLVM itself. It only works on Linux on x86-64, for which
# the packages mlc-llvm-static and mlc-llvm-static-extra-targets exist. It downloads 92 MB, takes 400 MB under
# ${XDG_DATA_HOME:-~/.local/share}/tracel, and changes nothing if LLVM is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

packages="mlc-llvm-static mlc-llvm-static-extra-targets"
package_version=23.1.1.post0

fail() {
  echo "error: $*" >&2
  exit 1
}

bundle=$(grep -A 1 '^name = "tracel-llvm-bundler"$' Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
[ -n "$bundle" ] || fail "Cargo.lock: no tracel-llvm-bundler, whose version says where LLVM is looked for"
# A minor version of LLVM may change its interface, a patch version does not.
[ "${bundle%.*}" = "${package_version%.*.*}" ] ||
  fail "Cargo.lock asks for LLVM $bundle, this script knows $package_version of $packages"

target=${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-$bundle
if [ -e "$target/.tracel-llvm-installed" ]; then
  echo "LLVM is there: $target"
  exit
fi

staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
for package in $packages; do
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$staged" "$package==$package_version" ||
    fail "pip could not download $package $package_version; it exists for Linux on x86-64"
done
for wheel in "$staged"/*.whl; do
  python3 -m zipfile -e "$wheel" "$staged/unpacked"
done
found=$staged/unpacked/mlc_llvm_static/static
chmod +x "$found/bin/llvm-config"
"$found/bin/llvm-config" --version >/dev/null || fail "$found/bin/llvm-config does not run"

# An incomplete copy has no mark and is replaced.
mkdir -p "$(dirname "$target")"
rm -rf "$target"
mv "$found" "$target"
touch "$target/.tracel-llvm-installed"
echo "LLVM $("$target/bin/llvm-config" --version): $target"
