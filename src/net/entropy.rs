//! The one place that takes randomness from the system; everyone else is given a seed.

/// The system gave no randomness: nothing secret can be made, so the process must not start.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoEntropy;

/// Thirty-two bytes for a seeded generator.
///
/// # Errors
/// [`NoEntropy`] where the system has none.
pub fn seed() -> Result<[u8; 32], NoEntropy> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| NoEntropy)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_seeds_are_the_same() {
        assert_ne!(seed().unwrap(), seed().unwrap());
    }
}
