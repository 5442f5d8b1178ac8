#!/usr/bin/env bash
# Makes the kit that scripts/gpu_check.sh needs on a machine that has a GPU and nothing else: compressed executables,
# prepared tokens, golden values, configurations, the scripts, and Debian's Vulkan loader.
#
#   scripts/gpu/prepare.sh KIT [--builds cuda,vulkan] [--max-bytes 20000000] [--corpus PATH]
#
# KIT is replaced. Two builds, since one with SPIR-V takes that path on every Vulkan adapter:
#
#   cuda     CUDA, and wgpu by WGSL; set CUDARC_CUDA_VERSION (13000 for CUDA 13.0) where nvcc is not installed
#   vulkan   Vulkan by SPIR-V
#   wgpu     the default build alone, to try the scripts on a software driver
#
# Each is built in target/gpu/BUILD, which takes as long as a first build. CORPUS is what cargo has fetched by default.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
  sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

builds=cuda,vulkan max_bytes=20000000 corpus=${CARGO_HOME:-$HOME/.cargo}/registry/src
[ $# -ge 1 ] && [ "${1#-}" = "$1" ] || usage
kit=$1
shift
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --builds) builds=$2 ;;
    --max-bytes) max_bytes=$2 ;;
    --corpus) corpus=$2 ;;
    *) usage ;;
  esac
  shift 2
done

rm -rf "$kit"
mkdir -p "$kit/bin" "$kit/loaders"
for build in ${builds//,/ }; do
  case $build in
    cuda) features=wgpu,cuda ;;
    vulkan) features=vulkan ;;
    wgpu) features=wgpu ;;
    *) usage ;;
  esac
  target=${RONDO_GPU_TARGET:-${CARGO_TARGET_DIR:-target}/gpu}/$build
  cargo build --release --no-default-features --features "$features" --target-dir "$target"
  trainer=$target/release/trainer
  xz -T 0 -2 -c "$trainer" >"$kit/bin/trainer-$build.xz"
done

"$trainer" prepare "$corpus" --vocab-size 8192 --max-bytes "$max_bytes" --out "$kit/tokens"
cp -r configs scripts "$kit"
cp -r tests/golden/raven-tiny "$kit/golden"
if command -v apt-get >/dev/null; then
  (cd "$kit/loaders" && apt-get download -qq libvulkan1) ||
    echo "warning: no libvulkan1; the other machine must have a Vulkan loader" >&2
fi
du -sh "$kit"
