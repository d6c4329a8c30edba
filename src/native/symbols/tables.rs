//! Turns a symbol table into the name of the symbol that holds each address.
//!
//! The table is gone through once, piece by piece, however large it is; then the names of the symbols found are read.

use std::cmp::Reverse;

use goblin::elf::sym::{STB_LOCAL, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, Sym};
use rustc_hash::FxHashMap;

use super::module::Module;
use crate::native::names::MAX_SYMBOL_BYTES;
use crate::process::{ReadBudget, SymbolTable};

/// The most symbols that are compared for all addresses together: where symbols overlap, each counts for each address. In
/// real files an address is in one or two.
const MAX_COMPARED: usize = 1 << 22;

/// Of so many symbols at one address the best name is taken: `malloc` of `__libc_malloc`, `__malloc`, `malloc`.
const MAX_ALIASES: usize = 8;

/// In a full table a symbol without a size (assembly) reaches to the next one, but no further than this.
pub const MAX_UNSIZED_BYTES: u64 = 1 << 20;

/// A symbol that may name an address.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    start: u64,
    size: u64,
    name_at: u64,
    is_local: bool,
}

/// What is known of one address.
#[derive(Debug, Default, Clone)]
struct Found {
    /// Those that hold it and start last.
    holders: Vec<Candidate>,
    /// The last one that starts before it or at it.
    nearest: Option<Candidate>,
}

/// The symbol of each of `addresses` (sorted) that is in one of the table. Symbols without a size reach to the next one, at
/// most `unsized_bytes`.
pub fn symbols(
    module: &Module,
    table: &SymbolTable,
    unsized_bytes: u64,
    addresses: &[u64],
    budget: &mut ReadBudget,
) -> FxHashMap<u64, String> {
    let mut found = vec![Found::default(); addresses.len()];
    let mut compared = 0;
    // What was found before an error counts.
    let _ = module.elf.each_symbol(table, budget, |symbol| {
        if let Some(candidate) = candidate(symbol) {
            compared += consider(candidate, addresses, &mut found, MAX_COMPARED - compared);
        }
    });
    let mut nearest = None;
    let mut names = FxHashMap::default();
    for (address, mut found) in addresses.iter().zip(found) {
        nearest = found.nearest.or(nearest);
        if let Some(symbol) = nearest.filter(|symbol| reaches(symbol, *address, unsized_bytes))
            && found.holders.is_empty()
        {
            found.holders.push(symbol);
        }
        if let Some(name) = best_name(module, table, &mut found.holders, budget) {
            names.insert(*address, name);
        }
    }
    names
}

/// Notes a symbol with the addresses that it may name; how many it was compared with, at most `max`.
fn consider(symbol: Candidate, addresses: &[u64], found: &mut [Found], max: usize) -> usize {
    let first = addresses.partition_point(|address| *address < symbol.start);
    if let Some(found) = found.get_mut(first) {
        let is_later =
            |nearest: Candidate| (symbol.start, symbol.size) > (nearest.start, nearest.size);
        if found.nearest.is_none_or(is_later) {
            found.nearest = Some(symbol);
        }
    }
    let end = symbol.start.saturating_add(symbol.size);
    let held = addresses[first..]
        .iter()
        .take_while(|address| **address < end);
    let held = held.take(max).count();
    for found in &mut found[first..first + held] {
        let holders = &mut found.holders;
        let start = holders.first().map_or(symbol.start, |holder| holder.start);
        if symbol.start > start {
            holders.clear();
        }
        if symbol.start >= start && holders.len() < MAX_ALIASES {
            holders.push(symbol);
        }
    }
    held
}

/// Whether a symbol without a size names an address after it.
fn reaches(symbol: &Candidate, address: u64, unsized_bytes: u64) -> bool {
    symbol.size == 0 && address - symbol.start < unsized_bytes
}

fn candidate(symbol: &Sym) -> Option<Candidate> {
    let is_code = [STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE].contains(&symbol.st_type());
    let is_defined = symbol.st_shndx != 0 && symbol.st_value != 0 && symbol.st_name != 0;
    (is_code && is_defined).then_some(Candidate {
        start: symbol.st_value,
        size: symbol.st_size,
        name_at: symbol.st_name as u64,
        is_local: symbol.st_bind() == STB_LOCAL,
    })
}

/// The name that a user is most likely to know: a global one, without underscores before it, short.
fn best_name(
    module: &Module,
    table: &SymbolTable,
    holders: &mut [Candidate],
    budget: &mut ReadBudget,
) -> Option<String> {
    let max = MAX_SYMBOL_BYTES as u64 + 1;
    let mut names = Vec::new();
    for holder in holders {
        let name = module
            .elf
            .name_at(table, holder.name_at, max, budget)
            .ok()?;
        // Marks of ARM and RISC-V for code and data, and labels of the assembler.
        if !name.is_empty() && !name.starts_with(['$', '.']) {
            names.push((name, holder.is_local));
        }
    }
    let underscores = |name: &str| name.len() - name.trim_start_matches('_').len();
    let rank = |(name, is_local): &(String, bool)| {
        let is_mangled = name.starts_with("_Z") || name.starts_with("_R");
        (
            Reverse(is_mangled),
            *is_local,
            underscores(name),
            name.len(),
            name.clone(),
        )
    };
    names.into_iter().min_by_key(rank).map(|(name, _)| name)
}
