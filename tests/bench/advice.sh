#!/usr/bin/env bash
# How long advice takes for 39 labels x 12 endpoints x 30 days of block rows, and how much memory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo run --release --locked --quiet -p advisor --example decide
