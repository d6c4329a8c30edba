//! Turns the text of a Python file into the part of it that a frame shows.
//!
//! Whole files would be many times larger than the samples: a program that imports scipy has been in
//! hundreds of them.

/// Longer functions lose their end.
const MAX_LINES: usize = 500;

/// Lines shown before and after a line that stands for itself.
const AROUND: usize = 3;

/// The name of a module's code object.
const MODULE: &str = "<module>";

/// How IPython 8.0 to 8.6 names the code objects of the statements of a cell: `<cell line: 3>`.
const CELL: &str = "<cell line: ";

/// Whether a code object of this name is a whole file, and no function in it.
pub(super) fn is_whole_file(name: &str) -> bool {
    name == MODULE || name.starts_with(CELL)
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt<'t> {
    /// The number of its first line.
    pub first_line: u32,
    /// Its lines.
    pub text: &'t str,
}

/// The function that begins in `first_line` (with its decorators), found by its indentation as in
/// `inspect.getblock`; of a module, the lines around `line`. `None` when the file is too short: it
/// changed since it was run.
#[must_use]
pub fn excerpt<'t>(
    text: &'t str,
    name: &str,
    first_line: u32,
    line: Option<u32>,
) -> Option<Excerpt<'t>> {
    if is_whole_file(name) {
        return around(text, line?);
    }
    let first = first_line.max(1) as usize;
    let function = text.lines().skip(first - 1).take(MAX_LINES);
    let mut indentation = None;
    let (mut head, mut count) = (Head::default(), 0);
    for (index, line) in function.enumerate() {
        let indentation = *indentation.get_or_insert_with(|| indentation_of(line));
        let is_blank = line.trim_start().is_empty() || line.trim_start().starts_with('#');
        if head.takes(line) {
            count = index + 1;
        } else if !is_blank {
            if indentation_of(line) <= indentation {
                break;
            }
            count = index + 1;
        }
    }
    (count > 0).then(|| lines(text, first, count)).flatten()
}

/// A line with some before and after it; `None` when the file is too short.
pub(super) fn around(text: &str, line: u32) -> Option<Excerpt<'_>> {
    let line = line.max(1) as usize;
    let first = line.saturating_sub(AROUND).max(1);
    lines(text, first, line + AROUND - first + 1)
}

/// What comes before a function's body: its decorators, and `def` with all its arguments.
#[derive(Default)]
struct Head {
    is_over: bool,
    /// Within a decorator, which may go on over several lines.
    in_decorator: bool,
    open_brackets: i64,
}

impl Head {
    /// Whether `line` belongs to it. (Brackets in quotes count too: then the excerpt is a bit longer.)
    fn takes(&mut self, line: &str) -> bool {
        if self.is_over {
            return false;
        }
        if self.open_brackets == 0 {
            self.in_decorator = line.trim_start().starts_with('@');
        }
        for c in line.chars() {
            match c {
                '(' | '[' | '{' => self.open_brackets += 1,
                ')' | ']' | '}' => self.open_brackets -= 1,
                _ => {}
            }
        }
        self.is_over = !self.in_decorator && self.open_brackets <= 0;
        true
    }
}

fn indentation_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// So many lines from line `first` on, or as many as there are.
fn lines(text: &str, first: usize, count: usize) -> Option<Excerpt<'_>> {
    let mut starts = text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, *at))
    });
    let (start, mut end) = starts.nth(first - 1)?;
    if let Some((_, last)) = starts.take(count - 1).last() {
        end = last;
    }
    Some(Excerpt {
        first_line: u32::try_from(first).ok()?,
        text: &text[start..end],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
import os

@cache(
    size=(1, 2))
def first(
    a,
):
    # comment
    if a:

        return 1

# of the second
class C:
    def second(self): return 2

    def third(self):
        return [
            3]
x = first(1)
";

    /// Expects the numbers of the first and last line.
    fn check(name: &str, first_line: u32, line: u32, expected: Option<(u32, u32)>) {
        let found = excerpt(TEXT, name, first_line, Some(line));
        let whole: Vec<&str> = TEXT.split_inclusive('\n').collect();
        let lines = found.map(|found| {
            let last = found.first_line + found.text.lines().count() as u32 - 1;
            let (from, to) = (found.first_line as usize - 1, last as usize);
            assert_eq!(found.text, whole[from..to].concat());
            (found.first_line, last)
        });
        assert_eq!(lines, expected, "{name}");
    }

    #[test]
    fn a_function_ends_where_its_indentation_does() {
        check("first", 3, 11, Some((3, 11)));
        check("C.second", 15, 15, Some((15, 15)));
        check("C.third", 17, 18, Some((17, 19)));
        check("C", 14, 15, Some((14, 19)));
        check("gone", 99, 99, None);
    }

    #[test]
    fn a_module_is_the_lines_around() {
        check(MODULE, 1, 1, Some((1, 4)));
        check(MODULE, 1, 10, Some((7, 13)));
        check(MODULE, 1, 20, Some((17, 20)));
        check(MODULE, 1, 99, None);
        check("<cell line: 10>", 10, 10, Some((7, 13)));
    }

    #[test]
    fn a_long_function_loses_its_end() {
        let text = format!("def f():\n{}", "    x\n".repeat(10_000));
        let found = excerpt(&text, "f", 1, None).expect("a function");
        assert_eq!(found.text.lines().count(), MAX_LINES);
    }
}
