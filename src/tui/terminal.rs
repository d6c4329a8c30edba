//! Turns a terminal into a screen for as long as the view lasts, and back, whatever ends the view.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::answer::{Answer, shown};
use super::host::Host;
use super::state::{Effect, Key, State};
use super::view::{self, Palette};
use crate::profile::snapshot::Snapshot;

/// How often what is shown is renewed.
const RENEWED: Duration = Duration::from_millis(500);

/// How long a key, or the end of the program, waits to be noticed at most.
const PATIENCE: Duration = Duration::from_millis(100);

/// The same, while a snapshot is on its way.
const SHORT_PATIENCE: Duration = Duration::from_millis(10);

/// Whether the terminal is a screen now.
static IS_SCREEN: AtomicBool = AtomicBool::new(false);

/// Shows what `host` has until the user or a signal ends it.
///
/// # Errors
/// When the terminal cannot be read or written.
pub fn run(host: &mut dyn Host, state: State, palette: Palette) -> io::Result<()> {
    let _guard = Guard::enter()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut view = View {
        host,
        state,
        palette,
        snapshot: Snapshot::default(),
        answer: Answer::default(),
        is_waiting: false,
    };
    let mut due = Instant::now();
    let mut is_stale = true;
    // A panic of another thread has given the terminal back.
    while !view.host.is_interrupted() && IS_SCREEN.load(Ordering::SeqCst) && !has_hung_up() {
        if Instant::now() >= due {
            due = Instant::now() + RENEWED;
            view.request();
        }
        is_stale |= view.receive();
        if is_stale {
            terminal.draw(|frame| view.draw(frame))?;
            is_stale = false;
        }
        let patience = if view.is_waiting {
            SHORT_PATIENCE
        } else {
            PATIENCE
        };
        let until_due = due.saturating_duration_since(Instant::now());
        if !event::poll(patience.min(until_due))? {
            continue;
        }
        is_stale = true;
        let key = match event::read()? {
            Event::Key(event) => key(event),
            _ => None,
        };
        match key.map(|key| view.key(key)) {
            Some(Effect::Quit) => return Ok(()),
            Some(Effect::Suspend) => {
                suspend()?;
                terminal.clear()?;
            }
            Some(Effect::Request) => due = Instant::now(),
            Some(effect) => view.carry_out(effect),
            None => {}
        }
    }
    Ok(())
}

/// Has the user choose one of these rows, of which there is at least one; `None`: none, or `is_over`.
///
/// # Errors
/// When the terminal cannot be read or written.
pub fn choose(
    title: &str,
    rows: &[String],
    palette: Palette,
    is_over: &dyn Fn() -> bool,
) -> io::Result<Option<usize>> {
    let _guard = Guard::enter()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut chosen = 0;
    while !is_over() && !has_hung_up() {
        terminal.draw(|frame| {
            let area = frame.area();
            view::draw_choice(title, rows, chosen, palette, area, frame.buffer_mut());
        })?;
        if !event::poll(PATIENCE)? {
            continue;
        }
        let Event::Key(pressed) = event::read()? else {
            continue;
        };
        match key(pressed) {
            Some(Key::Enter) => return Ok(Some(chosen)),
            Some(Key::Char('q') | Key::Escape | Key::Interrupt) => return Ok(None),
            Some(Key::Up) => chosen = chosen.saturating_sub(1),
            Some(Key::Down) => chosen = (chosen + 1).min(rows.len() - 1),
            Some(Key::Suspend) => {
                suspend()?;
                terminal.clear()?;
            }
            _ => {}
        }
    }
    Ok(None)
}

/// What is shown, and what it is made of.
struct View<'h> {
    host: &'h mut dyn Host,
    state: State,
    palette: Palette,
    snapshot: Snapshot,
    answer: Answer,
    is_waiting: bool,
}

impl View<'_> {
    fn request(&mut self) {
        if !self.state.is_frozen {
            self.host.request(self.state.span);
            self.is_waiting = true;
        }
    }

    /// Whether there is something new to show.
    fn receive(&mut self) -> bool {
        let news = self.host.news();
        let has_news = news.is_some();
        self.state.message = news.or(self.state.message.take());
        let Some(snapshot) = self.host.take() else {
            return has_news;
        };
        self.is_waiting = false;
        if self.state.is_frozen {
            return has_news;
        }
        self.snapshot = snapshot;
        self.answer();
        true
    }

    fn answer(&mut self) {
        let before = self.answer.keys();
        self.answer = Answer::of(&self.snapshot, &self.state, &before, self.host);
        self.state.settle(&self.answer.keys());
    }

    fn key(&mut self, key: Key) -> Effect {
        let shown = (self.state.screen, self.state.order, self.state.mode);
        let effect = self.state.key(key, &self.answer.keys());
        if effect == Effect::Redraw {
            if shown != (self.state.screen, self.state.order, self.state.mode) {
                // What is asked for is another order, not a change by chance.
                self.answer.rows.clear();
            }
            self.answer();
        }
        effect
    }

    /// Has the host do what a key asked for.
    fn carry_out(&mut self, effect: Effect) {
        let said = match effect {
            Effect::Record => self.host.record(),
            Effect::Save => {
                let shown = shown(&self.snapshot, &self.state);
                self.host.save(&shown, self.state.mode)
            }
            Effect::Dump => match self.host.dump() {
                Ok(lines) => {
                    self.state.text = Some((lines, 0));
                    return;
                }
                Err(error) => Err(error),
            },
            _ => return,
        };
        self.state.message = Some(said.unwrap_or_else(|error| error));
    }

    fn draw(&mut self, frame: &mut ratatui::Frame<'_>) {
        let area = frame.area();
        let page = view::Page {
            answer: &self.answer,
            state: &self.state,
            palette: self.palette,
            has_keys: true,
        };
        view::draw(&page, self.host, area, frame.buffer_mut());
    }
}

/// What a key of the terminal means.
fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return match event.code {
            KeyCode::Char('c') => Some(Key::Interrupt),
            KeyCode::Char('z') => Some(Key::Suspend),
            _ => None,
        };
    }
    Some(match event.code {
        KeyCode::Char(char) => Key::Char(char),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

/// The terminal as a screen; dropping it gives the terminal back.
struct Guard;

impl Guard {
    fn enter() -> io::Result<Guard> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // Before the message, so that it can be read.
                leave();
                before(info);
            }));
        });
        enter()?;
        Ok(Guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    IS_SCREEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

fn leave() {
    if IS_SCREEN.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone.
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
    }
}

/// Whether the terminal is gone: its window was closed, or the connection to it was cut.
fn has_hung_up() -> bool {
    let stdin = io::stdin();
    let mut terminal = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    let polled = poll(&mut terminal, PollTimeout::ZERO);
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    polled.is_ok_and(|count| count > 0)
        && terminal[0]
            .revents()
            .is_some_and(|events| events.intersects(gone))
}

/// Leaves the terminal to the shell, stops this process as Ctrl-Z does, and takes the terminal again when it goes on.
fn suspend() -> io::Result<()> {
    leave();
    raise(Signal::SIGTSTP)?;
    enter()
}
