//! Turns what is sampled between two keys into a recording.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::export::Drawing;
use crate::process::Pid;
use crate::recording::{Care, ProcessFiles, Recorder};
use crate::run::header::{self, Asked};
use crate::run::outputs::{Growing, Kind, Outcome, OutputError, Plan};
use crate::run::pipeline::finish;
use crate::run::request::{Files, Outputs, Shown};
use crate::run::sources::SourceFiles;

/// What is recorded, and who may read it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The process, or the first of a job's.
    pub pid: Pid,
    /// The others of the job on this node.
    pub beside: Vec<Pid>,
    /// NAME of `NAME-PID.rsamp`.
    pub name: String,
    /// What the header tells.
    pub asked: Asked,
    /// Whether the process is another user's: then the file is for its owner only.
    pub is_foreign: bool,
}

impl Subject {
    /// A plan of one file of this kind in the current folder, which overwrites none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn plan(&self, kind: Kind) -> Result<Plan, OutputError> {
        let outputs = Outputs {
            files: Files::Default(vec![kind]),
            drawing: Drawing::default(),
            shown: Shown::default(),
            force: false,
            scratch: false,
        };
        let plan = Plan::check(&outputs, &self.name, Some(self.pid))?;
        Ok(plan.private(self.is_foreign))
    }
}

/// Where a recording goes.
#[derive(Debug)]
pub(super) struct Target {
    plan: Plan,
    growing: Growing,
}

impl Target {
    /// Starts what writes a recording of `subject`, with the source text in `files`.
    ///
    /// # Errors
    /// When it cannot be written, or no thread can be started.
    pub fn start(
        subject: &Subject,
        files: &Arc<SourceFiles>,
    ) -> Result<(Target, Recorder), OutputError> {
        let mut plan = subject.plan(Kind::Recording)?;
        let mut places = plan.choose_names(subject.pid);
        let growing = Growing::at(places.swap_remove(0));
        let open = plan.opener(&growing);
        let (asked, pid) = (subject.asked.clone(), subject.pid);
        let recorder = Recorder::start(
            Box::new(move || Ok((open()?, header::header(&asked, pid)))),
            Arc::clone(files) as Arc<dyn ProcessFiles>,
            Care {
                spare: Some(plan.spare(&growing.destination)),
                limit: None,
            },
        );
        let path = growing.destination.path.clone();
        let recorder = recorder.map_err(|source| OutputError::Refused { path, source })?;
        Ok((Target { plan, growing }, recorder))
    }

    /// Where.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.growing.destination.path.clone()
    }

    /// Writes what is left, on a thread of its own: source files are waited for.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn finish(self, recorder: Recorder) -> io::Result<JoinHandle<Outcome>> {
        let Target { plan, growing } = self;
        let name = "finisher".to_owned();
        thread::Builder::new().name(name).spawn(move || {
            let outcome = finish(&growing.destination, Ok(recorder));
            plan.deliver(growing, outcome)
        })
    }
}
