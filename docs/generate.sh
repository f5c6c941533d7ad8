#!/usr/bin/env bash
# Renews what is made from the types: docs/configuration.md and docs/nearside.schema.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --locked -q -p nearside --bin advisor
advisor="${CARGO_TARGET_DIR:-target}/release/advisor"
"$advisor" schema >docs/nearside.schema.json
"$advisor" schema --markdown >docs/configuration.md
