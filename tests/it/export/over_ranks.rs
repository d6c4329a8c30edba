//! What the reports over ranks hold.

use rsamp::export::{Format, SummaryOptions, summary};

use super::{json, meta, one_thread, text};
use crate::over_ranks::four_ranks;

#[test]
fn files() {
    let options = SummaryOptions {
        functions: 2,
        lines: 3,
        threads: 0,
        ..SummaryOptions::default()
    };
    insta::assert_snapshot!(summary(&four_ranks(), &options));
    insta::assert_snapshot!(text(Format::RanksCsv, &four_ranks()));
    insta::assert_snapshot!(text(Format::RanksCsv, &one_thread()));
}

#[test]
fn json_has_the_ranks() {
    let file = json(Format::Json, &four_ranks(), &meta());
    assert_eq!(file["processes"][1]["rank"], 3);
    let solve = &file["ranks"]["functions"][0];
    assert_eq!(solve["name"], "solve");
    assert_eq!(
        (
            &solve["self"]["slowest_rank"],
            &solve["self"]["cost_core_s"]
        ),
        (&3.into(), &12.0.into())
    );
    assert_eq!(file["ranks"]["lines"][0]["line"], 9);
    assert!(json(Format::Json, &one_thread(), &meta())["ranks"].is_null());
}
