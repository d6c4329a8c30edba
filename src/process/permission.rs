//! Turns a refused read of another process into the reason for the refusal.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Uid, User, geteuid};

use super::Pid;
use super::status::{status_field, status_number};

/// Why the kernel does not let us read a process (ptrace(2), "Ptrace access mode checking").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It belongs to another user.
    OtherUser {
        /// The owner's user id.
        owner: u32,
        /// The owner's name, if it has one here.
        name: Option<String>,
    },
    /// `kernel.yama.ptrace_scope`: 1 only parents may, 2 only root may, 3 nobody may.
    PtraceScope(u8),
    /// It is ours, but protects itself: it was setuid, cannot be read by us on disk, or called
    /// `prctl(PR_SET_DUMPABLE, 0)`.
    NotDumpable,
    /// A container or sandbox around us or around it is in the way.
    Container(Confinement),
    /// None of the known reasons.
    Unknown,
}

/// What of a container is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// We are root without CAP_SYS_PTRACE.
    NoCapability,
    /// It runs in another user namespace, in which our capabilities do not count.
    UserNamespace,
    /// A seccomp filter is on us, which may forbid the system calls for it.
    Seccomp,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::OtherUser { owner, name: Some(name) } => {
                write!(f, "it belongs to user {name} (uid {owner})")
            }
            Denied::OtherUser { owner, name: None } => write!(f, "it belongs to the user with uid {owner}"),
            Denied::PtraceScope(scope) => {
                let who = match scope {
                    1 => "lets only its parent processes read it",
                    2 => "lets only root read it",
                    _ => "lets nobody read it until the next boot",
                };
                write!(f, "kernel.yama.ptrace_scope is {scope}, which {who}")
            }
            Denied::NotDumpable => {
                f.write_str("it protects itself from being read (set-user-id, unreadable program file, or prctl)")
            }
            Denied::Container(Confinement::NoCapability) => {
                f.write_str("this container's root lacks the capability SYS_PTRACE")
            }
            Denied::Container(Confinement::UserNamespace) => f.write_str("it runs in another user namespace"),
            Denied::Container(Confinement::Seccomp) => {
                f.write_str("a seccomp filter of this container forbids reading other processes")
            }
            Denied::Unknown => f.write_str("the kernel gives no reason"),
        }
    }
}

/// Says why reading process `pid` was refused with EPERM or EACCES. Reads only what every user may read.
#[must_use]
pub fn diagnose(pid: Pid) -> Denied {
    judge(&gather(pid))
}

/// CAP_SYS_PTRACE's bit in `CapEff` (linux/capability.h).
const CAP_SYS_PTRACE: u64 = 1 << 19;

/// What is known of us and of it.
#[derive(Debug, Clone, Default)]
struct Facts {
    our_uid: u32,
    our_capabilities: u64,
    our_seccomp: i32,
    /// Real, effective and saved user id of the target: all must be ours.
    its_uids: Vec<u32>,
    /// Who owns the files below `/proc/PID`: root when the process is not dumpable.
    its_proc_owner: Option<u32>,
    yama_scope: u8,
    same_user_namespace: bool,
}

fn gather(pid: Pid) -> Facts {
    let ours = fs::read("/proc/self/status").unwrap_or_default();
    let its = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let uids = |text: &str| {
        text.split_whitespace()
            .take(3)
            .flat_map(str::parse)
            .collect()
    };
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    let its_namespace = namespace(&pid.to_string());
    Facts {
        our_uid: geteuid().as_raw(),
        our_capabilities: status_field(&ours, "CapEff:").and_then(hex).unwrap_or(0),
        our_seccomp: status_number(&ours, "Seccomp:").unwrap_or(0),
        its_uids: status_field(&its, "Uid:").map(uids).unwrap_or_default(),
        its_proc_owner: fs::metadata(format!("/proc/{pid}/stat"))
            .ok()
            .map(|file| file.uid()),
        yama_scope: fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
        // The link itself cannot be read where reading was refused: then nothing is known.
        same_user_namespace: its_namespace.is_none() || its_namespace == namespace("self"),
    }
}

