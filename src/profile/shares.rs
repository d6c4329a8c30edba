//! Turns a sum into parts that add up to it.

/// The parts of `sum` by these weights, of which there is at least one: each is rounded down, and what is left goes, one
/// each, to those that lost most by that, the first of equal ones first. Where all weights are 0, they count alike.
pub(super) fn parts(sum: u64, weights: &[u64]) -> Vec<u64> {
    let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if whole == 0 {
        return parts(sum, &vec![1; weights.len()]);
    }
    let product = |weight: &u64| u128::from(sum) * u128::from(*weight);
    let mut parts: Vec<u64> = weights
        .iter()
        .map(|weight| (product(weight) / whole) as u64)
        .collect();
    let left = sum - parts.iter().sum::<u64>();
    if left > 0 {
        let mut by_rest: Vec<usize> = (0..weights.len()).collect();
        by_rest.sort_by_key(|index| std::cmp::Reverse(product(&weights[*index]) % whole));
        for index in by_rest.into_iter().take(left as usize) {
            parts[index] += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_remainder_goes_to_the_largest_rests() {
        assert_eq!(parts(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(parts(10, &[1, 2, 3]), [2, 3, 5]);
        assert_eq!(parts(1, &[0, 0]), [1, 0]);
        assert_eq!(parts(u64::MAX, &[u64::MAX, 0]), [u64::MAX, 0]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_within_one_of_their_shares(
            sum in any::<u64>(), weights in prop::collection::vec(0..u64::MAX / 64, 1..20),
        ) {
            let parts = parts(sum, &weights);
            prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(sum));
            let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            prop_assume!(whole > 0);
            for (part, weight) in parts.iter().zip(&weights) {
                let floor = (u128::from(sum) * u128::from(*weight) / whole) as u64;
                prop_assert!(*part == floor || *part == floor + 1);
            }
        }
    }
}
