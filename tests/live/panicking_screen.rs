//! Turns a terminal into the screen of a live view that panics: for the test of how it leaves the terminal.

#[path = "../support/fake_host.rs"]
mod fake_host;

use std::io;

use rsamp::profile::Mode;
use rsamp::profile::snapshot::Span;
use rsamp::tui::view::Palette;
use rsamp::tui::{State, terminal};

fn main() -> io::Result<()> {
    let mut host = fake_host::FakeHost {
        panics: true,
        ..Default::default()
    };
    let state = State::new(Span::Whole, Mode::Wall, false);
    terminal::run(&mut host, state, Palette { is_coloured: true })
}
