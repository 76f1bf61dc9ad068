//! The suite lives in `suite/`.
