//! Turns keys into what the screen shows next.

use super::filter::Filter;
use crate::profile::Mode;
use crate::profile::snapshot::Span;

/// A key, as far as the view knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Takes the last character back.
    Backspace,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Ten rows up.
    PageUp,
    /// Ten rows down.
    PageDown,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
}

/// How far the keys for pages go.
const PAGE: usize = 10;

/// What a filter may have, in characters.
const MAX_FILTER_CHARS: usize = 200;

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Screen {
    /// Functions.
    #[default]
    Functions,
    /// Lines.
    Lines,
    /// A flame graph.
    Flame,
    /// Threads, below their processes and ranks.
    Threads,
    /// asyncio tasks.
    Tasks,
    /// What stands out.
    Findings,
}

impl Screen {
    /// All of them with their keys and names.
    pub const ALL: [(char, Screen, &'static str); 6] = [
        ('1', Screen::Functions, "functions"),
        ('2', Screen::Lines, "lines"),
        ('3', Screen::Flame, "flames"),
        ('4', Screen::Threads, "threads"),
        ('5', Screen::Tasks, "tasks"),
        ('6', Screen::Findings, "findings"),
    ];

    fn of_key(key: char) -> Option<Screen> {
        let found = Screen::ALL.iter().find(|(known, ..)| *known == key);
        found.map(|(_, screen, _)| *screen)
    }
}

/// In which order rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The user's own code first, by the time without what it calls.
    #[default]
    OwnFirst,
    /// All code, by the time without what it calls.
    SelfTime,
    /// All code, by the time with what it calls.
    TotalTime,
}

impl Order {
    fn next(self) -> Order {
        match self {
            Order::OwnFirst => Order::SelfTime,
            Order::SelfTime => Order::TotalTime,
            Order::TotalTime => Order::OwnFirst,
        }
    }
}

/// What is left to do when a key was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// What is shown has changed.
    Redraw,
    /// Another span of time is to be shown.
    Request,
    /// The view ends.
    Quit,
    /// A recording begins or ends.
    Record,
    /// A flame graph and a page of what is shown are written.
    Save,
    /// The stacks of all threads are shown.
    Dump,
    /// The view leaves the terminal to the shell until it is continued.
    Suspend,
}

/// What the user chose.
#[derive(Debug, Clone)]
pub struct State {
    /// What fills the screen.
    pub screen: Screen,
    /// Which part of the time is shown.
    pub span: Span,
    /// Which time is shown.
    pub mode: Mode,
    /// Whether idle waits are shown.
    pub has_idle: bool,
    /// In which order rows are.
    pub order: Order,
    /// Whether what is shown stays as it is.
    pub is_frozen: bool,
    /// Whether the keys are explained.
    pub has_help: bool,
    /// What is shown of all there is.
    pub filter: Filter,
    /// The filter that is being typed.
    pub typing: Option<String>,
    /// Text that is shown instead of tables, and from which line on.
    pub text: Option<(Vec<String>, usize)>,
    /// What there is to say about the last key.
    pub message: Option<String>,
    /// The key of the selected row; `None`: the first one, whichever it is.
    selected: Option<String>,
    /// Where it was last.
    row: usize,
}

impl State {
    /// What is shown first.
    #[must_use]
    pub fn new(span: Span, mode: Mode, has_idle: bool) -> State {
        State {
            screen: Screen::default(),
            span,
            mode,
            has_idle,
            order: Order::default(),
            is_frozen: false,
            has_help: false,
            filter: Filter::default(),
            typing: None,
            text: None,
            message: None,
            selected: None,
            row: 0,
        }
    }

    /// Takes a key, while these rows are shown.
    pub fn key(&mut self, key: Key, rows: &[String]) -> Effect {
        match key {
            Key::Interrupt => return Effect::Quit,
            Key::Suspend => return Effect::Suspend,
            _ => {}
        }
        self.message = None;
        if let Some(typed) = self.typing.take() {
            return self.typed(key, typed);
        }
        if let Some((lines, from)) = self.text.take() {
            let to = match key {
                Key::Up => from.saturating_sub(1),
                Key::Down => from + 1,
                Key::PageUp => from.saturating_sub(PAGE),
                Key::PageDown => from + PAGE,
                _ => return Effect::Redraw,
            };
            let last = lines.len().saturating_sub(1);
            self.text = Some((lines, to.min(last)));
            return Effect::Redraw;
        }
        if self.has_help {
            self.has_help = false;
            return Effect::Redraw;
        }
        match key {
            Key::Char(char) => self.char(char),
            Key::Escape => {
                self.filter = Filter::default();
                Effect::Redraw
            }
            key => self.go(key, rows),
        }
    }

