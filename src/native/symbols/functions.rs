//! Turns `.eh_frame_hdr` into the start of the function that holds an address.

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, RunTimeEndian, UnwindSection};
use rustc_hash::FxHashMap;

use super::dwarf::endian;
use super::module::Module;
use crate::process::ReadBudget;

/// Where the function of each of `addresses` starts, as far as the table says.
pub fn starts(module: &Module, addresses: &[u64], budget: &mut ReadBudget) -> FxHashMap<u64, u64> {
    find(module, addresses, budget).unwrap_or_default()
}

fn find(
    module: &Module,
    addresses: &[u64],
    budget: &mut ReadBudget,
) -> Option<FxHashMap<u64, u64>> {
    if addresses.is_empty() {
        return None;
    }
    let place = |name| module.elf.section(&module.sections, name).ok().flatten();
    let (frame_at, _) = place(".eh_frame")?;
    let (header_at, _) = place(".eh_frame_hdr")?;
    let (text_at, _) = place(".text").unwrap_or_default();
    let bases = BaseAddresses::default()
        .set_eh_frame(frame_at)
        .set_eh_frame_hdr(header_at)
        .set_text(text_at);
    let (frame, header) = (
        module.section(".eh_frame", budget)?,
        module.section(".eh_frame_hdr", budget)?,
    );
    let endian = endian(module);
    let size = if module.elf.is_64_bit() { 8 } else { 4 };
    let header = EhFrameHdr::new(&header, endian).parse(&bases, size).ok()?;
    let table = header.table()?;
    let mut frame: EhFrame<EndianSlice<'_, RunTimeEndian>> = EhFrame::new(&frame, endian);
    frame.set_address_size(size);
    let start = |address: &u64| {
        let entry = table.fde_for_address(&frame, &bases, *address, EhFrame::cie_from_offset);
        Some((*address, entry.ok()?.initial_address()))
    };
    Some(addresses.iter().filter_map(start).collect())
}
