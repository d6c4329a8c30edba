//! Turns the linker symbol of a Fortran procedure, or of an f2py wrapper, into its name in the source.

/// The name; `None` where the symbol is not of a form that only Fortran compilers or f2py make. A procedure outside any
/// module, `dgemm_`, could be C, and is known by that name.
pub fn name(symbol: &str) -> Option<String> {
    gfortran(symbol)
        .or_else(|| flang(symbol))
        .or_else(|| ifort(symbol))
        .or_else(|| f2py(symbol))
}

/// `__mod_MOD_proc`, in a submodule `__mod.sub_MOD_proc` (gcc/fortran/trans-decl.cc, `gfc_sym_mangled_function_id`).
fn gfortran(symbol: &str) -> Option<String> {
    let (module, procedure) = symbol.strip_prefix("__")?.split_once("_MOD_")?;
    named(&module.replace('.', "::"), procedure)
}

/// `_QMmodPproc`, `_QMmodSsubPproc`, `_QMmodFhostPproc` and `_QPproc` of LLVM's flang (flang/docs/BijectiveInternalNameUniquing.md): what
/// is written in lower case is a name, an upper-case letter the kind of what follows.
fn flang(symbol: &str) -> Option<String> {
    let text = symbol.strip_prefix("_Q")?;
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_MSFP".contains(c);
    if !text.starts_with(['M', 'F', 'P']) || !text.chars().all(is_known) {
        return None;
    }
    let names = text
        .split(['M', 'S', 'F', 'P'])
        .filter(|name| !name.is_empty());
    let name = names.collect::<Vec<_>>().join("::");
    (!name.is_empty()).then_some(name)
}

/// `mod_mp_proc_` of Intel's compilers.
fn ifort(symbol: &str) -> Option<String> {
    let (module, procedure) = symbol.strip_suffix('_')?.split_once("_mp_")?;
    named(module, procedure)
}

/// `f2py_rout_mod_proc` converts the arguments of a call from Python; `f2pywrapproc_` is the Fortran side of it
/// (numpy/f2py/rules.py and func2subr.py).
fn f2py(symbol: &str) -> Option<String> {
    let of_wrapper = |text: &str| {
        text.trim_start_matches('_')
            .trim_end_matches('_')
            .to_owned()
    };
    let name = match symbol.strip_prefix("f2py_rout_") {
        Some(name) => name.to_owned(),
        None => of_wrapper(symbol.strip_prefix("f2pywrap")?),
    };
    (!name.is_empty()).then(|| format!("{name} (f2py)"))
}

fn named(module: &str, procedure: &str) -> Option<String> {
    (!module.is_empty() && !procedure.is_empty()).then(|| format!("{module}::{procedure}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn procedures_are_named_as_in_the_source() {
        let table = [
            ("__heat_MOD_step", Some("heat::step")),
            ("__my_mod_MOD_my_proc", Some("my_mod::my_proc")),
            (
                "__points.points_a_MOD_distance",
                Some("points::points_a::distance"),
            ),
            ("_QMheatPstep", Some("heat::step")),
            ("_QMheatFsolvePinner", Some("heat::solve::inner")),
            ("_QPstep", Some("step")),
            ("_Quit", None),
            ("heat_mp_step_", Some("heat::step")),
            ("f2py_rout_heat_step", Some("heat_step (f2py)")),
            ("f2pywrapstep_", Some("step (f2py)")),
            ("f2pywrap_heat_step_", Some("heat_step (f2py)")),
            ("dgemm_", None),
            ("MAIN__", None),
            ("__MOD_", None),
        ];
        for (symbol, expected) in table {
            assert_eq!(name(symbol).as_deref(), expected, "{symbol}");
        }
    }
}
