//! Tests with real interpreters and tools; `scripts/test` prepares them.

mod formats;