    fn char(&mut self, char: char) -> Effect {
        match char {
            'q' => return Effect::Quit,
            '?' | 'h' => self.has_help = true,
            ' ' => self.is_frozen = !self.is_frozen,
            'w' if self.is_frozen => {
                self.message = Some("frozen: press space before w".to_owned());
            }
            'w' => {
                self.span = next_span(self.span);
                return Effect::Request;
            }
            's' => self.order = self.order.next(),
            'm' => {
                self.mode = match self.mode {
                    Mode::Wall => Mode::Cpu,
                    Mode::Cpu => Mode::Gil,
                    Mode::Gil => Mode::Wall,
                }
            }
            'i' => self.has_idle = !self.has_idle,
            'R' => return Effect::Record,
            'F' => return Effect::Save,
            'd' => return Effect::Dump,
            '/' => self.typing = Some(self.filter.text.clone()),
            key => match Screen::of_key(key) {
                Some(screen) => {
                    self.screen = screen;
                    (self.selected, self.row) = (None, 0);
                }
                None => return Effect::Nothing,
            },
        }
        Effect::Redraw
    }

    fn typed(&mut self, key: Key, mut typed: String) -> Effect {
        match key {
            Key::Enter => match Filter::parse(&typed) {
                Ok(filter) => {
                    self.filter = filter;
                    return Effect::Redraw;
                }
                Err(error) => self.message = Some(error),
            },
            Key::Escape => return Effect::Redraw,
            Key::Backspace => {
                typed.pop();
            }
            Key::Char(char) if typed.chars().count() < MAX_FILTER_CHARS => typed.push(char),
            _ => {}
        }
        self.typing = Some(typed);
        Effect::Redraw
    }

    /// Moves the selection.
    fn go(&mut self, key: Key, rows: &[String]) -> Effect {
        let last = rows.len().saturating_sub(1);
        let from = self.row_in(rows);
        let to = match key {
            Key::Up => from.saturating_sub(1),
            Key::Down => from + 1,
            Key::Left if self.screen == Screen::Flame => from.saturating_sub(1),
            Key::Right if self.screen == Screen::Flame => from + 1,
            Key::PageUp => from.saturating_sub(PAGE),
            Key::PageDown => from + PAGE,
            Key::Home => 0,
            Key::End => last,
            _ => return Effect::Nothing,
        };
        self.row = to.min(last);
        // The first row is whatever is first.
        self.selected = rows.get(self.row).filter(|_| self.row > 0).cloned();
        Effect::Redraw
    }

    /// Which of the rows is selected. The selection stays on its row; where that is gone, in its place.
    #[must_use]
    pub fn row_in(&self, rows: &[String]) -> usize {
        let Some(selected) = &self.selected else {
            return 0;
        };
        let found = rows.iter().position(|row| row == selected);
        found.unwrap_or(self.row.min(rows.len().saturating_sub(1)))
    }

    /// Remembers where the selected row is.
    pub fn settle(&mut self, rows: &[String]) {
        self.row = self.row_in(rows);
    }
}

