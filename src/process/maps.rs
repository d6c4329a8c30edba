//! Turns the text of `/proc/PID/maps` into mappings.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use thiserror::Error;

use super::identity::{read_proc, with_memory};
use super::{Process, ProcessError};

/// One line of `/proc/PID/maps` (proc(5)): a range of the target's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address.
    pub start: u64,
    /// The address behind its last.
    pub end: u64,
    /// `r`
    pub readable: bool,
    /// `w`
    pub writable: bool,
    /// `x`
    pub executable: bool,
    /// Which byte of the file lies at `start`.
    pub offset: u64,
    /// Major and minor number of the file's device, 0:0 without a file.
    pub device: (u32, u32),
    /// The file's inode on it, 0 without a file.
    pub inode: u64,
    /// The file in the target's mount namespace, or a kernel's name such as `[heap]`.
    pub path: Option<PathBuf>,
    /// Whether the file has been unlinked since: then `path` names nothing, or another file.
    pub deleted: bool,
}

impl Mapping {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end - self.start
    }

    /// Whether it maps a file (and is not anonymous memory, `[heap]`, `[stack]`, …).
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.inode != 0 && self.path.is_some()
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// Why a text is no `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MapsError {
    /// A line does not have the fields that proc(5) names.
    #[error("line {line}: {text:?} has no valid {field}")]
    Field {
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
        /// Which field.
        field: &'static str,
    },
}

impl Process {
    /// Its mappings, by rising address.
    ///
    /// # Errors
    /// When they cannot be read: it ended, or permission is lacking.
    pub fn mappings(&self) -> Result<Vec<Mapping>, ProcessError> {
        let bytes = read_proc(with_memory(self.pid()), "maps")?;
        parse_maps(&bytes).map_err(|source| ProcessError::Maps {
            pid: self.pid(),
            source,
        })
    }
}

/// Parses `/proc/PID/maps`, of which paths need not be UTF-8.
///
/// # Errors
/// When a line lacks a field that proc(5) promises.
pub fn parse_maps(text: &[u8]) -> Result<Vec<Mapping>, MapsError> {
    text.split(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            parse_line(line).map_err(|field| MapsError::Field {
                line: index + 1,
                text: String::from_utf8_lossy(line).into_owned(),
                field,
            })
        })
        .collect()
}

/// Parses one line; the error names the field that is wrong.
fn parse_line(line: &[u8]) -> Result<Mapping, &'static str> {
    let mut rest = line;
    let range = next_field(&mut rest).ok_or("range")?;
    let flags = next_field(&mut rest).ok_or("permissions")?.as_bytes();
    let offset = next_field(&mut rest).and_then(hex).ok_or("offset")?;
    let device = next_field(&mut rest)
        .and_then(parse_device)
        .ok_or("device")?;
    let inode = next_field(&mut rest)
        .and_then(|text| text.parse().ok())
        .ok_or("inode")?;
    let (start, end) = range.split_once('-').ok_or("range")?;
    let (start, end) = hex(start)
        .zip(hex(end))
        .filter(|(start, end)| start <= end)
        .ok_or("range")?;
    if flags.len() != 4 {
        return Err("permissions");
    }
    let (path, deleted) = parse_path(rest, inode);
    Ok(Mapping {
        start,
        end,
        readable: flags[0] == b'r',
        writable: flags[1] == b'w',
        executable: flags[2] == b'x',
        offset,
        device,
        inode,
        path,
        deleted,
    })
}

/// Takes the text up to the next space off `rest`, and the spaces behind it.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(rest.len());
    let (field, behind) = rest.split_at(end);
    *rest = behind.trim_ascii_start();
    std::str::from_utf8(field)
        .ok()
        .filter(|field| !field.is_empty())
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn parse_device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    let number = |text| u32::from_str_radix(text, 16).ok();
    number(major).zip(number(minor))
}

