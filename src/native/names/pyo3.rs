//! Turns the path of a function that a macro of PyO3 made into the path of the one that it calls.

/// Of `#[pyfunction]` and `#[pymethods]` (pyo3-macros-backend): the wrapper's last part begins so.
const WRAPPERS: &[&str] = &["__pyfunction_", "__pymethod_"];

/// The path in the source; a path of something else stays as it is.
pub fn name(path: &str) -> String {
    let path = path
        .strip_suffix("::MakeDef::_PYO3_DEF::trampoline")
        .unwrap_or(path);
    let start = path.rfind("::").map_or(0, |at| at + 2);
    let (scope, last) = path.split_at(start);
    let own = WRAPPERS.iter().find_map(|prefix| last.strip_prefix(prefix));
    match own {
        // `__pymethod_area__`, and `__pymethod___len____` for `__len__`.
        Some(own) if last.starts_with("__pymethod_") => {
            format!("{scope}{}", own.strip_suffix("__").unwrap_or(own))
        }
        Some(own) => format!("{scope}{own}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_named_after_what_they_call() {
        let table = [
            ("word_count::__pyfunction_search", "word_count::search"),
            (
                "shapes::<impl shapes::Circle>::__pymethod_area__",
                "shapes::<impl shapes::Circle>::area",
            ),
            (
                "shapes::Circle::__pymethod___len____",
                "shapes::Circle::__len__",
            ),
            (
                "word_count::search::MakeDef::_PYO3_DEF::trampoline",
                "word_count::search",
            ),
            ("alloc::vec::Vec<T>::push", "alloc::vec::Vec<T>::push"),
        ];
        for (path, expected) in table {
            assert_eq!(name(path), expected);
        }
    }
}
