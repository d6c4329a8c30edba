//! Turns [`Args`](super::args::Args) as typed into requests that can be carried out; touches nothing outside.

mod attach;
mod diff;
mod dump;
mod error;
mod filters;
mod job;
mod outputs;
mod record;
mod report;
mod sampling;
mod top;

#[cfg(test)]
mod tests;

pub use attach::attach;
pub use diff::{Diff, diff};
pub use dump::{Dump, DumpForm, Dumped, dump};
pub use error::RequestError;
pub use job::{DumpJob, NATIVE, OnNode, OnNodeWork, TASKS, attach_job, dump_job, on_node};
pub use record::record;
pub use report::{Report, report};
pub use top::{Top, TopForm, TopTarget, top};
