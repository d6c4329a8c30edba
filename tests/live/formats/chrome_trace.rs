//! What speedscope makes of files in Chrome's Trace Event Format.

use rsamp::export::Format;
use rsamp::profile::{Event, FrameId, StackId};
use serde_json::Value;

use super::{profile, sample, speedscope, with_file};

#[test]
fn speedscope_opens_a_trace() {
    needs!(RSAMP_FORMATS, node);
    let opened = with_file(Format::ChromeTrace, &profile(), speedscope);
    let threads = opened.as_array().expect("profiles");
    let main = threads.iter().find(|thread| {
        let name = thread["name"].as_str().expect("a name");
        name.contains("thread MainThread (1)")
    });
    let main = main.unwrap_or_else(|| panic!("{opened}"));
    assert_eq!(
        (&main["unit"], &main["total"]),
        (&"microseconds".into(), &624_999.999.into())
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

/// Frames of one name that open and close at the same moment as others, as imports do.
#[test]
fn speedscope_keeps_frames_of_one_name_apart() {
    needs!(RSAMP_FORMATS, node);
    let mut profile = profile();
    let stacks = [
        (5, None, 1),
        (6, Some(5), 0),
        (7, Some(6), 1),
        (8, Some(7), 1),
        (9, Some(5), 1),
        (10, Some(9), 0),
        (11, Some(10), 1),
    ];
    for (id, parent, frame) in stacks {
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame: FrameId(frame),
        });
    }
    for (at, stack) in (6..).zip([8, 11, 6, 10, 8, 9, 11, 7, 5]) {
        profile.apply(sample(at, 0, Some(stack)));
    }
    let total = |format| {
        let opened = with_file(format, &profile, speedscope);
        let threads = opened.as_array().expect("profiles");
        let named = |thread: &&Value| {
            thread["name"]
                .as_str()
                .is_some_and(|name| name.contains("Main"))
        };
        let main = threads.iter().find(named).expect("the main thread");
        let frames = main["frames"].as_array().expect("frames");
        let own = |name: &str| {
            let frames = frames.iter().filter(|frame| {
                let found = frame["name"].as_str().expect("a name");
                found.split(" (").next() == Some(name)
            });
            frames
                .map(|frame| frame["self"].as_f64().expect("time"))
                .sum::<f64>()
        };
        (own("main"), own("fib"))
    };
    let (main_ns, fib_ns) = total(Format::Speedscope);
    let (main_us, fib_us) = total(Format::ChromeTrace);
    // Each end is a nanosecond early.
    assert!((main_us - main_ns / 1e3).abs() < 0.1, "{main_us} {main_ns}");
    assert!((fib_us - fib_ns / 1e3).abs() < 0.1, "{fib_us} {fib_ns}");
}