/// 1, 10, 60 s, all, and 1 s again.
fn next_span(span: Span) -> Span {
    match span {
        Span::Seconds(0..10) => Span::Seconds(10),
        Span::Seconds(10..60) => Span::Seconds(60),
        Span::Seconds(_) => Span::Whole,
        Span::Whole => Span::Seconds(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State::new(Span::Seconds(10), Mode::Wall, false)
    }

    fn rows(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn press(state: &mut State, keys: &str) -> Effect {
        let keys = keys.chars().map(Key::Char);
        keys.fold(Effect::Nothing, |_, key| state.key(key, &[]))
    }

    #[test]
    fn keys_that_end_or_leave_the_view() {
        for (key, expected) in [
            (Key::Char('q'), Effect::Quit),
            (Key::Interrupt, Effect::Quit),
            (Key::Suspend, Effect::Suspend),
            (Key::Char('R'), Effect::Record),
            (Key::Char('F'), Effect::Save),
            (Key::Char('d'), Effect::Dump),
            (Key::Char('k'), Effect::Nothing),
            (Key::Left, Effect::Nothing),
        ] {
            assert_eq!(state().key(key, &[]), expected, "{key:?}");
        }
    }

    #[test]
    fn w_goes_through_the_spans() {
        let mut state = state();
        let mut seen = Vec::new();
        for _ in 0..4 {
            assert_eq!(press(&mut state, "w"), Effect::Request);
            seen.push(state.span);
        }
        let seconds = Span::Seconds;
        assert_eq!(seen, [seconds(60), Span::Whole, seconds(1), seconds(10)]);
    }

    #[test]
    fn s_m_and_i_choose_what_is_shown_of_it() {
        let mut state = state();
        press(&mut state, "smi");
        assert_eq!((state.order, state.mode), (Order::SelfTime, Mode::Cpu));
        assert!(state.has_idle);
        press(&mut state, "smi");
        assert_eq!((state.order, state.mode), (Order::TotalTime, Mode::Gil));
        assert!(!state.has_idle);
        press(&mut state, "sm");
        assert_eq!((state.order, state.mode), (Order::OwnFirst, Mode::Wall));
    }

    #[test]
    fn space_freezes_and_the_span_waits_for_it() {
        let mut state = state();
        press(&mut state, " ");
        assert!(state.is_frozen);
        assert_eq!(press(&mut state, "w"), Effect::Redraw);
        assert_eq!(state.span, Span::Seconds(10));
        assert!(state.message.is_some());
        press(&mut state, " ");
        assert!(!state.is_frozen && state.message.is_none());
    }

    #[test]
    fn any_key_closes_the_help_and_does_nothing_else() {
        let mut state = state();
        press(&mut state, "?");
        assert!(state.has_help);
        assert_eq!(press(&mut state, "q"), Effect::Redraw);
        assert!(!state.has_help);
    }

    #[test]
    fn the_selection_stays_on_its_row() {
        let mut state = state();
        let shown = rows(&["a", "b", "c"]);
        state.key(Key::Down, &shown);
        assert_eq!(state.row_in(&shown), 1);
        let turned = rows(&["c", "a", "b"]);
        state.settle(&turned);
        assert_eq!(state.row_in(&turned), 2);
        assert_eq!(state.row_in(&rows(&["c", "a"])), 1, "in its place");
        state.key(Key::Home, &turned);
        assert_eq!(state.row_in(&rows(&["x", "c"])), 0, "whatever is first");
        state.key(Key::End, &shown);
        assert_eq!(state.row_in(&shown), 2);
        state.key(Key::PageUp, &shown);
        assert_eq!(state.row_in(&shown), 0);
        assert_eq!(state.row_in(&[]), 0);
    }

    #[test]
    fn a_filter_is_typed_and_taken_back() {
        let mut state = state();
        press(&mut state, "/solx");
        state.key(Key::Backspace, &[]);
        press(&mut state, "q");
        assert_eq!(state.typing.as_deref(), Some("solq"));
        state.key(Key::Enter, &[]);
        assert_eq!((state.filter.text.as_str(), state.typing), ("solq", None));
        state.typing = None;
        press(&mut state, "/(");
        state.key(Key::Enter, &[]);
        assert!(state.message.is_some(), "it is said, and can be mended");
        assert_eq!(state.typing.as_deref(), Some("solq("));
        state.key(Key::Escape, &[]);
        assert_eq!(state.filter.text, "solq");
        state.key(Key::Escape, &[]);
        assert!(state.filter.is_empty());
    }

    #[test]
    fn text_is_scrolled_until_another_key() {
        let mut state = state();
        state.text = Some((rows(&["a", "b", "c"]), 0));
        state.key(Key::Down, &[]);
        assert_eq!(state.text.as_ref().map(|(_, from)| *from), Some(1));
        state.key(Key::PageDown, &[]);
        assert_eq!(state.text.as_ref().map(|(_, from)| *from), Some(2));
        assert_eq!(press(&mut state, "q"), Effect::Redraw);
        assert_eq!(state.text, None);
    }

    #[test]
    fn digits_choose_the_screen() {
        for (key, screen, _) in Screen::ALL {
            let mut state = state();
            state.key(Key::Char(key), &[]);
            assert_eq!(state.screen, screen);
        }
    }
}
