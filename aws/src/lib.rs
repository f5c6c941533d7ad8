//! The only crate that links an AWS SDK: Route 53 behind the advisor's traits.
