//! Reports of what was measured, advised and applied.
