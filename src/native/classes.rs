//! Turns the native frames of a stack into the kind of work that they do: MPI, BLAS, I/O, copying of memory.
//!
//! What counts as what is a table: `classes.txt` beside this file, and before it the user's own. A class is a word, or two
//! with a hyphen, of which the first is the group.

use glob::{MatchOptions, Pattern};
use thiserror::Error;

/// The table that rsamp brings.
const BUILT_IN: &str = include_str!("classes.txt");

/// The class that ends the search.
const NONE: &str = "-";

/// Larger tables of a user are no tables of classes.
pub const MAX_TABLE_BYTES: usize = 1 << 20;

/// Rules that give native frames a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    rules: Vec<Rule>,
}

/// `CLASS LIBRARIES SYMBOLS`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    class: String,
    libraries: Vec<Pattern>,
    symbols: Vec<Pattern>,
}

/// A native frame, as far as classes need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassifiedFrame<'a> {
    /// The file name of the library, or `[jit]`.
    pub library: &'a str,
    /// The function's name, as [`readable_name`](super::readable_name) gives it.
    pub name: &'a str,
}

/// The kind of work that a stack does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class<'a> {
    /// Python code, and the interpreter for it.
    Python,
    /// A class of the table.
    Named(&'a str),
    /// None of them: native code of this library.
    Library(&'a str),
}

/// What is wrong with a table of classes.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ClassesError {
    /// There are not three fields.
    #[error(
        "line {line}: {found:?} is not a rule: give CLASS LIBRARIES SYMBOLS, separated by spaces"
    )]
    Fields {
        /// From 1.
        line: usize,
        /// What is there.
        found: String,
    },
    /// The class is not a word of lower-case letters, digits and hyphens.
    #[error(
        "line {line}: invalid class {class:?}: use lower-case letters, digits and hyphens, or - for none"
    )]
    Name {
        /// From 1.
        line: usize,
        /// What is there.
        class: String,
    },
    /// A pattern is none.
    #[error("line {line}: invalid pattern {pattern:?}: {why}")]
    Pattern {
        /// From 1.
        line: usize,
        /// What is there.
        pattern: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The table has more bytes than one of rules.
    #[error("the table has more than {MAX_TABLE_BYTES} bytes")]
    TooLarge,
}

impl Classes {
    /// The rules that rsamp brings.
    ///
    /// # Errors
    /// None, as the test of this file sees to.
    pub fn built_in() -> Result<Classes, ClassesError> {
        Classes::parse("")
    }

    /// The rules of a user's table, and after them those that rsamp brings.
    ///
    /// # Errors
    /// With the line that is not a rule.
    pub fn parse(table: &str) -> Result<Classes, ClassesError> {
        if table.len() > MAX_TABLE_BYTES {
            return Err(ClassesError::TooLarge);
        }
        let mut rules = rules(table)?;
        rules.extend(self::rules(BUILT_IN)?);
        Ok(Classes { rules })
    }

    /// The class of a stack, of which the native frames inside its innermost Python frame are given, innermost first.
    pub fn of_stack<'a>(
        &'a self,
        frames: impl IntoIterator<Item = ClassifiedFrame<'a>>,
    ) -> Class<'a> {
        let mut innermost = None;
        let mut found: Option<&str> = None;
        let mut inner = InnerLibraries::default();
        for ClassifiedFrame { library, name } in frames {
            innermost = innermost.or(Some(library));
            match (self.of_frame(library, name), found) {
                (Some(NONE), _) => break,
                // A runtime whose thread works for others does not wait.
                (Some(class), _) if is_wait(class) && !inner.are_of(library) => {}
                (Some(class), None | Some(PYTHON)) => found = Some(class),
                (Some(class), Some(inner)) if refines(class, inner) => found = Some(class),
                _ => {}
            }
            inner.add(library);
        }
        match (found, innermost) {
            (Some(PYTHON), _) | (None, None) => Class::Python,
            (Some(class), _) => Class::Named(class),
            (None, Some(library)) => Class::Library(library),
        }
    }

    /// The class that the first rule which fits a frame gives it.
    fn of_frame(&self, library: &str, name: &str) -> Option<&str> {
        let rule = self.rules.iter().find(|rule| rule.fits(library, name))?;
        Some(&rule.class)
    }
}

