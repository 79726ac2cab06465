//! A shard: one machine's part of a suite.

use std::fmt;

use serde::Serialize;

/// The most shards that a suite is divided into.
const MOST: u32 = 9999;

/// The how-many-eth part of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Shard {
    /// From 1.
    pub shard: u32,
    /// How many there are.
    pub shards: u32,
}

impl Shard {
    /// The shard with this number, from 1, of so many; `None` where there is none.
    pub fn new(shard: u32, shards: u32) -> Option<Self> {
        let is_one = (1..=MOST).contains(&shards) && (1..=shards).contains(&shard);
        is_one.then_some(Shard { shard, shards })
    }

    /// Reads `2/3`.
    pub fn parse(text: &str) -> Option<Self> {
        let (shard, shards) = text.split_once('/')?;
        // `+1` is a number to `parse`, and nobody's shard.
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        Shard::new(number(shard)?, number(shards)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shard, self.shards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_1() {
        let second = Shard::parse("2/3").expect("a shard");
        assert_eq!((second.shard, second.shards), (2, 3));
        assert_eq!(second.to_string(), "2/3");
        for bad in [
            "",
            "1",
            "0/3",
            "4/3",
            "0/0",
            "1/0",
            "-1/3",
            "+1/3",
            "1/3/5",
            "1/10000",
            " 1/3",
            "a/b",
            "1/99999999999",
        ] {
            assert_eq!(Shard::parse(bad), None, "{bad}");
        }
    }
}
