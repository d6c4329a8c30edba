//! Turns rows with shares into an order that moves only where shares differ by more than their confidence intervals.

use std::collections::HashMap;

/// Of the standard normal distribution, this holds 95 %.
const Z95: f64 = 1.96;

/// What is ordered: a key, and its part of the time, from 0 to 1.
pub(super) type Shared<'r> = (&'r str, f64);

/// The order in which to show `rows`, as indexes into them, if `before` is how they were shown until now. New rows come
/// where their share puts them. `samples` is how many samples the shares are of.
pub(super) fn arrange(rows: &[Shared<'_>], before: &[String], samples: u64) -> Vec<usize> {
    let places: HashMap<&str, usize> = before.iter().map(String::as_str).zip(0..).collect();
    let place = |row: &usize| places.get(rows[*row].0).copied();
    let mut order: Vec<usize> = (0..rows.len()).filter(|row| place(row).is_some()).collect();
    order.sort_by_key(place);
    let mut new: Vec<usize> = (0..rows.len()).filter(|row| place(row).is_none()).collect();
    new.sort_by(|a, b| rows[*b].1.total_cmp(&rows[*a].1).then(a.cmp(b)));
    for row in new {
        let at = order.iter().position(|it| rows[*it].1 < rows[row].1);
        order.insert(at.unwrap_or(order.len()), row);
    }
    for end in 1..order.len() {
        let mut at = end;
        while at > 0 && is_larger(rows[order[at]].1, rows[order[at - 1]].1, samples) {
            order.swap(at, at - 1);
            at -= 1;
        }
    }
    order
}

/// Whether a share is larger than another by more than chance. The variance of the difference of two shares `p` and `q` of
/// one set of `n` samples is `(p + q − (p − q)²) / n`.
fn is_larger(p: f64, q: f64, samples: u64) -> bool {
    let variance = (p + q - (p - q) * (p - q)).max(0.0) / samples.max(1) as f64;
    p - q > Z95 * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[Shared<'_>], before: &[&str], samples: u64, expected: &[&str]) {
        let before: Vec<String> = before.iter().map(|name| (*name).to_owned()).collect();
        let order = arrange(rows, &before, samples);
        let names: Vec<&str> = order.into_iter().map(|row| rows[row].0).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn rows_change_places_only_where_they_differ_by_more_than_chance() {
        let rows = [("a", 0.30), ("b", 0.32), ("c", 0.38)];
        check(&rows, &[], 1000, &["c", "b", "a"]);
        check(&rows, &["a", "b", "c"], 1000, &["c", "a", "b"]);
        check(&rows, &["a", "b", "c"], 100, &["a", "b", "c"]);
        check(&rows, &["a", "b", "c"], 1_000_000, &["c", "b", "a"]);
        check(&rows, &["gone", "a", "c"], 100, &["b", "a", "c"]);
        check(&[], &["a"], 0, &[]);
    }
}
