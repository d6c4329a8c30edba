//! Turns the C symbol of a Cython function into its dotted name in Python.
//!
//! Cython (Cython/Compiler/Naming.py, `Scope.__init__` in Symtab.py) prefixes a function with its kind, and with each
//! module, class and function around it as a length, the name and `_`: `__pyx_pw_3pkg_3mod_7MyClass_5solve` is
//! `pkg.mod.MyClass.solve`. The number right before the name (5) counts the functions of that scope.

/// Before each symbol that Cython makes.
const PREFIX: &str = "__pyx_";

/// The kinds of functions whose name follows the scopes: wrapper, body and C function of a `def`, `cdef` or `cpdef`, a
/// generator's body, a property, a special method, and the slots of a type.
const KINDS: &[&str] = &[
    "pw_",
    "pf_",
    "f_",
    "gb_",
    "getprop_",
    "setprop_",
    "specialmethod_",
    "tp_new_",
    "tp_init_",
    "tp_dealloc_",
    "tp_traverse_",
    "tp_clear_",
    "mp_subscript_",
    "mp_ass_subscript_",
    "sq_item_",
    "sq_ass_item_",
    "getbuffer_",
];

/// Names that Cython writes for what the user wrote no name for.
const SLOTS: &[(&str, &str)] = &[
    ("tp_new_", "__new__"),
    ("tp_init_", "__init__"),
    ("tp_dealloc_", "__dealloc__"),
    ("tp_traverse_", "__traverse__"),
    ("tp_clear_", "__clear__"),
];

/// A dot in the name of a module: `View.MemoryView`, where Cython keeps memoryviews, has a length of 15.
const DOT: &str = "_dot_";

/// Before the name of a `lambda`, which is `lambda` and a number.
const LAMBDA: &str = "__pyx_lambda_funcdef_";

/// The most modules, classes and functions around a function that are believed.
const MAX_SCOPES: usize = 32;

/// The dotted name; `None` for what is not a function of the user's, as the helpers that Cython adds.
pub fn name(symbol: &str) -> Option<String> {
    let mut rest = symbol.strip_prefix(PREFIX)?;
    // `__pyx_fuse_1__pyx_pw_…`: the second of the functions made of one with fused types.
    if let Some(fused) = rest.strip_prefix("fuse_") {
        let (_, fused) = number(fused)?;
        rest = fused.strip_prefix(PREFIX).unwrap_or(fused);
    }
    let kind = KINDS.iter().find(|kind| rest.starts_with(**kind))?;
    let mut rest = &rest[kind.len()..];
    let mut parts = Vec::new();
    while let Some((scope, behind)) = scope(rest).filter(|_| parts.len() < MAX_SCOPES) {
        parts.push(scope);
        rest = behind;
    }
    if parts.is_empty() {
        return None;
    }
    let own = number(rest).map_or(rest, |(_, name)| name);
    let own = own.strip_prefix(LAMBDA).unwrap_or(own);
    // The types around a function are written as in C here: `__pyx_tp_new_3mod_Name`.
    parts.push(own);
    if let Some((_, slot)) = SLOTS.iter().find(|(prefix, _)| prefix == kind) {
        parts.push(slot);
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join(".").replace(DOT, "."))
}

/// A scope at the start, and what follows it.
fn scope(text: &str) -> Option<(&str, &str)> {
    let (length, rest) = number(text)?;
    let lengths = [Some(length), length_with_dots(rest, length)];
    lengths.into_iter().flatten().find_map(|length| {
        let name = rest.get(..length).filter(|name| is_name(name))?;
        let behind = rest[length..].strip_prefix('_')?;
        (!behind.is_empty()).then_some((name, behind))
    })
}

/// How long a name of `length` is where each of its dots is written `_dot_`.
fn length_with_dots(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..length {
        let rest = text.get(at..)?;
        at += match rest.starts_with(DOT) {
            true => DOT.len(),
            false => rest.chars().next()?.len_utf8(),
        };
    }
    Some(at)
}

/// Whether it is a name. In `1__init__` the number counts, and what follows is the name, not `_` and `init__`.
fn is_name(text: &str) -> bool {
    text.trim_start_matches('_')
        .starts_with(char::is_alphabetic)
}

fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_their_dotted_name() {
        let table = [
            (
                "__pyx_pw_3pkg_3mod_7MyClass_5solve",
                Some("pkg.mod.MyClass.solve"),
            ),
            ("__pyx_pf_3pkg_3mod_solve", Some("pkg.mod.solve")),
            ("__pyx_pw_3mod_1solve", Some("mod.solve")),
            (
                "__pyx_f_5scipy_6linalg_13cython_lapack_dgesv",
                Some("scipy.linalg.cython_lapack.dgesv"),
            ),
            ("__pyx_fuse_1__pyx_pw_3mod_7kernel", Some("mod.kernel")),
            ("__pyx_fuse_0__pyx_f_3mod_kernel", Some("mod.kernel")),
            (
                "__pyx_gb_3mod_5lines_2generator",
                Some("mod.lines.generator"),
            ),
            ("__pyx_pw_3mod_5outer_1inner", Some("mod.outer.inner")),
            ("__pyx_tp_new_3mod_Tree", Some("mod.Tree.__new__")),
            ("__pyx_tp_dealloc_3mod_Tree", Some("mod.Tree.__dealloc__")),
            (
                "__pyx_memoryview___pyx_pf_15View_dot_MemoryView_10memoryview_20copy",
                None,
            ),
            (
                "__pyx_pw_15View_dot_MemoryView_10memoryview_20copy",
                Some("View.MemoryView.memoryview.copy"),
            ),
            (
                "__pyx_pw_3pkg_3mod_5Plain_6method___pyx_lambda_funcdef_lambda",
                Some("pkg.mod.Plain.method.lambda"),
            ),
            (
                "__pyx_pw_3pkg_3mod_4Tree_1__init__",
                Some("pkg.mod.Tree.__init__"),
            ),
            (
                "__pyx_getprop_3pkg_3mod_4Tree_half",
                Some("pkg.mod.Tree.half"),
            ),
            (
                "__pyx_tp_init_3pkg_3mod_Tree",
                Some("pkg.mod.Tree.__init__"),
            ),
            ("__pyx_pymod_exec_mod", None),
            ("__pyx_f_helper", None),
            ("__pyx_pw_99mod_f", None),
            ("__pyx_pw_18446744073709551616mod_f", None),
            ("__Pyx_PyObject_Call", None),
        ];
        for (symbol, expected) in table {
            assert_eq!(name(symbol).as_deref(), expected, "{symbol}");
        }
    }
}
