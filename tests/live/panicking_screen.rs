//! Turns a terminal into the screen of a live view that panics: for the test of how it leaves the terminal.

#[path = "../support/fake_host.rs"]
mod fake_host;

use std::io;

use rsamp::profile::{Mode, Span};
use rsamp::tui::{Palette, ScreenState, run};

fn main() -> io::Result<()> {
    let mut host = fake_host::FakeHost {
        panics: true,
        ..Default::default()
    };
    let state = ScreenState::new(Span::Whole, Mode::Wall, false);
    run(&mut host, state, Palette { is_coloured: true })
}
