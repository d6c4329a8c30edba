//! Turns the options of a launcher into how many words each takes, from the launchers' documented lists.

/// How many words an option takes besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// None; a value that may be given stands behind `=` in the same word.
    None,
    /// One.
    One,
    /// Two: a name and its value.
    Two,
    /// `NAME VALUE`, or `NAME=VALUE`.
    Pair,
    /// One: a file that lists the programs.
    ProgramFile,
    /// None; the program is a file that lists the programs.
    ProgramIsFile,
}

/// How a launcher reads its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As getopt_long(3): `-n4`, `-lu`, `--nodes=2`, `--nodes 2`, and long names may be cut short.
    Getopt,
    /// One or two dashes before any name, and no letters together: `-np 4`, `--np 4`.
    AnyDashes,
}

/// The options of a launcher, by how many words they take; names without dashes, with spaces between.
#[derive(Debug)]
pub struct Options {
    /// How they are read.
    pub style: Style,
    none: &'static str,
    one: &'static str,
    others: &'static [(Values, &'static str)],
}

/// srun(1) of Slurm 17.11 to 26.05.
pub const SRUN: Options = Options {
    style: Style::Getopt,
    none: "? h H l O s E Q u v V X Z async consolidate-segments contiguous debugger-test disable-status exact help \
           hold interactive label no-allocate overcommit oversubscribe parsable preserve-env quiet \
           quit-on-interrupt reboot share spread-job spread-segments stepmgr test-only unbuffered usage \
           use-min-nodes verbose version wait-for-children whole \
           I K k bcast compress exclusive external-launcher immediate kill-on-bad-exit nice no-kill \
           oom-kill-step overlap propagate pty resv-ports send-libs x11",
    one: "A b D M C S c d m e x B G i J L T F w N n o p q r t W P U R \
          accel-bind account acctg-freq autocomplete bb bbf bcast-exclude begin chdir checkpoint checkpoint-dir \
          cluster cluster-constraint clusters comment constraint container container-id context core-spec \
          cores-per-socket cpu-bind cpu-freq cpu_bind cpus-per-gpu cpus-per-task deadline delay-boot dependency \
          distribution epilog error exclude export extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node \
          gpus-per-socket gpus-per-task gres gres-flags het-group hint ignore-signals input job-name jobid \
          launcher-opts licenses mail-type mail-user mcs-label mem mem-bind mem_bind mem-per-cpu mem-per-gpu \
          mem-update mincpus mpi msg-timeout network nodefile nodelist nodes ntasks ntasks-per-core \
          ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output pack-group \
          partition power prefer priority profile prolog qos ramdisk-image relative reservation resources \
          restart-dir runtime segment signal slurmd-debug sockets-per-node switches task-epilog task-prolog \
          tasks-per-node thread-spec threads threads-per-core time time-min tmp treewidth tres-bind \
          tres-per-task uid wait wckey",
    others: &[(Values::ProgramIsFile, "multi-prog")],
};

/// sbatch(1) of Slurm 17.11 to 26.05.
pub const SBATCH: Options = Options {
    style: Style::Getopt,
    none: "? h H O s Q v V W consolidate-segments contiguous external get-user-env help hold ignore-pbs no-requeue \
           overcommit oversubscribe parsable quiet reboot requeue share spread-job spread-segments stepmgr \
           test-only usage use-min-nodes verbose version wait \
           k exclusive nice no-kill oom-kill-step propagate resv-ports x11",
    one: "A a b D M C S c d m e x B G i J L F w N n o p q t P U R \
          account acctg-freq array autocomplete batch bb bbf begin chdir checkpoint checkpoint-dir \
          cluster-constraint clusters comment constraint container container-id context core-spec \
          cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error \
          exclude export export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node \
          gpus-per-socket gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type \
          mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mem-update mincpus network nodefile nodelist \
          nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode \
          output partition power prefer priority profile qos reservation resources runtime segment signal \
          sockets-per-node switches tasks-per-node thread-spec threads-per-core time time-min tmp tres-bind \
          tres-per-task uid wait-all-nodes wckey wrap",
    others: &[],
};

