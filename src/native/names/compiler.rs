//! Turns a symbol with what compilers and linkers appended into the one of the source.

/// What GCC and Clang append to the parts and copies that they make of a function; a number may follow each.
///
/// `.isra`, `.part`, `.constprop` and `.cold` are GCC's clones and parts (gcc/cgraph.h, `clone_function_name`),
/// `.lto_priv` and `.localalias` come with link-time optimisation, `.llvm` is Clang's in ThinLTO, `.str` and a bare number
/// GCC's for functions within functions.
const SUFFIXES: &[&str] = &[
    "isra",
    "part",
    "constprop",
    "cold",
    "lto_priv",
    "localalias",
    "llvm",
    "str",
    "unlikely",
];

/// How the compilers name the body of an OpenMP region: GCC, Clang.
const OUTLINED: &[&str] = &["._omp_fn", ".omp_outlined"];

/// Without the version of the symbol: `memcpy@@GLIBC_2.14` is `memcpy`.
pub fn without_version(symbol: &str) -> &str {
    match symbol.find('@') {
        Some(at) if at > 0 => &symbol[..at],
        _ => symbol,
    }
}

/// Without the marks of parts and copies.
pub fn without_suffixes(symbol: &str) -> &str {
    let mut rest = symbol;
    while let Some(shorter) = without_last_suffix(rest) {
        rest = shorter;
    }
    rest
}

fn without_last_suffix(symbol: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, last) = symbol.rsplit_once('.')?;
    if before.is_empty() {
        return None;
    }
    if SUFFIXES.contains(&last) {
        return Some(before);
    }
    let before_dots = before.trim_end_matches('.');
    let is_outlined = OUTLINED.iter().any(|mark| before_dots.ends_with(mark));
    (is_number(last) && !is_outlined).then_some(before)
}

/// The symbol of the function, and the mark of the OpenMP region in it, or nothing.
pub fn split_outlined(symbol: &str) -> (&str, &str) {
    let mut marks = OUTLINED.iter();
    let at = marks
        .find_map(|mark| symbol.find(mark))
        .filter(|at| *at > 0);
    symbol.split_at(at.unwrap_or(symbol.len()))
}
