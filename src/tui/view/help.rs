//! Turns the keys into a page that explains them.

use ratatui::layout::Rect;

use super::cells::Cells;

const KEYS: &[(&str, &str)] = &[
    (
        "1 to 6",
        "functions, lines, flame graph, threads, asyncio tasks, findings",
    ),
    ("w", "which time: the last 1, 10 or 60 seconds, or all"),
    ("m", "wall (elapsed), CPU, or time with the GIL"),
    (
        "s",
        "order: your code first; all by self; all by total time",
    ),
    ("i", "idle waits too: of threads that wait for work"),
    ("/", "show only: a name, t:thread p:process r:0-3 state:gil"),
    ("Esc", "show everything again"),
    ("space", "freeze the screen; the sampling goes on"),
    ("↑ ↓", "select a row: it stays selected when it moves"),
    ("R", "start or end a recording, which rsamp report opens"),
    (
        "F d",
        "write a flame graph and a page of this; show the stacks",
    ),
    ("q", "quit; the program runs on. Ctrl-Z: pause rsamp"),
];

const COLUMNS: &str = "self%: in the function itself; total%: with what it calls; both of the time of all threads shown. \
     cpu%, gil%: of one core, and of the time that passed. Bold: your own code. Any key closes this.";

/// Draws it.
pub(super) fn draw(area: Rect, cells: &mut Cells<'_>) {
    let mut free = area;
    for (key, meaning) in KEYS {
        let mut line = free;
        cells.column(&mut line, &format!("  {key}"), 13, cells.palette.bold());
        let width = usize::from(line.width);
        cells.column(&mut line, meaning, width, cells.palette.plain());
        free.y += 1;
        free.height = free.height.saturating_sub(1);
        if free.height == 0 {
            return;
        }
    }
    cells.paragraph(free, COLUMNS);
}
