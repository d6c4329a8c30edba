//! Turns `/proc/PID/status` into the rights that a process has to files, and lets this process take them on.

use std::ffi::CString;
use std::fs;
use std::io;
use std::marker::PhantomData;

use nix::unistd::{Gid, Uid, User, getegid, geteuid, getgrouplist, getgroups};

use super::identity::{read_proc, read_stat};
use super::status::status_field;
use super::{Pid, Process, ProcessError};
use crate::sys;

/// CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (linux/capability.h): to read files whatever their permissions.
const FILE_CAPABILITIES: u64 = 1 << 1 | 1 << 2;

/// By convention (`/proc/sys/kernel/overflowuid`) no file belongs to this user and group.
const NOBODY: u32 = 65534;

/// The rights to files: user, groups, and the capabilities that matter.
///
/// They are never more than those of the process, as our user namespace sees it. What a security module, a seccomp
/// filter or Landlock takes from the process is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    /// Of root only.
    capabilities: u64,
}

impl Credentials {
    /// The rights that every user has.
    #[must_use]
    pub fn everybody() -> Credentials {
        Credentials {
            uid: NOBODY,
            gid: NOBODY,
            groups: Vec::new(),
            capabilities: 0,
        }
    }

    /// Those of this process; only root keeps capabilities.
    ///
    /// # Errors
    /// When the groups cannot be had.
    pub fn own() -> io::Result<Credentials> {
        let uid = geteuid().as_raw();
        Ok(Credentials {
            uid,
            gid: getegid().as_raw(),
            groups: sorted(getgroups()?.into_iter().map(|group| group.as_raw())),
            capabilities: if uid == 0 { FILE_CAPABILITIES } else { 0 },
        })
    }

    /// Those of a user of this machine with this group, and with those that the user is in.
    ///
    /// # Errors
    /// When the groups cannot be looked up.
    pub fn of_user(uid: u32, gid: u32) -> io::Result<Credentials> {
        let user = User::from_uid(Uid::from_raw(uid))?;
        let groups = match user {
            Some(user) => getgrouplist(&CString::new(user.name)?, Gid::from_raw(gid))?,
            None => Vec::new(),
        };
        Ok(Credentials {
            uid,
            gid,
            groups: sorted(groups.into_iter().map(|group| group.as_raw())),
            capabilities: 0,
        })
    }

    /// The user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether they are root's, with or without capabilities.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The rights that a process has which had these before, and has `now` by now; `None` when neither are the weaker
    /// ones: a process that is not root gets others only through a program that is set-user-id or set-group-id, and what
    /// it named before, that program did not name.
    #[must_use]
    pub fn weakest(&self, now: Credentials) -> Option<Credentials> {
        (self.is_root() || *self == now).then_some(now)
    }

    /// Gives this process these rights, and no others, for good.
    ///
    /// # Errors
    /// When it may not; it may have lost some of its own by then.
    pub fn take_on(&self) -> nix::Result<()> {
        let own = Credentials::own().ok();
        let is_own = own.is_some_and(|own| {
            (own.uid, own.gid, &own.groups) == (self.uid, self.gid, &self.groups)
        });
        if is_own {
            return sys::keep_capabilities(self.capabilities);
        }
        sys::change_credentials(self.uid, self.gid, &self.groups, self.capabilities)
    }
}

/// While this lives, the calling thread has the rights of another user to files, and the files that it makes are that
/// user's.
#[derive(Debug)]
pub struct ActingAs {
    own: Credentials,
    not_send: PhantomData<*const ()>,
}

impl ActingAs {
    /// Begins to act.
    ///
    /// # Errors
    /// `EPERM`: this process may not.
    pub fn begin(other: &Credentials) -> io::Result<ActingAs> {
        let own = Credentials::own()?;
        let acting = ActingAs {
            own,
            not_send: PhantomData,
        };
        sys::set_file_ids(other.uid, other.gid, &other.groups)?;
        Ok(acting)
    }
}

impl Drop for ActingAs {
    fn drop(&mut self) {
        // Root may; and if not, what is done next has too few rights, not too many.
        let _ = sys::set_file_ids(self.own.uid, self.own.gid, &self.own.groups);
    }
}