/// `mpirun` and `mpiexec` of Open MPI 4 (mpirun(1)) and 5 (PRRTE's options), of MPICH's Hydra (`mpiexec -help`), of
/// Intel MPI (its Developer Reference) and of PALS (mpiexec(1)). What takes different words in two of them is
/// left out: `-s`, `-d`, `-tune`, `-dvm`, `-display-topo`.
pub const MPIRUN: Options = Options {
    style: Style::AnyDashes,
    none: "h help V version v verbose q quiet p parseable parsable l label \
           allow-run-as-root bind-to-core bind-to-socket bycore bynode byslot continuous debug debug-daemons \
           debug-daemons-file debug-devel disable-recovery display-allocation display-comm \
           display-comm-finalize display-devel-allocation display-devel-map display-diffable-map display-map \
           do-not-launch do-not-resolve enable-instant-on-support enable-recovery fwd-environment \
           fwd-mpirun-port get-stack-traces hetero-nodes index-argv-by-rank leave-session-attached \
           merge-stderr-to-stdout no-aggregate-help no-app-prefix nolocal nooversubscribe noprefix novm \
           output-proctable oversubscribe pernode preload-binary report-bindings report-child-jobs-separately \
           report-state-on-timeout set-cwd-to-session-dir show-progress soft stop-on-exec stop-in-init \
           stop-in-app tag-output timestamp-output tv uniform-nodes use-hwthread-cpus use-regexp xml \
           genvall genvnone envall envnone prepend-rank profile enable-x disable-x disable-auto-cleanup \
           enable-auto-cleanup disable-hostname-propagation enable-hostname-propagation hybrid-hosts info \
           print-all-exitcodes skip-launch-node \
           cleanup check_mpi gdb ilp64 ordered-output print-rank-map rr silent-abort trace \
           line-buffer exclusive no-transfer transfer abort-on-failure no-abort-on-failure",
    one: "n np c N H host hosts hostfile machinefile default-hostfile x am amca bind-to rank-by map-by mapby rankby bindto \
          add-host add-hostfile app-prefix arch cartofile cf cpu-list cpu-set cpus-per-proc cpus-per-rank \
          debugger display file forward-signals gpu-support hnp initial-errhandler launch-agent max-restarts \
          max-vm-size memory-alloc-kinds npernode npersocket ompi-server output output-directory output-filename \
          path personality ppr prefix preload-files pset rankfile report-events report-pid report-uri rf rtos \
          spawn-timeout stdin stream-buffering timeout tmpdir wd wdir with-ft xml-file xterm \
          f g machine machines machinelist hostlist rankmap ppn output-from prepend-pattern outfile-pattern \
          errfile-pattern outfile errfile genvlist envlist launcher launcher-exec bootstrap bootstrap-exec rmk \
          topolib binding membind demux gpus-per-proc gpu-subdevs-per-proc iface localhost nameserver \
          order-nodes pmi-port usize \
          perhost grr hosts-group hostos branch-count umask gtool gtoolfile use-app-topology \
          depth cpu-bind mem-bind gpu-bind pmi procinfo e",
    others: &[
        (
            Values::Two,
            "mca gmca omca gomca prtemca gprtemca pmixmca gpmixmca",
        ),
        (Values::Pair, "env genv"),
        (Values::ProgramFile, "app configfile"),
    ],
};

/// aprun(1) of Cray's ALPS and of PALS.
pub const APRUN: Options = Options {
    style: Style::AnyDashes,
    none: "b B C h q ss T v V bypass-app-transfer batch-args reconnect quiet silent strict-memory-containment sync-output \
           help version verbose",
    one: "a cc cp d D e E F j L m M n N p P r R S sl sn t arch cpu-binding cpu-binding-file depth debug \
          environment-override access-mode cpus-per-cu node-list memory-per-pe pes pes-per-node \
          protection-domain pipes specialized-cpu relaunch pes-per-numa-node numa-node-list \
          numa-nodes-per-node cpu-time-limit cpus-per-pe",
    others: &[],
};

