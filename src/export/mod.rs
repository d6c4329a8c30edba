//! Turns a profile into the bytes of a file format.