impl Process {
    /// The rights that the process has now, or had when it ended if nobody has waited for it yet; `None` where its user
    /// ids differ, or its group ids: it changes between users.
    ///
    /// # Errors
    /// [`ProcessError::NoSuchProcess`] when it is gone.
    pub fn credentials(&self) -> Result<Option<Credentials>, ProcessError> {
        let status = read_proc(self.pid(), "status")?;
        let own_namespace = user_namespace("self");
        let is_in_ours = own_namespace == user_namespace(&self.pid().to_string());
        // It was there until now: so what was read in between is its own.
        let is_this = self.is_alive()
            || read_stat(self.pid()).is_ok_and(|stat| stat.start_ticks == self.start_ticks());
        if !is_this {
            return Err(ProcessError::NoSuchProcess(self.pid()));
        }
        let found = parse(&status);
        Ok(found.map(|found| Credentials {
            // Those of another namespace count there only.
            capabilities: if is_in_ours { found.capabilities } else { 0 },
            ..found
        }))
    }
}

/// The user of a process that has this PID now; `None` where its user ids differ.
///
/// # Errors
/// [`ProcessError::NoSuchProcess`] when it is gone.
pub fn user_of(pid: Pid) -> Result<Option<u32>, ProcessError> {
    let status = read_proc(pid, "status")?;
    Ok(parse(&status).map(|found| found.uid))
}

/// What tells a user namespace from others; `None` for a process that ended.
fn user_namespace(process: &str) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/user")).ok()
}

fn parse(status: &[u8]) -> Option<Credentials> {
    let numbers = |key| {
        let words = status_field(status, key)?.split_ascii_whitespace();
        words
            .map(|word| word.parse().ok())
            .collect::<Option<Vec<u32>>>()
    };
    // Real, effective, saved, and that for files.
    let one = |ids: Vec<u32>| {
        let first = *ids.first()?;
        ids.iter().all(|id| *id == first).then_some(first)
    };
    let (uid, gid) = (one(numbers("Uid:")?)?, one(numbers("Gid:")?)?);
    let effective = u64::from_str_radix(status_field(status, "CapEff:")?, 16).ok()?;
    Some(Credentials {
        uid,
        gid,
        groups: sorted(numbers("Groups:")?),
        capabilities: if uid == 0 {
            effective & FILE_CAPABILITIES
        } else {
            0
        },
    })
}

fn sorted(groups: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut groups: Vec<u32> = groups.into_iter().collect();
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uids: &str, gids: &str, groups: &str, capabilities: &str) -> Option<Credentials> {
        let text = format!(
            "Name:\tx\nUid:\t{uids}\nGid:\t{gids}\nGroups:\t{groups} \nCapEff:\t{capabilities}\n"
        );
        parse(text.as_bytes())
    }

    fn credentials(uid: u32, gid: u32, groups: &[u32], capabilities: u64) -> Credentials {
        Credentials {
            uid,
            gid,
            groups: groups.to_vec(),
            capabilities,
        }
    }

    #[test]
    fn rights_are_read_from_the_status() {
        let all = "000001ffffffffff";
        let user = status("7 7 7 7", "8 8 8 8", "30 20", all);
        assert_eq!(user, Some(credentials(7, 8, &[20, 30], 0)));
        let root = status("0 0 0 0", "0 0 0 0", "", all);
        assert_eq!(root, Some(credentials(0, 0, &[], 6)));
        let weak_root = status("0 0 0 0", "0 0 0 0", "", "0000000000000000");
        assert_eq!(weak_root, Some(credentials(0, 0, &[], 0)));
    }

    #[test]
    fn a_process_that_changes_between_users_has_no_rights() {
        assert_eq!(status("7 0 0 0", "8 8 8 8", "", "0"), None);
        assert_eq!(status("7 7 7 7", "8 42 42 42", "", "0"), None);
        assert_eq!(parse(b"Name:\tx\n"), None);
    }

    #[test]
    fn rights_are_only_ever_lost() {
        let (root, user) = (credentials(0, 0, &[], 6), credentials(7, 8, &[20], 0));
        let other = credentials(7, 8, &[], 0);
        assert_eq!(root.weakest(user.clone()), Some(user.clone()));
        assert_eq!(root.weakest(root.clone()), Some(root.clone()));
        assert_eq!(user.weakest(user.clone()), Some(user.clone()));
        assert_eq!(user.weakest(root.clone()), None);
        assert_eq!(user.weakest(other), None);
    }
}
