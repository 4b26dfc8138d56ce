//! Scenarios that speak the wire; see `tests/`.
