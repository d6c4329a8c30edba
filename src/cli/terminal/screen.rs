//! Turns a stream of rsamp's into the screen that text for it is to fit on.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use terminal_size::{Height, Width, terminal_size_of};

use crate::export::Colour;
use crate::export::first_screen::Screen;
use crate::run::request::ColourChoice;

/// What text for a file or a pipe fits on: the smallest terminal there is, so that it can be pasted anywhere.
const WIDTH: usize = 80;
const HEIGHT: usize = 24;

/// Tables are no wider, however wide the terminal is: the eye loses the row.
const MAX_WIDTH: usize = 140;

/// The lines that the shell's own prompt takes.
const PROMPT: usize = 1;

/// The screen of standard error.
#[must_use]
pub fn of_stderr(choice: ColourChoice) -> Screen {
    screen(&io::stderr(), choice)
}

/// The screen of standard output.
#[must_use]
pub fn of_stdout(choice: ColourChoice) -> Screen {
    screen(&io::stdout(), choice)
}

fn screen(stream: &(impl IsTerminal + AsFd), choice: ColourChoice) -> Screen {
    let is_terminal = stream.is_terminal();
    let size = terminal_size_of(stream).filter(|_| is_terminal);
    let (width, height) = size.map_or((WIDTH, HEIGHT), |(Width(width), Height(height))| {
        (usize::from(width), usize::from(height))
    });
    let variable = |name: &str| std::env::var(name).ok();
    let is_coloured = is_coloured(choice, is_terminal, &variable);
    Screen {
        width: width.clamp(WIDTH / 2, MAX_WIDTH),
        height: height.saturating_sub(PROMPT),
        colour: if is_coloured {
            Colour::Terminal
        } else {
            Colour::None
        },
    }
}

/// Colour is for a terminal whose user did not ask for none (<https://no-color.org>), and for whoever asks for it
/// (<https://bixense.com/clicolors>).
fn is_coloured(
    choice: ColourChoice,
    is_terminal: bool,
    variable: &dyn Fn(&str) -> Option<String>,
) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, value: &str| variable(name).as_deref() == Some(value);
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto if is_set("NO_COLOR") => false,
        ColourChoice::Auto if is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
        ColourChoice::Auto => is_terminal && !is("TERM", "dumb") && !is("CLICOLOR", "0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(choice: ColourChoice, is_terminal: bool, variables: &[(&str, &str)], expected: bool) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(is_coloured(choice, is_terminal, &variable), expected);
    }

    #[test]
    fn colour_is_for_terminals_unless_the_user_says_otherwise() {
        use ColourChoice::{Always, Auto, Never};
        check(Auto, true, &[], true);
        check(Auto, false, &[], false);
        check(Auto, true, &[("NO_COLOR", "1")], false);
        check(Auto, true, &[("NO_COLOR", "")], true);
        check(Auto, true, &[("TERM", "dumb")], false);
        check(Auto, true, &[("CLICOLOR", "0")], false);
        check(Auto, false, &[("CLICOLOR_FORCE", "1")], true);
        check(
            Auto,
            false,
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            false,
        );
        check(Always, false, &[("NO_COLOR", "1")], true);
        check(Never, true, &[("CLICOLOR_FORCE", "1")], false);
    }
}
