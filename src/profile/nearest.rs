//! Turns a name that there is not into the names there are that come nearest to it.

/// Names that are not nearer than this to what was asked for are not offered (Jaro-Winkler, from 0
/// to 1): below it, words share little but a letter or two.
const MIN_SIMILARITY: f64 = 0.7;

/// How many names are offered.
const MAX_OFFERED: usize = 3;

/// The nearest of the names, nearest first; of few, all.
pub(super) fn nearest(asked: &str, names: Vec<String>) -> Vec<String> {
    if names.len() <= MAX_OFFERED {
        return names;
    }
    let asked = asked.to_lowercase();
    let similarity = |name: &String| {
        let name = name.to_lowercase();
        // Of `Solver.solve` and `worker (4243)`, a part may be what was meant.
        let parts = name.split(['.', ' ']).chain([name.as_str()]);
        let nearest = parts.map(|part| strsim::jaro_winkler(&asked, part));
        nearest.fold(0.0, f64::max)
    };
    let ranked = names.into_iter().map(|name| (similarity(&name), name));
    let mut ranked: Vec<(f64, String)> = ranked
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let names = ranked.into_iter().map(|(_, name)| name);
    names.take(MAX_OFFERED).collect()
}

/// `; there are A, B`: what an error ends with.
pub(super) fn offer(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; there is {one}"),
        several => format!("; there are {}", several.join(", ")),
    }
}
