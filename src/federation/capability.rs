//! Tuples.
