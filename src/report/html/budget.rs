//! How much of everything a page holds, in bytes of its JSON.

/// Attempts, with their tests' names and what they leaked.
pub const ATTEMPTS: usize = 8 << 20;
/// Violations.
pub const VIOLATIONS: usize = 1 << 20;
/// Samples.
pub const SERIES: usize = 4 << 20;
/// Captured output.
pub const OUTPUTS: usize = 2 << 20;
/// Earlier attempts.
pub const HISTORY: usize = 4 << 20;

/// Points of a plot of a test that matters.
pub const MANY_POINTS: usize = 400;
/// Points of any other.
pub const FEW_POINTS: usize = 60;
/// Earlier attempts of a test.
pub const EARLIER: u64 = 20;
/// Attempts that are held while a page is made: those that pass, and took least, are dropped first.
pub const HELD: usize = 40_000;
/// Kinds of workers that are shown; those that differ in nothing but their number are one kind.
pub const WORKERS: usize = 200;

/// What is left of one of these. Once something was refused, a smaller thing of less weight does
/// not slip in.
#[derive(Debug)]
pub struct Budget(Option<usize>);

impl Budget {
    /// A whole one.
    pub fn new(bytes: usize) -> Self {
        Budget(Some(bytes))
    }

    /// Whether `bytes` more fit; then they are taken.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.0 = self.0.and_then(|left| left.checked_sub(bytes));
        self.0.is_some()
    }

    /// Whether nothing fits any more.
    pub fn is_spent(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_what_did_not_fit() {
        let mut budget = Budget::new(10);
        assert!(budget.take(6) && !budget.is_spent());
        assert!(!budget.take(5) && budget.is_spent());
        assert!(!budget.take(1));
    }
}
