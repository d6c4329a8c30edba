//! Turns data into a script tag of the page.

use std::io::{self, BufWriter, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::columns::Columns;

/// So many bytes of columns are handed to gzip at a time.
const BUFFER_BYTES: usize = 1 << 15;

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

/// A tag with what `write` writes, as gzip in base64.
pub(super) fn packed(
    id: &str,
    out: &mut dyn Write,
    write: &mut dyn FnMut(&mut Columns<'_>) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "<script type=\"text/plain\" id=\"{id}\">")?;
    let base64 = EncoderWriter::new(&mut *out, &STANDARD);
    let gzip = GzEncoder::new(base64, Compression::default());
    let mut buffer = BufWriter::with_capacity(BUFFER_BYTES, gzip);
    write(&mut Columns::new(&mut buffer))?;
    let gzip = buffer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    gzip.finish()?.finish()?;
    writeln!(out, "</script>")
}