/// The path of a line and whether the kernel called it deleted.
///
/// The kernel writes a newline in a name as `\012` and nothing else escaped (`seq_path(m, path, "\n")`),
/// so a name that itself holds `\012` cannot be told from it; neither can a name that ends in ` (deleted)`.
fn parse_path(text: &[u8], inode: u64) -> (Option<PathBuf>, bool) {
    if text.is_empty() {
        return (None, false);
    }
    let (name, deleted) = match text.strip_suffix(b" (deleted)") {
        Some(name) if inode != 0 => (name, true),
        _ => (text, false),
    };
    let path = PathBuf::from(OsString::from_vec(unescape_newlines(name)));
    (Some(path), deleted)
}

fn unescape_newlines(mut name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    while let Some((&byte, behind)) = name.split_first() {
        if let Some(behind) = name.strip_prefix(b"\\012") {
            out.push(b'\n');
            name = behind;
        } else {
            out.push(byte);
            name = behind;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Mapping {
        let mut mappings = parse_maps(line.as_bytes()).unwrap();
        assert_eq!(mappings.len(), 1);
        mappings.remove(0)
    }

    #[test]
    fn a_line_gives_every_field() {
        assert_eq!(
            one("7f1e4c000000-7f1e4c021000 r-xp 0002a000 fd:01 1835 /usr/lib/libc.so.6\n"),
            Mapping {
                start: 0x7f1e_4c00_0000,
                end: 0x7f1e_4c02_1000,
                readable: true,
                writable: false,
                executable: true,
                offset: 0x2a000,
                device: (0xfd, 1),
                inode: 1835,
                path: Some("/usr/lib/libc.so.6".into()),
                deleted: false,
            }
        );
    }

    #[test]
    fn names_keep_spaces_newlines_and_lose_deleted() {
        let check = |name: &str, path: &str, deleted: bool| {
            let mapping = one(&format!(
                "1000-2000 r--p 00000000 08:01 7                          {name}"
            ));
            assert_eq!(
                (mapping.path, mapping.deleted),
                (Some(path.into()), deleted),
                "{name}"
            );
        };
        check(
            "/tmp/my env/lib python.so",
            "/tmp/my env/lib python.so",
            false,
        );
        check("/tmp/a\\012b", "/tmp/a\nb", false);
        check("/tmp/gone.so (deleted)", "/tmp/gone.so", true);
        check("/tmp/a (deleted) b", "/tmp/a (deleted) b", false);
        check("/memfd:code (deleted)", "/memfd:code", true);
    }

    #[test]
    fn anonymous_memory_has_no_file() {
        let plain = one("7ffd0000-7ffd1000 rw-p 00000000 00:00 0 ");
        assert_eq!((plain.path.clone(), plain.is_file()), (None, false));
        let heap =
            one("55e000-56e000 rw-p 00000000 00:00 0                                  [heap]");
        assert_eq!(
            (heap.path.clone(), heap.is_file()),
            (Some("[heap]".into()), false)
        );
    }

    #[test]
    fn the_vsyscall_page_at_the_top_fits() {
        let top = one(
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
        );
        assert_eq!(top.size(), 0x1000);
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_as_they_are() {
        let mappings = parse_maps(b"1000-2000 r--p 0 08:01 7 /tmp/\xff.so\n").unwrap();
        assert_eq!(
            mappings[0].path,
            Some(OsString::from_vec(b"/tmp/\xff.so".to_vec()).into())
        );
    }

    #[test]
    fn damaged_lines_are_refused_and_named() {
        let check = |line: &str, wrong: &str| {
            let text = format!("1000-2000 r--p 0 08:01 7\n{line}\n");
            let MapsError::Field { line, field, .. } = parse_maps(text.as_bytes()).unwrap_err();
            assert_eq!((line, field), (2, wrong));
        };
        check("xyz", "permissions");
        check("2000-1000 r--p 0 08:01 7", "range");
        check("1000-2000 r-- 0 08:01 7", "permissions");
        check("1000-2000 r--p zz 08:01 7", "offset");
        check("1000-2000 r--p 0 0801 7", "device");
        check("1000-2000 r--p 0 08:01", "inode");
    }
}
