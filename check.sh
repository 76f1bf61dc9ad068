#!/usr/bin/env bash
# Everything a change must pass: format, lints, the suite with documentation examples, documentation, licences.
set -euo pipefail
cd "$(dirname "$0")"
step() { printf '\n== %s\n' "$*"; "$@"; }
step cargo fmt --all --check
step cargo clippy --workspace --all-targets --quiet -- -D warnings
step cargo test --workspace --quiet
# Optional readers, each by its own crate alone: everything else is the same with them.
step cargo clippy -p mediary-geometry -p mediary-molecule --all-targets --features mediary-geometry/fbx,mediary-molecule/pdbtbx --quiet -- -D warnings
step cargo test -p mediary-geometry -p mediary-molecule --features mediary-geometry/fbx,mediary-molecule/pdbtbx --lib --quiet -- fbx pdbtbx
RUSTDOCFLAGS="-D warnings" step cargo doc --workspace --no-deps --quiet
# Licences are checked inside the suite; cargo-deny looks at sources and bans too where it is installed.
if command -v cargo-deny >/dev/null; then step cargo deny --offline check licenses bans sources; fi
printf '\nall checks passed\n'
