//! pts.json
