#!/usr/bin/env bash
# Builds `probe` as one static binary, small and stripped, into target/dist/.
#
#   deploy/static.sh [x86_64|aarch64]...     both where none is named
#
# With the musl target installed (`rustup target add ARCH-unknown-linux-musl`) it links musl. Without, it links
# glibc statically, which needs the standard library of ARCH-unknown-linux-gnu and that machine's gcc and libc.a
# (Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross). What is missing is said, with how to get it. A binary for
# another machine is built and not run. About six minutes on two cores; tests/run does not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
MAX_MIB=15

die() { printf 'static.sh: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

# Whether rustc has the standard library of a target.
has_std() { compgen -G "$(rustc --print sysroot)/lib/rustlib/$1/lib/libstd-*.rlib" >/dev/null; }

# The linker of a machine: cc at home, the cross compiler elsewhere.
linker() { if [ "$1" = "$(uname -m)" ]; then echo cc; else echo "$1-linux-gnu-gcc"; fi; }

# What takes the symbols out.
stripper() { if [ "$1" = "$(uname -m)" ]; then echo strip; else echo "$1-linux-gnu-strip"; fi; }

# The target to build an architecture for.
choose() {
  local musl="$1-unknown-linux-musl" gnu="$1-unknown-linux-gnu"
  if has_std "$musl"; then echo "$musl"; return; fi
  has_std "$gnu" || die "rustc $(rustc --version | cut -d' ' -f2) has no standard library for $1" \
    "rustup target add $musl"
  local cc libc
  cc="$(linker "$1")"
  command -v "$cc" >/dev/null || die "$cc is not installed" "apt-get install gcc-${1//_/-}-linux-gnu"
  libc="$("$cc" -print-file-name=libc.a)"
  [ -f "$libc" ] || die "glibc's static library for $1 is not installed" \
    "apt-get install libc6-dev (for $(uname -m)), or libc6-dev-arm64-cross for aarch64"
  echo "$gnu"
}

build() {
  local arch="$1" target upper binary mib
  target="$(choose "$arch")"
  upper="$(tr 'a-z-' 'A-Z_' <<<"$target")"
  # The linker for Rust and, for the C code of SQLite and ring, the compiler.
  export "CARGO_TARGET_${upper}_LINKER=$(linker "$arch")"
  export "CC_${target//-/_}=$(linker "$arch")"
  # Flags of this target alone: build scripts stay dynamic.
  export "CARGO_TARGET_${upper}_RUSTFLAGS=-C target-feature=+crt-static -C relocation-model=static"
  cargo build --locked --profile dist --target "$target" -p nearside --bin probe
  mkdir -p target/dist
  binary="target/dist/probe-$arch"
  "$(stripper "$arch")" -o "$binary" "${CARGO_TARGET_DIR:-target}/$target/dist/probe"
  if readelf -l "$binary" | grep -q INTERP; then
    die "$binary asks for a dynamic loader" "look at the flags of the linker"
  fi
  mib="$(awk -v bytes="$(stat -c %s "$binary")" 'BEGIN { printf "%.1f", bytes / 1048576 }')"
  awk -v mib="$mib" -v most="$MAX_MIB" 'BEGIN { exit mib <= most ? 0 : 1 }' \
    || die "$binary has $mib MiB, over $MAX_MIB" "cargo bloat --profile dist says of what"
  printf '%s: %s, static, %s MiB\n' "$binary" "$target" "$mib"
}

[ "$#" -gt 0 ] || set -- x86_64 aarch64
for arch in "$@"; do
  case "$arch" in
    x86_64 | aarch64) ;;
    *) die "$arch is no architecture that this builds" "name x86_64 or aarch64" ;;
  esac
done
for arch in "$@"; do build "$arch"; done
