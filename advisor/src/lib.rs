//! Decides and applies: matrix, evidence, advice, plan, guards, records.
