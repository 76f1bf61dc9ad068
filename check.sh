#!/usr/bin/env bash
# Everything a change must pass: format, lints, the suite with documentation examples, documentation, licences.
set -euo pipefail
cd "$(dirname "$0")"
step() { printf '\n== %s\n' "$*"; "$@"; }
step cargo fmt --all --check
step cargo clippy --workspace --all-targets --quiet -- -D warnings
step cargo test --workspace --quiet
# Optional readers, each by its own crate alone: everything else is the same with them.
optional=(-p mediary-geometry -p mediary-image -p mediary-molecule
    --features mediary-geometry/fbx,mediary-image/avif,mediary-image/jxl,mediary-image/svg,mediary-molecule/pdbtbx --quiet)
step cargo clippy "${optional[@]}" --all-targets -- -D warnings
step cargo test "${optional[@]}" --lib -- avif fbx jxl pdbtbx svg
RUSTDOCFLAGS="-D warnings" step cargo doc --workspace --no-deps --quiet
# Licences are checked inside the suite; cargo-deny looks at sources and bans too where it is installed.
if command -v cargo-deny >/dev/null; then step cargo deny --offline check licenses bans sources; fi
printf '\nall checks passed\n'
