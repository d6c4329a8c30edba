//! What a JSON parser other than ours makes of profiles for the Firefox Profiler.

use std::process::Command;

use rsamp::export::Format;
use rsamp::profile::Profile;

use super::{profile, stdout, tool, with_file};

/// Walks the tables as the profiler does, and prints the self time of each function by thread.
const WALK: &str = "
import collections, json, sys
file = json.load(open(sys.argv[1], encoding='utf-8'))
assert file['meta']['processType'] == 0 and file['meta']['preprocessedProfileVersion'] > 40
for thread in file['threads']:
    strings, functions = thread['stringArray'], thread['funcTable']['name']
    frames, stacks, samples = thread['frameTable'], thread['stackTable'], thread['samples']
    times = collections.Counter()
    for stack, weight in zip(samples['stack'], samples['weight']):
        if stack is not None:
            times[strings[functions[frames['func'][stacks['frame'][stack]]]]] += weight
            while stack is not None:
                parent = stacks['prefix'][stack]
                assert parent is None or parent < stack
                stack = parent
    print(thread['name'], thread['tid'], sorted(times.items()))
print('markers', sum(thread['markers']['length'] for thread in file['threads']))
";

#[test]
fn tables_of_a_firefox_profile_hang_together() {
    needs!(RSAMP_TOOLS);
    let walk = |profile: &Profile| {
        with_file(Format::Firefox, profile, |path| {
            stdout(Command::new(tool("python")).args(["-c", WALK]).arg(path))
        })
    };
    let shown = walk(&profile());
    assert!(shown.contains("process 1 (python) 1 ["), "{shown}");
    assert!(shown.contains("('fib (scatter.py:10)', 250)"), "{shown}");
    assert!(shown.contains("('<no Python frames>', 375)"), "{shown}");
    assert!(shown.ends_with("markers 1\n"), "{shown}");
    assert_eq!(walk(&Profile::default()), "markers 0\n");
}