/// The libraries of the frames further in than one, without the C library, through which all others wait.
#[derive(Debug, Default)]
struct InnerLibraries<'a> {
    first: Option<&'a str>,
    are_several: bool,
}

impl<'a> InnerLibraries<'a> {
    fn add(&mut self, library: &'a str) {
        let is_system = ["libc.", "libc-", "libpthread", "ld-", "[vdso]"];
        if !is_system.iter().any(|start| library.starts_with(start)) {
            let first = *self.first.get_or_insert(library);
            self.are_several |= first != library;
        }
    }

    /// Whether there are none but this one.
    fn are_of(&self, library: &str) -> bool {
        !self.are_several && self.first.is_none_or(|first| first == library)
    }
}

/// Whether a class is that of a runtime whose threads wait: `openmp-wait`.
fn is_wait(class: &str) -> bool {
    class.ends_with("-wait")
}

/// The class of what the interpreter does itself.
const PYTHON: &str = "python";

/// Whether a class is a part of another: `mpi-collective` of `mpi`.
#[must_use]
pub fn refines(class: &str, group: &str) -> bool {
    let rest = class.strip_prefix(group);
    rest.is_some_and(|rest| rest.starts_with('-'))
}

impl Rule {
    fn fits(&self, library: &str, name: &str) -> bool {
        let any = |patterns: &[Pattern], text: &str| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| pattern.matches_with(text, MatchOptions::new()))
        };
        any(&self.libraries, library) && any(&self.symbols, name)
    }
}

fn rules(table: &str) -> Result<Vec<Rule>, ClassesError> {
    let lines = table.lines().zip(1..);
    let is_rule = |(text, _): &(&str, usize)| !text.is_empty() && !text.starts_with('#');
    let lines = lines
        .map(|(text, line)| (text.trim(), line))
        .filter(is_rule);
    lines.map(|(text, line)| rule(text, line)).collect()
}

fn rule(text: &str, line: usize) -> Result<Rule, ClassesError> {
    let fields = || {
        let (class, rest) = text.split_once(char::is_whitespace)?;
        let (libraries, symbols) = rest.trim_start().split_once(char::is_whitespace)?;
        Some((class, libraries, symbols.trim_start()))
    };
    let Some((class, libraries, symbols)) = fields() else {
        let found = text.to_owned();
        return Err(ClassesError::Fields { line, found });
    };
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !class.chars().all(is_word) || (class.starts_with('-') && class != NONE) {
        let class = class.to_owned();
        return Err(ClassesError::Name { line, class });
    }
    Ok(Rule {
        class: class.to_owned(),
        libraries: patterns(libraries, line)?,
        symbols: patterns(symbols, line)?,
    })
}

