//! The composition root: the only file that knows everyone. Starts, watches and stops the parts.
