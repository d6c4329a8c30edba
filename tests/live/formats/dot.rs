//! What Graphviz makes of call graphs.

use std::fs;
use std::process::Command;

use rsamp::export::Format;
use rsamp::profile::Profile;

use super::{profile, stdout, with_file};

#[test]
fn graphviz_draws_the_call_graph() {
    needs!(dot);
    for profile in [profile(), Profile::default()] {
        let plain = with_file(Format::Dot, &profile, |path| {
            stdout(Command::new("dot").arg("-Tplain").arg(path))
        });
        assert!(plain.ends_with("stop\n"), "{plain}");
    }
    let plain = with_file(Format::Dot, &profile(), |path| {
        stdout(Command::new("dot").arg("-Tplain").arg(path))
    });
    let nodes = plain
        .lines()
        .filter(|line| line.starts_with("node "))
        .count();
    assert_eq!(nodes, 5, "{plain}");
    assert!(plain.contains("edge f0 f1 "), "{plain}");
    assert!(plain.contains("fib\\n(scatter.py:10)"), "{plain}");
}

#[test]
fn pictures_are_drawn_by_graphviz() {
    needs!(dot);
    let svg = with_file(Format::DotSvg, &profile(), |path| {
        fs::read(path).expect("read")
    });
    let svg = String::from_utf8(svg).expect("UTF-8");
    assert!(
        svg.contains(">fib<") && svg.contains(">(scatter.py:10)<"),
        "{svg}"
    );
    // A name appears as it is, with what XML wants escaped.
    assert!(
        svg.contains("naïve_λ_🦀 &lt;&amp;&gt;: �&quot;&#39;\\"),
        "{svg}"
    );
    let png = with_file(Format::DotPng, &profile(), |path| {
        fs::read(path).expect("read")
    });
    assert!(png.starts_with(b"\x89PNG\r\n"));
}
