//! Turns a seed into numbers that look like chance, the same ones in every run.

/// A number below `end`: xorshift64* (Vigna 2016).
pub fn below(random: &mut u64, end: u64) -> u64 {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    let number = random.wrapping_mul(0x2545_F491_4F6C_DD1D);
    ((u128::from(number) * u128::from(end)) >> 64) as u64
}
