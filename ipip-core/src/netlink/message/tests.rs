//! Captured bytes.
