//! What the two binaries share: command lines, wiring and printing. It decides nothing.
