//! Turns a profile into one HTML page that opens from disk without a network.
//!
//! The page is TypeScript in `page/`, bundled into `page.html`. At its mark stand the data, each in a script tag that no
//! browser runs:
//!
//! | tag | what it holds | written by |
//! |---|---|---|
//! | `meta` | JSON: what is said of the profile, its processes and threads | [`meta`] |
//! | `core` | strings, functions, the tree of stacks, counters, losses | [`definitions`] |
//! | `src` | source text | [`source`] |
//! | `p0`, `p1`, … | the runs of the threads of each process | [`runs`] |
//! | `end` | nothing: a page without it was cut off | here |
//!
//! All but the first and the last are gzip in base64, written piece by piece: no tag is ever held as a whole. The page
//! decodes a process when it is looked at. What the columns mean stands here and in `page/decode.ts`.

mod columns;
mod definitions;
mod meta;
mod runs;
mod source;
mod tag;

use std::io;

use crate::export::ReportInput;
use crate::export::spec::Spec;

/// The page, built by `page/build.mjs`.
const PAGE: &str = include_str!("page.html");

/// Where the data stand in it.
const DATA: &str = "<!--data-->";

/// The HTML page.
pub(super) const HTML: Spec = Spec::new(
    "html",
    &["html", "htm"],
    "one page with everything, for any browser: xdg-open {path}",
    write,
)
.with_time_axis();

/// Writes the page.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let timeline = input.profile.timeline_or_unordered();
    let (before, behind) = PAGE.split_once(DATA).unwrap_or((PAGE, ""));
    out.write_all(before.as_bytes())?;
    meta::write(input, &timeline, out)?;
    tag::packed("core", out, &mut |columns| {
        definitions::write(input.profile, columns)
    })?;
    if let Some(sources) = input.sources {
        tag::packed("src", out, &mut |columns| source::write(sources, columns))?;
    }
    for (process, threads) in runs::by_process(input.profile) {
        tag::packed(&format!("p{process}"), out, &mut |columns| {
            runs::write(&timeline, &threads, columns)
        })?;
    }
    tag::plain("end", "", out)?;
    out.write_all(behind.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_place_for_the_data() {
        assert_eq!(PAGE.matches(DATA).count(), 1);
    }

    #[test]
    fn the_page_without_data_is_small() {
        assert!(PAGE.len() <= 250_000, "{} bytes", PAGE.len());
    }
}
