#!/usr/bin/env bash
# Builds `probe` and `advisor` as static programs with musl, small and stripped, into target/static/ARCH/.
#
#   deploy/static.sh [x86_64|aarch64]... [probe|advisor]...     all where none is named
#
# It wants Debian 12 on x86_64, a machine or a container, with cargo; as root where packages are missing. Rust's
# compiler, its source and musl are Debian's own (no rustup needed) and are unpacked under target/static/toolchain,
# where they meet no others; the standard library for musl is built from that source, once. Crates come from
# crates.io. A program for another machine is built and not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BYTES_MAX=15000000
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
export CARGO_TARGET_DIR
STATIC="$CARGO_TARGET_DIR/static"
TOOLS="$STATIC/toolchain"
# Flags from outside would take the place of those below.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET

die() { printf 'static.sh: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

target() { echo "$1-unknown-linux-musl"; }

# A list of somebody else's that cannot be read does no harm.
other_lists() { echo "static.sh: not all lists of packages could be read; going on with those that could" >&2; }

# apt-get with lists of its own for both architectures: the machine's stay as they are, and nobody need be root.
apt() {
  mkdir -p "$TOOLS/apt/lists/partial" "$TOOLS/apt/cache/archives/partial"
  timeout 300 apt-get -qq -o Acquire::Retries=3 -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 \
    -o APT::Sandbox::User=root -o Dir::State::Lists="$TOOLS/apt/lists" -o Dir::Cache="$TOOLS/apt/cache" "$@"
}

# What is linked and run here comes from the system: the cross compiler, and LLVM with what it needs.
install_packages() {
  local missing=() llvm
  command -v cc >/dev/null && command -v x86_64-linux-gnu-gcc >/dev/null || missing+=(gcc libc6-dev)
  [[ " $* " != *" aarch64 "* ]] || command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
  llvm="$(dpkg-deb -f "$TOOLS"/debs/libstd-rust-web-[0-9]*.deb Depends | grep -o 'libllvm[0-9]*')"
  dpkg -s "$llvm" >/dev/null 2>&1 || missing+=("$llvm")
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || die "packages are missing: ${missing[*]}" "as root: apt-get install ${missing[*]}"
  timeout 180 apt-get -qq -o Acquire::Retries=3 update || other_lists
  DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -y -o Acquire::Retries=3 --no-install-recommends \
    install "${missing[@]}" >/dev/null || die "apt-get install ${missing[*]} failed" "see above"
}

# Debian's compiler, the library's source, and musl for both machines.
unpack_toolchain() {
  local package
  [ ! -e "$TOOLS/unpacked" ] || return 0
  rm -rf "$TOOLS"
  apt update || other_lists
  mkdir -p "$TOOLS/debs"
  (cd "$TOOLS/debs" && apt download rustc-web libstd-rust-web-dev rust-web-src musl-dev:amd64 musl-dev:arm64 \
    libgcc-11-dev libgcc-11-dev-arm64-cross \
    && apt download "$(dpkg-deb -f libstd-rust-web-dev_*.deb Depends | grep -o 'libstd-rust-web-[0-9.]*')") \
    || die "Debian's packages of Rust cannot be had" "they are in bookworm and bookworm-security: check /etc/apt"
  for package in "$TOOLS"/debs/{rustc-web,libstd-rust-web,musl-dev,libgcc-11-dev}*.deb; do
    dpkg -x "$package" "$TOOLS"
  done
  dpkg --fsys-tarfile "$TOOLS"/debs/rust-web-src_*.deb \
    | tar x -C "$TOOLS" --strip-components=4 --wildcards './usr/src/rustc-*/library/*'
  rm -rf "$TOOLS/apt"
  touch "$TOOLS/unpacked"
}

# Programs of the unpacked packages that know where they lie.
write_wrappers() {
  local arch specs
  mkdir -p "$TOOLS/bin"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$TOOLS/usr/lib/x86_64-linux-gnu" "$TOOLS/usr/bin/rustc" \
    >"$TOOLS/bin/rustc"
  for arch in x86_64 aarch64; do
    specs="$TOOLS/bin/$arch.specs"
    sed "s#/usr/#$TOOLS/usr/#g" "$TOOLS/usr/lib/$arch-linux-musl/musl-gcc.specs" >"$specs"
    printf '#!/bin/sh\nexec %s-linux-gnu-gcc "$@" -specs %q\n' "$arch" "$specs" >"$TOOLS/bin/$arch-musl-gcc"
  done
  chmod +x "$TOOLS/bin/rustc" "$TOOLS"/bin/*-musl-gcc
}

# Rust's standard library for architectures, from Debian's source, to where the compiler looks for it.
build_std() {
  local arch to targets=()
  for arch in "$@"; do
    [ -e "$TOOLS/usr/lib/rustlib/$(target "$arch")/lib/complete" ] || targets+=(--target "$(target "$arch")")
  done
  [ "${#targets[@]}" -gt 0 ] || return 0
  # The flags are those with which Rust builds it itself; its own sources may use what is not stable yet.
  RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes" \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_TARGET_DIR="$TOOLS/std" \
    cargo build --quiet --locked --release --manifest-path "$TOOLS/library/std/Cargo.toml" --features panic-unwind \
    "${targets[@]}"
  for arch in "$@"; do
    to="$TOOLS/usr/lib/rustlib/$(target "$arch")/lib"
    [ ! -e "$to/complete" ] || continue
    mkdir -p "$to"
    # What was built against another one does not fit.
    rm -rf "${CARGO_TARGET_DIR:?}/$(target "$arch")"
    cp "$TOOLS/std/$(target "$arch")"/release/deps/*.rlib "$to"
    # Rust asks for LLVM's unwinder; GCC's has the same functions. From version 12 on it needs glibc.
    cp "$TOOLS"/usr/lib/gcc*/"$arch-linux-gnu"/11/libgcc_eh.a "$to/libunwind.a"
    touch "$to/complete"
  done
  rm -rf "$TOOLS/std"
}

# All programs for all architectures: what runs here, as build scripts, is built once for all.
build() {
  local arch upper lower targets=()
  for arch in "${ARCHES[@]}"; do
    upper="$(target "$arch" | tr 'a-z-' 'A-Z_')"
    lower="$(target "$arch" | tr - _)"
    # The linker for Rust and, for the C code of SQLite and ring, the compiler.
    export "CARGO_TARGET_${upper}_LINKER=$TOOLS/bin/$arch-musl-gcc" "CC_$lower=$TOOLS/bin/$arch-musl-gcc"
    export "AR_$lower=$arch-linux-gnu-ar"
    export "CARGO_TARGET_${upper}_RUSTFLAGS=-C link-self-contained=no -C relocation-model=static"
    targets+=(--target "$(target "$arch")")
  done
  cargo build --locked --profile dist "${targets[@]}" -p nearside "${PROGRAMS[@]/#/--bin=}"
}

# Puts the programs of an architecture where they are looked for, if they are what they should be.
deliver() {
  local arch="$1" name binary bytes machine
  mkdir -p "$STATIC/$arch"
  for name in "${PROGRAMS[@]}"; do
    binary="$STATIC/$arch/$name"
    cp "$CARGO_TARGET_DIR/$(target "$arch")/dist/$name" "$binary"
    ! readelf -lW "$binary" | grep -q INTERP || die "$binary asks for a dynamic loader" "look at the linker's flags"
    machine="$(readelf -h "$binary" | sed -n 's/ *Machine: *//p')"
    case "$arch $machine" in
      "x86_64 Advanced Micro Devices X86-64" | "aarch64 AArch64") ;;
      *) die "$binary is for $machine" "look at the linker" ;;
    esac
    bytes="$(stat -c %s "$binary")"
    [ "$name" = advisor ] || [ "$bytes" -lt "$BYTES_MAX" ] \
      || die "$binary has $bytes bytes, $BYTES_MAX or more" "size -A says of what kind"
    printf '%s: static, %s, %s bytes\n' "$binary" "$machine" "$bytes"
  done
}

ARCHES=() PROGRAMS=()
for word in "$@"; do
  case "$word" in
    x86_64 | aarch64) ARCHES+=("$word") ;;
    probe | advisor) PROGRAMS+=("$word") ;;
    *) die "$word is nothing that this builds" "name x86_64 or aarch64, probe or advisor" ;;
  esac
done
[ "${#ARCHES[@]}" -gt 0 ] || ARCHES=(x86_64 aarch64)
[ "${#PROGRAMS[@]}" -gt 0 ] || PROGRAMS=(probe advisor)
if ! { [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] && grep -q '^VERSION_ID="12"' /etc/os-release; }; then
  die "this is no Debian 12 on x86_64, whose packages are needed" "run it in a container of debian:12"
fi
command -v cargo >/dev/null || die "cargo is not installed" "apt-get install cargo-web, or use rustup"
unpack_toolchain
install_packages "${ARCHES[@]}"
write_wrappers
export RUSTC="$TOOLS/bin/rustc"
build_std "${ARCHES[@]}"
build
for arch in "${ARCHES[@]}"; do deliver "$arch"; done
