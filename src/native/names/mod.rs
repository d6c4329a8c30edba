//! Turns a linker symbol into the name of the function as its author wrote it.
//!
//! A symbol is the target's and may say anything: none is read beyond [`MAX_SYMBOL_BYTES`], and none gives a name longer
//! than [`MAX_NAME_BYTES`].

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

mod compiler;
mod cython;
mod fortran;
mod pyo3;

/// Longer symbols are shown cut off and are not demangled. The longest of libtorch have some 4 KiB.
pub const MAX_SYMBOL_BYTES: usize = 16 << 10;

/// Names are cut off after so many bytes: substitutions let a short C++ symbol say a name of gigabytes.
pub const MAX_NAME_BYTES: usize = 4 << 10;

/// How deep the parts of a C++ or Rust name may be nested.
const MAX_DEPTH: u32 = 96;

/// The name of the function that a linker symbol stands for: without what compilers append, demangled (Rust, C++), and as
/// Cython, gfortran, flang, f2py and PyO3 had it from the source. A symbol of none of these is its own name.
#[must_use]
pub fn readable_name(symbol: &str) -> String {
    if symbol.len() > MAX_SYMBOL_BYTES {
        return cut(symbol);
    }
    let symbol = compiler::without_version(symbol);
    let (symbol, outlined) = compiler::split_outlined(compiler::without_suffixes(symbol));
    let mut name = demangled(symbol)
        .or_else(|| cython::name(symbol))
        .or_else(|| fortran::name(symbol))
        .unwrap_or_else(|| symbol.to_owned());
    name.push_str(outlined);
    cut(&name)
}

fn demangled(symbol: &str) -> Option<String> {
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        let mut text = Limited::default();
        // Without the hash. An error only says that the limit was reached.
        let _ = write!(text, "{name:#}");
        return Some(pyo3::name(&text.0));
    }
    if !symbol.starts_with("_Z") {
        return None;
    }
    let options = ParseOptions::default().recursion_limit(MAX_DEPTH);
    let parsed = Symbol::new_with_options(symbol, &options).ok()?;
    let options = DemangleOptions::new().no_params().no_return_type();
    let mut text = Limited::default();
    let result = parsed.structured_demangle(&mut text, &options.recursion_limit(MAX_DEPTH));
    (result.is_ok() || text.is_full()).then_some(text.0)
}

fn cut(name: &str) -> String {
    let mut text = Limited::default();
    let _ = text.write_str(name);
    text.0
}

/// A text of at most [`MAX_NAME_BYTES`]. To write more is an error.
#[derive(Default)]
struct Limited(String);

impl Limited {
    fn is_full(&self) -> bool {
        self.0.ends_with('…')
    }
}

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME_BYTES.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        if !self.is_full() {
            let mut ends = (0..=room).rev();
            let end = ends.find(|end| text.is_char_boundary(*end));
            self.0.push_str(&text[..end.unwrap_or(0)]);
            self.0.push('…');
        }
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &[(&str, &str)]) {
        for (symbol, expected) in table {
            assert_eq!(readable_name(symbol), *expected, "{symbol}");
        }
    }

    #[test]
    fn what_compilers_and_linkers_append_is_left_out() {
        check(&[
            ("malloc", "malloc"),
            ("pthread_create@@GLIBC_2.34", "pthread_create"),
            ("memcpy@GLIBC_2.2.5", "memcpy"),
            ("_PyEval_EvalFrameDefault.cold", "_PyEval_EvalFrameDefault"),
            ("lookdict_unicode.cold.12", "lookdict_unicode"),
            ("insert_to_emptydict.isra.0", "insert_to_emptydict"),
            ("deduce.part.3.isra.0.constprop.7", "deduce"),
            ("visit.lto_priv.4", "visit"),
            ("visit.lto_priv.4.cold", "visit"),
            ("dot.llvm.1837462834", "dot"),
            ("inner.4123", "inner"),
            ("isra", "isra"),
            (".hidden", ".hidden"),
        ]);
    }

    #[test]
    fn bodies_of_openmp_regions_keep_their_mark() {
        check(&[
            ("saxpy._omp_fn.0", "saxpy._omp_fn.0"),
            ("_ZN4blas5saxpyEv._omp_fn.1", "blas::saxpy._omp_fn.1"),
            ("saxpy.omp_outlined", "saxpy.omp_outlined"),
            (".omp_outlined.", ".omp_outlined."),
            (".omp_outlined..12", ".omp_outlined..12"),
        ]);
    }

    #[test]
    fn cpp_names_have_no_parameters_and_no_return_type() {
        check(&[
            ("_ZN4llvm4PassD0Ev", "llvm::Pass::~Pass"),
            ("_ZN6Matrix3dotERKS_", "Matrix::dot"),
            ("_ZN2np9quicksortIlEEvPT_l", "np::quicksort<long>"),
            (
                "_ZN2np9quicksortIlEEvPT_l.constprop.0",
                "np::quicksort<long>",
            ),
            ("_Znot_a_symbol", "_Znot_a_symbol"),
        ]);
    }

    #[test]
    fn rust_names_have_no_hash() {
        check(&[
            (
                "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
                "core::fmt::Formatter::pad",
            ),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_ZN5rayon4iter17h0123456789abcdefE.llvm.123", "rayon::iter"),
        ]);
    }

    #[test]
    fn names_are_bounded() {
        // Each substitution doubles what the one before said.
        let doubling = |depth: usize| {
            let parts = (1..depth).map(|at| format!("S_IS{}_S{}_E", at - 1, at - 1));
            format!("_Z1fI1a{}EvT_", parts.collect::<String>())
        };
        for symbol in [
            "a".repeat(MAX_SYMBOL_BYTES + 1),
            "b".repeat(5000),
            doubling(30),
        ] {
            assert!(readable_name(&symbol).len() <= MAX_NAME_BYTES + '…'.len_utf8());
        }
        assert!(readable_name(&"é".repeat(4000)).ends_with('…'));
    }

    proptest::proptest! {
        #[test]
        fn no_symbol_panics(symbol in "(_Z|_R|__pyx_|__|_QM|f2py_)?[a-zA-Z0-9_.@$é]{0,60}") {
            let _ = readable_name(&symbol);
        }
    }
}
