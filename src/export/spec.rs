//! What there is to say of a file format in one place: its names, what opens it, and what writes it.

use std::io;

use super::input::ReportInput;

/// A file format. Each stands in the file that writes it; the table of all is in [`super::Format`].
pub(crate) struct Spec {
    /// The name by which a user asks for it.
    pub name: &'static str,
    /// The endings of its files without the first dot, the usual one first.
    pub endings: &'static [&'static str],
    /// What it is for and how it is opened, with `{path}` for the file as it can be pasted into a shell.
    pub open_with: &'static str,
    /// Whether it shows what was seen when, if the profile was made by
    /// [`Profile::with_timeline`](crate::profile::Profile::with_timeline).
    pub has_time_axis: bool,
    /// Whether it is not text.
    pub is_binary: bool,
    /// The program that has to be there for it to be written.
    pub program: Option<&'static str>,
    /// Writes it; fails when the writer, or that program, does.
    pub write: fn(&ReportInput<'_>, &mut dyn io::Write) -> io::Result<()>,
}

impl Spec {
    /// Of a format that is text, has no time axis and needs no program.
    pub const fn new(
        name: &'static str,
        endings: &'static [&'static str],
        open_with: &'static str,
        write: fn(&ReportInput<'_>, &mut dyn io::Write) -> io::Result<()>,
    ) -> Spec {
        Spec {
            name,
            endings,
            open_with,
            has_time_axis: false,
            is_binary: false,
            program: None,
            write,
        }
    }

    /// The same, with a time axis.
    pub const fn with_time_axis(self) -> Spec {
        Spec {
            has_time_axis: true,
            ..self
        }
    }

    /// The same, not as text.
    pub const fn binary(self) -> Spec {
        Spec {
            is_binary: true,
            ..self
        }
    }

    /// The same, drawn by a program.
    pub const fn drawn_by(self, program: &'static str) -> Spec {
        Spec {
            program: Some(program),
            ..self
        }
    }
}
