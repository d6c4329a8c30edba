//! Turns data into a script tag of the page.

use std::io::{self, Write};

use super::base85::Base85;
use super::columns::Columns;
use super::gzip::Gzip;

/// A tag with text in which there is no `<`.
pub(super) fn plain(id: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<script type=\"text/plain\" id=\"{id}\">{text}</script>"
    )
}

/// A tag with JSON, in which `<` can only be part of a string.
pub(super) fn json(id: &str, json: &str, out: &mut dyn Write) -> io::Result<()> {
    plain(id, &json.replace('<', "\\u003c"), out)
}

/// A tag with what `write` writes, as gzip in base 85.
pub(super) fn packed(
    id: &str,
    out: &mut dyn Write,
    write: &mut dyn FnMut(&mut Columns<'_>) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "<script type=\"text/plain\" id=\"{id}\">")?;
    let mut gzip = Gzip::new(Base85::new(&mut *out))?;
    write(&mut Columns::new(&mut gzip))?;
    gzip.finish()?.finish()?;
    writeln!(out, "</script>")
}