fn judge(facts: &Facts) -> Denied {
    let capable = facts.our_capabilities & CAP_SYS_PTRACE != 0;
    if facts.yama_scope >= 3 {
        return Denied::PtraceScope(facts.yama_scope);
    }
    if capable {
        return match facts {
            Facts {
                same_user_namespace: false,
                ..
            } => Denied::Container(Confinement::UserNamespace),
            Facts { our_seccomp: 2, .. } => Denied::Container(Confinement::Seccomp),
            _ => Denied::Unknown,
        };
    }
    if facts.our_uid == 0 {
        return Denied::Container(Confinement::NoCapability);
    }
    if let Some(&owner) = facts.its_uids.iter().find(|&&uid| uid != facts.our_uid) {
        let is_all_other = facts.its_uids.iter().all(|&uid| uid != facts.our_uid);
        return if is_all_other {
            other_user(owner)
        } else {
            Denied::NotDumpable
        };
    }
    if !facts.its_uids.is_empty()
        && facts
            .its_proc_owner
            .is_some_and(|owner| owner != facts.our_uid)
    {
        return Denied::NotDumpable;
    }
    match facts {
        Facts {
            yama_scope: scope @ 1..,
            ..
        } => Denied::PtraceScope(*scope),
        Facts {
            same_user_namespace: false,
            ..
        } => Denied::Container(Confinement::UserNamespace),
        Facts { our_seccomp: 2, .. } => Denied::Container(Confinement::Seccomp),
        _ => Denied::Unknown,
    }
}

fn other_user(owner: u32) -> Denied {
    let user = User::from_uid(Uid::from_raw(owner)).ok().flatten();
    Denied::OtherUser {
        owner,
        name: user.map(|user| user.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User 1000 looking at its own ordinary process.
    fn ours() -> Facts {
        Facts {
            our_uid: 1000,
            its_uids: vec![1000, 1000, 1000],
            its_proc_owner: Some(1000),
            same_user_namespace: true,
            ..Facts::default()
        }
    }

    /// Root with all capabilities looking at it.
    fn root() -> Facts {
        Facts {
            our_uid: 0,
            our_capabilities: u64::MAX,
            ..ours()
        }
    }

    #[test]
    fn the_reason_is_named() {
        let check = |facts: Facts, expect: Denied| assert_eq!(judge(&facts), expect, "{facts:?}");
        check(ours(), Denied::Unknown);
        for scope in 1..=3 {
            check(
                Facts {
                    yama_scope: scope,
                    ..ours()
                },
                Denied::PtraceScope(scope),
            );
        }
        check(
            Facts {
                yama_scope: 1,
                ..root()
            },
            Denied::Unknown,
        );
        check(
            Facts {
                yama_scope: 3,
                ..root()
            },
            Denied::PtraceScope(3),
        );
        check(
            Facts {
                its_proc_owner: Some(0),
                yama_scope: 1,
                ..ours()
            },
            Denied::NotDumpable,
        );
        check(
            Facts {
                its_uids: vec![1000, 0, 0],
                ..ours()
            },
            Denied::NotDumpable,
        );
        check(
            Facts {
                its_uids: vec![4_000_000_000; 3],
                yama_scope: 1,
                ..ours()
            },
            Denied::OtherUser {
                owner: 4_000_000_000,
                name: None,
            },
        );
        check(
            Facts {
                our_capabilities: !CAP_SYS_PTRACE,
                ..root()
            },
            Denied::Container(Confinement::NoCapability),
        );
        check(
            Facts {
                same_user_namespace: false,
                ..root()
            },
            Denied::Container(Confinement::UserNamespace),
        );
        check(
            Facts {
                our_seccomp: 2,
                ..ours()
            },
            Denied::Container(Confinement::Seccomp),
        );
    }

    #[test]
    fn each_reason_reads_as_part_of_a_sentence() {
        let root = Denied::OtherUser {
            owner: 0,
            name: Some("root".to_owned()),
        };
        assert_eq!(root.to_string(), "it belongs to user root (uid 0)");
        assert_eq!(
            Denied::PtraceScope(1).to_string(),
            "kernel.yama.ptrace_scope is 1, which lets only its parent processes read it"
        );
    }

    #[test]
    fn root_is_named_by_its_name() {
        assert_eq!(
            other_user(0),
            Denied::OtherUser {
                owner: 0,
                name: Some("root".to_owned())
            }
        );
    }
}