/// jsrun(1) of IBM's Job Step Manager 10.
pub const JSRUN: Options = Options {
    style: Style::Getopt,
    none: "i V v ? immediate version verbose help usage",
    one: "a b c d D e E F g h K k l L m M n o p P r S t T U X Z \
          tasks_per_rs bind cpu_per_rs launch_distribution env_eval stdio_mode env gpu_per_rs chdir rs_per_socket \
          stdio_stderr latency_priority launch_node_task memory_per_rs smpiargs nrs stdio_stdout np rs_per_host \
          save_resources stdio_input tasks_per_socket use_resources exit_on_error bind_tasks pre_post_exec \
          use_spindle progress",
    others: &[(Values::ProgramFile, "f appfile A erf_input")],
};

/// `torch.distributed.run` and `torch.distributed.launch` of PyTorch 1.9 to 2.9 (their argparse parsers).
pub const TORCHRUN: Options = Options {
    style: Style::Getopt,
    none: "h m help standalone module no-python no_python run-path run_path use-env use_env",
    one: "r t nnodes nproc-per-node nproc_per_node rdzv-backend rdzv_backend rdzv-endpoint rdzv_endpoint rdzv-id rdzv_id \
          rdzv-conf rdzv_conf max-restarts max_restarts monitor-interval monitor_interval start-method \
          start_method event-log-handler event_log_handler role log-dir log_dir redirects tee \
          local-ranks-filter local_ranks_filter node-rank node_rank master-addr master_addr master-port \
          master_port local-addr local_addr logs-specs logs_specs numa-binding numa_binding \
          signals-to-handle signals_to_handle duplicate-stdout-filters duplicate_stdout_filters \
          duplicate-stderr-filters duplicate_stderr_filters virtual-local-rank virtual_local_rank",
    others: &[],
};

/// An option at the head of some words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// How many words it is, its values included.
    pub words: usize,
    /// What it takes.
    pub values: Values,
}

impl Options {
    /// Reads the option that `words` begin with; `None` when it is unknown.
    #[must_use]
    pub fn read(&self, words: &[&str]) -> Option<Read> {
        let (word, rest) = words.split_first()?;
        let values = match (self.style, word.strip_prefix("--")) {
            (Style::Getopt, None) => return self.read_letters(word),
            (_, Some(name)) => name,
            (Style::AnyDashes, None) => word.strip_prefix('-')?,
        };
        let attached = Read {
            words: 1,
            values: Values::None,
        };
        if let Some((name, _)) = values.split_once('=') {
            // Known or not, it is one word.
            let values = self.values(name).unwrap_or(Values::None);
            return Some(Read { values, ..attached });
        }
        let Some(values) = self.values(values) else {
            return self.read_number(word).then_some(attached);
        };
        let more = match values {
            Values::None | Values::ProgramIsFile => 0,
            Values::One | Values::ProgramFile => 1,
            Values::Two => 2,
            Values::Pair if rest.first().is_some_and(|word| word.contains('=')) => 1,
            Values::Pair => 2,
        };
        Some(Read {
            words: 1 + more,
            values,
        })
    }

    /// `-lu`, `-n4`, `-n 4`
    fn read_letters(&self, word: &str) -> Option<Read> {
        let letters = word.strip_prefix('-')?;
        for (at, letter) in letters.char_indices() {
            let is_last = at + letter.len_utf8() == letters.len();
            match self.exactly(&letters[at..at + letter.len_utf8()])? {
                values @ (Values::One | Values::ProgramFile) => {
                    let words = 1 + usize::from(is_last);
                    return Some(Read { words, values });
                }
                // The optional value of `-K0` and `-k0` is the rest of the word.
                Values::None if "IKk".contains(letter) => break,
                _ => {}
            }
        }
        Some(Read {
            words: 1,
            values: Values::None,
        })
    }

