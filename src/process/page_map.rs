//! Turns ranges of the target's addresses into those whose pages are in its memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use nix::unistd::{SysconfVar, sysconf};

use super::{Pid, with_memory};

/// Bytes of an entry, one for each page.
const ENTRY: usize = 8;

/// Bit 63 of an entry: the page is in memory. Bit 62: it is swapped out, to a disk of this machine.
const IN_MEMORY: u64 = 1 << 63 | 1 << 62;

/// So many entries are read at a time.
const MAX_ENTRIES: u64 = 4096;

/// Which pages of a process are there (proc_pid_pagemap(5)).
#[derive(Debug)]
pub struct PageMap {
    file: File,
    page_bytes: u64,
}

impl PageMap {
    /// That of process `pid`.
    ///
    /// # Errors
    /// When it ended, or permission is lacking.
    pub fn open(pid: Pid) -> io::Result<PageMap> {
        let page_bytes =
            sysconf(SysconfVar::PAGE_SIZE)?.and_then(|bytes| u64::try_from(bytes).ok());
        Ok(PageMap {
            file: File::open(format!("/proc/{}/pagemap", with_memory(pid)))?,
            page_bytes: page_bytes.ok_or(io::ErrorKind::Unsupported)?,
        })
    }

    /// The parts of `range` that can be read without reading a file, by rising address; neighbours are joined.
    ///
    /// # Errors
    /// When the process ended.
    pub fn in_memory(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let mut found: Vec<Range<u64>> = Vec::new();
        let mut entries = vec![0; MAX_ENTRIES as usize * ENTRY];
        let mut page = range.start / self.page_bytes;
        let end = range.end.div_ceil(self.page_bytes);
        while page < end {
            let count = (end - page).min(MAX_ENTRIES);
            let entries = &mut entries[..count as usize * ENTRY];
            let at = page.checked_mul(ENTRY as u64);
            self.file
                .read_exact_at(entries, at.ok_or(io::ErrorKind::InvalidInput)?)?;
            let (entries, _) = entries.as_chunks::<ENTRY>();
            for (page, entry) in (page..).zip(entries) {
                if u64::from_le_bytes(*entry) & IN_MEMORY == 0 {
                    continue;
                }
                let start = (page * self.page_bytes).max(range.start);
                let end = ((page + 1) * self.page_bytes).min(range.end);
                match found.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => found.push(start..end),
                }
            }
            page += count;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_were_touched_are_in_memory() {
        let pages = PageMap::open(Pid(std::process::id() as i32)).unwrap();
        let page = pages.page_bytes as usize;
        // Larger than what malloc(3) keeps for later (M_MMAP_THRESHOLD in mallopt(3)): zeroes that nobody wrote are not in
        // memory.
        let mut bytes = vec![0_u8; 64 << 20];
        let start = (bytes.as_ptr() as usize).next_multiple_of(page);
        let first = start - bytes.as_ptr() as usize;
        for at in [100, 101, 300] {
            bytes[first + at * page] = 1;
        }
        let at = |page_number: usize| (start + page_number * page) as u64;
        let found = pages.in_memory(at(100) + 8..at(400)).unwrap();
        let has = |address: u64| found.iter().any(|range| range.contains(&address));
        assert!(has(at(100) + 8) && has(at(101)) && has(at(300)));
        assert!(!has(at(100)), "only what was asked for");
        // Huge pages would fill in the others.
        if std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
            .is_ok_and(|text| !text.contains("[always]"))
        {
            assert_eq!(found, [at(100) + 8..at(102), at(300)..at(301)]);
        }
        assert!(bytes[first] == 0);
    }
}