/// Patterns separated by commas; names of C++ may have spaces.
fn patterns(text: &str, line: usize) -> Result<Vec<Pattern>, ClassesError> {
    let parse = |pattern: &str| {
        let invalid = |why| ClassesError::Pattern {
            line,
            pattern: pattern.to_owned(),
            why,
        };
        if pattern.is_empty() {
            return Err(invalid("it is empty"));
        }
        Pattern::new(pattern).map_err(|error| invalid(error.msg))
    };
    text.split(',')
        .map(|pattern| parse(pattern.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `library name`, innermost first; `python` for a Python frame.
    fn class(classes: &Classes, stack: &[&str]) -> String {
        let frames = stack.iter().map_while(|frame| {
            let (library, name) = frame.split_once(' ')?;
            Some(ClassifiedFrame { library, name })
        });
        match classes.of_stack(frames) {
            Class::Python => "python".to_owned(),
            Class::Named(class) => class.to_owned(),
            Class::Library(library) => format!("({library})"),
        }
    }

    #[test]
    fn stacks_have_the_class_of_their_innermost_frame_that_has_one() {
        let classes = Classes::built_in().unwrap();
        let table: &[(&str, &[&str])] = &[
            ("python", &["py"]),
            ("python", &["libpython3.11.so.1.0 PyDict_GetItem", "py"]),
            ("python", &["python3.12 _PyEval_EvalFrameDefault"]),
            (
                "blas",
                &[
                    "libscipy_openblas64_.so dgemm_kernel_HASWELL",
                    "_multiarray_umath.so cblas_matrixproduct",
                    "py",
                ],
            ),
            ("blas", &["mine.so dgemm_"]),
            (
                "openmp-wait",
                &[
                    "libc.so.6 syscall",
                    "libgomp.so.1 gomp_team_barrier_wait_end",
                    "libgomp.so.1 gomp_thread_start",
                    "libc.so.6 start_thread",
                ],
            ),
            // Names of such bodies are stripped in wheels.
            (
                "blas",
                &[
                    "libtorch_cpu.so mkl_blas_avx512_sgemm_kernel_nocopy_TN_b1",
                    "libgomp.so.1 gomp_thread_start",
                ],
            ),
            (
                "(libtorch_cpu.so)",
                &[
                    "libtorch_cpu.so at::native::add_kernel",
                    "libtorch_cpu.so libtorch_cpu.so+0x81",
                    "libgomp.so.1 gomp_thread_start",
                    "libc.so.6 start_thread",
                ],
            ),
            (
                "openblas-wait",
                &[
                    "libc.so.6 pthread_cond_wait",
                    "libopenblas.so.0 blas_thread_server",
                    "libc.so.6 start_thread",
                ],
            ),
            (
                "blas",
                &[
                    "libopenblas.so.0 dgemm_nn",
                    "libopenblas.so.0 blas_thread_server",
                ],
            ),
            (
                "mpi",
                &[
                    "libopen-pal.so.80 opal_progress",
                    "libmpi.so.40 MPI_Init",
                    "py",
                ],
            ),
            (
                "mpi-collective",
                &[
                    "libopen-pal.so.80 opal_progress",
                    "libmpi.so.40 PMPI_Allreduce",
                    "py",
                ],
            ),
            (
                "mpi-collective",
                &[
                    "libc.so.6 poll",
                    "libmpi.so.12 MPIDI_CH3I_Progress",
                    "libmpifort.so.12 mpi_allreduce_",
                ],
            ),
            (
                "mpi-point",
                &["libuct.so.0 uct_rc_poll", "libmpi.so.40 MPI_Sendrecv"],
            ),
            ("mpi-point", &["libmpi.so.12 MPI_Waitall"]),
            (
                "mpi-io",
                &["libc.so.6 poll", "libmpi.so.40 MPI_File_write_at_all"],
            ),
            ("fft", &["_pocketfft_umath.so rfft_impl"]),
            (
                "fft",
                &["pypocketfft.so pocketfft::detail::cfftp<double>::pass_all"],
            ),
            (
                "openmp-wait",
                &[
                    "libgomp.so.1 gomp_barrier_wait_end",
                    "libgomp.so.1 gomp_thread_start",
                ],
            ),
            (
                "(mine.so)",
                &[
                    "mine.so helper",
                    "mine.so saxpy._omp_fn.0",
                    "libgomp.so.1 gomp_thread_start",
                ],
            ),
            (
                "blas",
                &[
                    "libblas.so.3 dgemm_",
                    "mine.so saxpy._omp_fn.0",
                    "libgomp.so.1 gomp_thread_start",
                ],
            ),
            (
                "gpu-wait",
                &[
                    "libcuda.so.1 libcuda.so.1+0x1000",
                    "libcuda.so.1 cuStreamSynchronize",
                ],
            ),
            ("gpu-launch", &["libcudart.so.12 cudaLaunchKernel"]),
            ("gpu-copy", &["libamdhip64.so.6 hipMemcpyAsync"]),
            (
                "io",
                &["libc.so.6 pread64", "libhdf5.so.200 H5FD__sec2_read"],
            ),
            ("io", &["libhdf5.so.200 H5Z_filter_deflate"]),
            (
                "copy",
                &[
                    "libc.so.6 __memmove_avx_unaligned_erms",
                    "_multiarray_umath.so copy",
                    "py",
                ],
            ),
            ("allocation", &["libc.so.6 _int_malloc", "libc.so.6 malloc"]),
            (
                "allocation",
                &["libpython3.11.so.1.0 _PyObject_Malloc", "py"],
            ),
            (
                "gc",
                &[
                    "libpython3.11.so.1.0 visit_decref",
                    "libpython3.11.so.1.0 gc_collect_main",
                    "py",
                ],
            ),
            (
                "import",
                &["ld-linux-x86-64.so.2 do_lookup_x", "libc.so.6 dlopen"],
            ),
            (
                "jit-compile",
                &["libllvmlite.so llvm::SelectionDAG::Combine", "py"],
            ),
            ("jit", &["[jit] kernel", "py"]),
            (
                "python",
                &[
                    "libpython3.13.so.1.0 _PyEval_EvalFrameDefault",
                    "[jit] py::main:/a.py",
                ],
            ),
            (
                "(libcrypto.so.3)",
                &[
                    "libcrypto.so.3 sha256_block_data_order",
                    "py",
                    "libblas.so.3 dgemm_",
                ],
            ),
        ];
        for (expected, stack) in table {
            assert_eq!(class(&classes, stack), *expected, "{stack:?}");
        }
    }

    #[test]
    fn rules_of_the_user_come_first() {
        let table = "# mine\n\n  solver  libpetsc*,libslepc*   *\nsolver-lu lib*  dgetrf_, operator new*\n- libz.so*  *\n";
        let classes = Classes::parse(table).unwrap();
        assert_eq!(class(&classes, &["libpetsc.so.3 KSPSolve"]), "solver");
        assert_eq!(class(&classes, &["libblas.so.3 dgetrf_"]), "solver-lu");
        assert_eq!(
            class(&classes, &["libpetsc.so.3 x", "libblas.so.3 dgetrf_"]),
            "solver-lu"
        );
        assert_eq!(class(&classes, &["libx.so operator new[]"]), "solver-lu");
        assert_eq!(
            class(&classes, &["libz.so.1 inflate", "libhdf5.so H5"]),
            "(libz.so.1)"
        );
        assert_eq!(class(&classes, &["libblas.so.3 dgemm_"]), "blas");
    }

    #[test]
    fn an_invalid_rule_is_named_with_its_line() {
        let said = |table: &str| Classes::parse(table).unwrap_err().to_string();
        let table = [
            ("#\nblas", "line 2: \"blas\" is not a rule"),
            ("blas lib*", "line 1: \"blas lib*\" is not a rule"),
            ("BLAS lib* *", "line 1: invalid class \"BLAS\""),
            ("-x lib* *", "line 1: invalid class \"-x\""),
            ("\n\nx lib[ *", "line 3: invalid pattern \"lib[\""),
            ("x lib*,, *", "line 1: invalid pattern \"\": it is empty"),
        ];
        for (text, expected) in table {
            assert!(said(text).starts_with(expected), "{}", said(text));
        }
        assert_eq!(
            said(&" ".repeat(MAX_TABLE_BYTES + 1)),
            ClassesError::TooLarge.to_string()
        );
    }

    #[test]
    fn a_class_belongs_to_its_group() {
        assert!(refines("mpi-collective", "mpi"));
        assert!(!refines("mpi", "mpi") && !refines("mpix-a", "mpi"));
    }
}
