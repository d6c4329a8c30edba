//! What speedscope makes of files in Chrome's Trace Event Format.

use rsamp::export::Format;
use serde_json::Value;

use super::{profile, speedscope, with_file};

#[test]
fn speedscope_opens_a_trace() {
    let opened = with_file(Format::ChromeTrace, &profile(), speedscope);
    let threads = opened.as_array().expect("profiles");
    let main = threads.iter().find(|thread| {
        let name = thread["name"].as_str().expect("a name");
        name.contains("thread MainThread (1)")
    });
    let main = main.unwrap_or_else(|| panic!("{opened}"));
    assert_eq!(
        (&main["unit"], &main["total"]),
        (&"microseconds".into(), &625_000.into())
    );
    let order = main["order"].as_array().expect("calls");
    let order: Vec<&Value> = order.iter().take(3).collect();
    let expected = [
        "+main (scatter.py:1) 0",
        "+fib (scatter.py:10) 125000",
        "+fib (scatter.py:10) 250000",
    ];
    assert_eq!(order, expected);
}
