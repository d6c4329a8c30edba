//! Turns how much a piece of text stands out into the codes of a terminal (ECMA-48, Select Graphic Rendition).

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Not at all.
    #[default]
    None,
    /// For a terminal.
    Terminal,
}

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As all else.
    Plain,
    /// A heading, or what is the user's own.
    Bold,
    /// What takes much of the time.
    Warm,
    /// What takes most of it.
    Hot,
}

/// From this part of the whole on, text is [`Style::Hot`]; see [`WARM`].
const HOT: f64 = 0.2;
/// From this part on, it is [`Style::Warm`].
const WARM: f64 = 0.05;

const PLAIN: &str = "\x1b[0m";

impl Style {
    /// That of a part of a whole, from 0 to 1.
    pub(crate) fn of_share(share: f64) -> Style {
        match share {
            HOT.. => Style::Hot,
            WARM.. => Style::Warm,
            _ => Style::Plain,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Bold => "\x1b[1m",
            Style::Warm => "\x1b[33m",
            Style::Hot => "\x1b[1;31m",
        }
    }
}

impl Colour {
    /// The text in this style, and plain behind it.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        match (self, style.code()) {
            (Colour::None, _) | (_, "") => text.to_owned(),
            (Colour::Terminal, code) => format!("{code}{text}{PLAIN}"),
        }
    }
}
