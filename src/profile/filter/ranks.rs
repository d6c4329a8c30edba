//! Turns words such as `3` and `0-3` into ranks, and ranks into such words.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

/// Ranks that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    first: u32,
    last: u32,
}

/// Text that stands for no ranks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("give numbers from 0 to 4294967295, or first-last, as 0,7,100-110")]
pub struct InvalidRanks;

impl Ranks {
    /// Takes ranks as they were typed: `3`, or `0-3` for the first four.
    ///
    /// # Errors
    /// When it is neither, or the first is above the last.
    pub fn new(text: &str) -> Result<Ranks, InvalidRanks> {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| InvalidRanks);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first > last {
            return Err(InvalidRanks);
        }
        Ok(Ranks { first, last })
    }

    /// Whether this rank is one of them.
    #[must_use]
    pub fn holds(self, rank: u32) -> bool {
        (self.first..=self.last).contains(&rank)
    }

    /// Words for ranks in any order, as few as there can be: `0-3`, `7`.
    pub fn joined(ranks: impl IntoIterator<Item = u32>) -> Vec<String> {
        let mut joined: Vec<Ranks> = Vec::new();
        for rank in ranks.into_iter().collect::<BTreeSet<u32>>() {
            match joined.last_mut() {
                Some(before) if before.last.checked_add(1) == Some(rank) => before.last = rank,
                _ => joined.push(Ranks {
                    first: rank,
                    last: rank,
                }),
            }
        }
        joined.iter().map(Ranks::to_string).collect()
    }
}

impl fmt::Display for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ranks { first, last } if first == last => first.fmt(f),
            Ranks { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_ranks() {
        let holds = |text: &str, rank| Ranks::new(text).map(|ranks| ranks.holds(rank));
        assert_eq!(holds("3", 3), Ok(true));
        assert_eq!(holds("3", 4), Ok(false));
        assert_eq!(holds("2-5", 2), Ok(true));
        assert_eq!(holds("2-5", 5), Ok(true));
        assert_eq!(holds("2-5", 6), Ok(false));
        for text in ["", "-", "-1", "3-", "5-2", "a", "1-2-3", "4294967296"] {
            assert_eq!(Ranks::new(text), Err(InvalidRanks), "{text:?}");
        }
    }

    #[test]
    fn ranks_are_few_words() {
        let words = Ranks::joined([7, 1, 0, 2, 2, u32::MAX]);
        assert_eq!(words, ["0-2", "7", "4294967295"]);
    }
}
