//! What a script makes of rsamp's own JSON.

use std::process::Command;

use rsamp::export::Format;

use super::{profile, stdout, tool, with_file};

#[test]
fn a_script_sums_the_samples_to_the_totals() {
    needs!(RSAMP_TOOLS);
    let script = "import json, sys; f = json.load(open(sys.argv[1], encoding='utf-8')); \
                  assert sum(s['wall_ns'] for s in f['samples']) == f['totals']['wall_ns']; \
                  stacks, frames = f['stacks'], f['frames']; \
                  fib = [i for i, s in enumerate(stacks) if frames[s['frame']]['name'] == 'fib']; \
                  own = sum(s['wall_ns'] for s in f['samples'] if s['stack'] in fib); \
                  assert own == [r for r in f['functions'] if r['name'] == 'fib'][0]['self']['wall_ns']; \
                  print(own, f['lost'])";
    let shown = with_file(Format::Json, &profile(), |path| {
        stdout(Command::new(tool("python")).args(["-c", script]).arg(path))
    });
    assert_eq!(shown, "250000000 {'torn': 2}\n");
}