    /// `-n4`
    fn read_number(&self, word: &str) -> bool {
        let Some(letters) = word.strip_prefix('-').filter(|letters| letters.is_ascii()) else {
            return false;
        };
        let (letter, number) = letters.split_at(letters.len().min(1));
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        is_number && self.exactly(letter) == Some(Values::One)
    }

    /// What the option of this name takes, which getopt lets be cut short.
    fn values(&self, name: &str) -> Option<Values> {
        if name.is_empty() || (self.style == Style::Getopt && name.chars().count() == 1) {
            return None;
        }
        if let Some(values) = self.exactly(name) {
            return Some(values);
        }
        if self.style != Style::Getopt {
            return None;
        }
        let mut begun = self.all().filter(|(known, _)| known.starts_with(name));
        let (_, values) = begun.next()?;
        begun.all(|(_, other)| other == values).then_some(values)
    }

    fn exactly(&self, name: &str) -> Option<Values> {
        let found = self.all().find(|(known, _)| *known == name);
        found.map(|(_, values)| values)
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, Values)> {
        let lists = [(Values::None, self.none), (Values::One, self.one)];
        let lists = lists.into_iter().chain(self.others.iter().copied());
        lists.flat_map(|(values, names)| names.split_whitespace().map(move |name| (name, values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects how many words the first option is; `None`: unknown.
    fn check(options: &Options, line: &str, expected: Option<usize>) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(
            options.read(&words).map(|read| read.words),
            expected,
            "{line}"
        );
    }

    #[test]
    fn options_take_the_words_that_they_take() {
        for (line, expected) in [
            ("-n 4 x", Some(2)),
            ("-n4 x", Some(1)),
            ("--ntasks=4 x", Some(1)),
            ("--ntasks 4 x", Some(2)),
            ("--nta 4 x", Some(2)),
            ("--no 4 x", None),
            ("--cpus-per-t 4 x", Some(2)),
            ("--unbuff x", Some(1)),
            ("-lu x", Some(1)),
            ("-ln 4 x", Some(2)),
            ("-ln4 x", Some(1)),
            ("-K0 x", Some(1)),
            ("-K x", Some(1)),
            ("--exclusive x", Some(1)),
            ("--exclusive=user x", Some(1)),
            ("--container-image=py.sqsh x", Some(1)),
            ("--no-such-option x", None),
            ("-y x", None),
            ("--n 4", None),
        ] {
            check(&SRUN, line, expected);
        }
        for (line, expected) in [
            ("-np 4 x", Some(2)),
            ("--np 4 x", Some(2)),
            ("-n4 x", Some(1)),
            ("--mca btl tcp,self x", Some(3)),
            ("-x FOO=1 x", Some(2)),
            ("-env A B x", Some(3)),
            ("--env A=B x", Some(2)),
            ("--oversubscribe x", Some(1)),
            ("--map-by=node x", Some(1)),
            ("-s x", None),
            ("--no-such-option x", None),
            ("- x", None),
        ] {
            check(&MPIRUN, line, expected);
        }
        check(&APRUN, "-cc depth x", Some(2));
        check(&APRUN, "-n24 x", Some(1));
        check(&JSRUN, "-n4 x", Some(1));
        check(&JSRUN, "--smpiargs off x", Some(2));
        check(&TORCHRUN, "--nproc_per_node 4 x", Some(2));
        check(&TORCHRUN, "--nproc-per-node=4 x", Some(1));
        check(&TORCHRUN, "--standalone x", Some(1));
        check(&TORCHRUN, "--nnodes 2 x", Some(2));
    }

    #[test]
    fn no_option_is_listed_twice() {
        for options in [&SRUN, &SBATCH, &MPIRUN, &APRUN, &JSRUN, &TORCHRUN] {
            let mut names: Vec<&str> = options.all().map(|(name, _)| name).collect();
            names.sort_unstable();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(twice, None);
        }
    }
}
