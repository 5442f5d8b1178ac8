#!/usr/bin/env bash
# Makes the kit that scripts/gpu_check.sh needs on a machine that has a GPU and nothing else: compressed executables,
# prepared tokens, golden values, configurations, the scripts, and Debian's Vulkan loader.
#
#   scripts/gpu/prepare.sh KIT [--builds wgpu,native] [--max-bytes 13000000] [--corpus PATH]
#
# KIT is replaced. There are two builds, because a build with SPIR-V uses it on every Vulkan adapter:
#
#   wgpu     the default build: WGSL, without tuning
#   native   CUDA, and Vulkan with SPIR-V, with fusion and tuning; set CUDARC_CUDA_VERSION (13000 for CUDA 13.0) if
#            nvcc is not installed
#
# The second is built in target/native, which takes as long as a first build. PATH is a file, folder or glob of
# text; by default, the Rust sources that cargo has downloaded.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
  sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

builds=wgpu,native max_bytes=13000000 corpus="${CARGO_HOME:-$HOME/.cargo}/registry/src/*/*/src/**/*.rs"
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
  target=${CARGO_TARGET_DIR:-target}
  case $build in
    wgpu) features=wgpu ;;
    native) features=cuda,vulkan target=$target/native ;;
    *) usage ;;
  esac
  cargo build --release --no-default-features --features "$features" --target-dir "$target"
  trainer=$target/release/trainer
  xz -9 -c "$trainer" >"$kit/bin/trainer-$build.xz"
done

"$trainer" prepare "$corpus" --vocab-size 8192 --max-bytes "$max_bytes" --out "$kit/tokens"
tar cJf "$kit/tokens.tar.xz" -C "$kit" tokens
rm -r "$kit/tokens"
cp -r configs scripts "$kit"
cp -r tests/golden/raven-tiny "$kit/golden"
if command -v apt-get >/dev/null; then
  # NVIDIA's Vulkan driver also needs the dispatch libraries of OpenGL.
  (cd "$kit/loaders" && apt-get download -qq libvulkan1 libegl1 libgl1 libgles2 libglvnd0 libglx0 libopengl0) ||
    echo "warning: no Vulkan loader; the other machine must have one" >&2
fi
du -sh "$kit"
