//! Turns a job of a batch system into its processes on all its nodes, and what is asked of them into a command on each.

mod members;
pub(crate) mod relay;
pub(crate) mod slurm;

pub use members::{Member, Top, members, members_of, tops};
pub use slurm::{Job, JobName, SlurmError};
