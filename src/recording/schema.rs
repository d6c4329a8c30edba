//! The messages of `rsamp.proto` as structs; a test compares the two.
//!
//! What the fields mean stands in `rsamp.proto`, beside this file.

/// A block of the file.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Block {
    #[prost(message, optional, tag = "1")]
    pub header: Option<Header>,
    #[prost(string, repeated, tag = "2")]
    pub strings: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub processes: Vec<Process>,
    #[prost(message, repeated, tag = "4")]
    pub threads: Vec<Thread>,
    #[prost(uint32, repeated, tag = "5")]
    pub frame_name: Vec<u32>,
    #[prost(uint32, repeated, tag = "6")]
    pub frame_file: Vec<u32>,
    #[prost(uint64, repeated, tag = "7")]
    pub frame_first_line: Vec<u64>,
    #[prost(uint64, repeated, tag = "8")]
    pub frame_line: Vec<u64>,
    #[prost(uint32, repeated, tag = "9")]
    pub stack_parent: Vec<u32>,
    #[prost(uint32, repeated, tag = "10")]
    pub stack_frame: Vec<u32>,
    #[prost(uint64, tag = "11")]
    pub unit_ns: u64,
    #[prost(uint64, repeated, tag = "12")]
    pub sample_at: Vec<u64>,
    #[prost(uint32, repeated, tag = "13")]
    pub sample_thread: Vec<u32>,
    #[prost(uint32, repeated, tag = "14")]
    pub sample_stack: Vec<u32>,
    #[prost(uint32, repeated, tag = "15")]
    pub sample_ticks: Vec<u32>,
    #[prost(sint64, repeated, tag = "16")]
    pub sample_wall: Vec<i64>,
    #[prost(uint64, repeated, tag = "17")]
    pub sample_cpu: Vec<u64>,
    #[prost(uint64, repeated, tag = "18")]
    pub sample_gil: Vec<u64>,
    #[prost(message, repeated, tag = "19")]
    pub lost: Vec<Loss>,
    #[prost(message, repeated, tag = "20")]
    pub repeated: Vec<Repeated>,
    #[prost(uint64, tag = "21")]
    pub stops: u64,
    #[prost(message, repeated, tag = "22")]
    pub sources: Vec<Source>,
    #[prost(uint64, optional, tag = "23")]
    pub end_ns: Option<u64>,
    #[prost(uint64, repeated, tag = "24")]
    pub sampled_stacks: Vec<u64>,
    #[prost(message, repeated, tag = "25")]
    pub rates: Vec<RateSpan>,
    #[prost(uint32, repeated, tag = "26")]
    pub sample_state: Vec<u32>,
    #[prost(uint64, repeated, tag = "27")]
    pub sample_helpers_cpu_ns: Vec<u64>,
    #[prost(uint64, repeated, tag = "28")]
    pub sample_blocked_others_ns: Vec<u64>,
    #[prost(uint64, repeated, tag = "29")]
    pub sample_grown_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "30")]
    pub sample_shrunk_bytes: Vec<u64>,
    #[prost(message, repeated, tag = "31")]
    pub usage: Vec<Usage>,
    #[prost(uint64, tag = "32")]
    pub skipped_processes: u64,
    #[prost(message, repeated, tag = "33")]
    pub missing: Vec<Missing>,
    #[prost(uint32, repeated, tag = "34")]
    pub changed_files: Vec<u32>,
    #[prost(uint64, repeated, tag = "35")]
    pub sample_unsure_bytes: Vec<u64>,
    #[prost(uint32, repeated, tag = "36")]
    pub frame_kind: Vec<u32>,
    #[prost(uint32, repeated, tag = "37")]
    pub native_module: Vec<u32>,
    #[prost(uint64, repeated, tag = "38")]
    pub native_offset: Vec<u64>,
    #[prost(uint32, repeated, tag = "39")]
    pub native_inlined: Vec<u32>,
    #[prost(message, repeated, tag = "40")]
    pub attributes: Vec<Attributes>,
    #[prost(uint32, repeated, tag = "41")]
    pub sample_attributes: Vec<u32>,
    #[prost(uint32, repeated, tag = "42")]
    pub native_build_id: Vec<u32>,
    #[prost(uint64, repeated, tag = "43")]
    pub refined_at_ns: Vec<u64>,
    #[prost(uint32, repeated, tag = "44")]
    pub refined_thread: Vec<u32>,
    #[prost(uint64, repeated, tag = "45")]
    pub refined_stack: Vec<u64>,
    #[prost(uint32, repeated, tag = "46")]
    pub refined_state: Vec<u32>,
    #[prost(uint32, repeated, tag = "47")]
    pub refined_merged: Vec<u32>,
    #[prost(uint64, repeated, tag = "48")]
    pub refined_wall_ns: Vec<u64>,
    #[prost(uint64, repeated, tag = "49")]
    pub refined_cpu_ns: Vec<u64>,
    #[prost(uint32, repeated, tag = "50")]
    pub named_frame: Vec<u32>,
    #[prost(uint32, repeated, tag = "51")]
    pub named_functions: Vec<u32>,
    #[prost(uint32, repeated, tag = "52")]
    pub function_name: Vec<u32>,
    #[prost(uint32, repeated, tag = "53")]
    pub function_file: Vec<u32>,
    #[prost(uint64, repeated, tag = "54")]
    pub function_first_line: Vec<u64>,
    #[prost(uint64, repeated, tag = "55")]
    pub function_line: Vec<u64>,
    #[prost(uint32, repeated, tag = "56")]
    pub function_module: Vec<u32>,
    #[prost(uint32, repeated, tag = "57")]
    pub function_build_id: Vec<u32>,
    #[prost(uint64, repeated, tag = "58")]
    pub function_offset: Vec<u64>,
    #[prost(uint32, repeated, tag = "59")]
    pub function_inlined: Vec<u32>,
    #[prost(message, repeated, tag = "70")]
    pub awaited: Vec<Awaited>,
}

/// What is known of a recording before its first sample.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Header {
    /// The command that was recorded, word by word.
    #[prost(string, repeated, tag = "1")]
    pub command: Vec<String>,
    /// The folder in which it was started.
    #[prost(string, tag = "2")]
    pub working_folder: String,
    /// The name of the machine.
    #[prost(string, tag = "3")]
    pub host: String,
    /// The name of the user who recorded.
    #[prost(string, tag = "4")]
    pub user: String,
    /// The version of rsamp, as `0.1.0`.
    #[prost(string, tag = "5")]
    pub rsamp: String,
    /// rsamp's own words on the command line, up to the command.
    #[prost(string, repeated, tag = "6")]
    pub options: Vec<String>,
    /// When the recording started, in nanoseconds since 1970 (UTC).
    #[prost(uint64, tag = "7")]
    pub start_unix_ns: u64,
    /// What measures the times: `CLOCK_MONOTONIC`, as clock_gettime(2) names it.
    #[prost(string, tag = "8")]
    pub clock: String,
    /// How many CPUs the machine has.
    #[prost(uint32, tag = "9")]
    pub cpus: u32,
    /// Samples per second and thread that were asked for; 0 for `auto`.
    #[prost(double, tag = "10")]
    pub rate_hz: f64,
    /// The variables of the environment that were asked for and set.
    #[prost(message, repeated, tag = "11")]
    pub environment: Vec<Variable>,
}

/// A variable of the environment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Variable {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A process.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Process {
    #[prost(int32, tag = "1")]
    pub pid: i32,
    #[prost(string, repeated, tag = "2")]
    pub command: Vec<String>,
    #[prost(string, tag = "3")]
    pub python: String,
    #[prost(string, tag = "4")]
    pub executable: String,
    #[prost(uint64, tag = "5")]
    pub seen_ns: u64,
    #[prost(uint32, tag = "6")]
    pub parent: u32,
    #[prost(uint32, optional, tag = "7")]
    pub rank: Option<u32>,
    #[prost(string, optional, tag = "8")]
    pub host: Option<String>,
    #[prost(uint32, optional, tag = "9")]
    pub usable_cpus: Option<u32>,
    #[prost(uint64, optional, tag = "10")]
    pub memory_limit: Option<u64>,
    #[prost(string, optional, tag = "11")]
    pub launch: Option<String>,
    #[prost(uint64, repeated, tag = "12")]
    pub cpu_mask: Vec<u64>,
    #[prost(uint32, optional, tag = "13")]
    pub cpu_quota: Option<u32>,
    #[prost(string, optional, tag = "14")]
    pub recording: Option<String>,
    #[prost(string, optional, tag = "15")]
    pub working_folder: Option<String>,
}

/// What the kernel counted of a process.
#[derive(Clone, Copy, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Usage {
    #[prost(uint32, tag = "1")]
    pub process: u32,
    #[prost(uint64, tag = "2")]
    pub at_ns: u64,
    #[prost(uint64, optional, tag = "3")]
    pub resident: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub peak: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub anonymous: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub cpu_ns: Option<u64>,
    #[prost(uint32, optional, tag = "7")]
    pub runnable: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    pub read_calls_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "9")]
    pub write_calls_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "10")]
    pub storage_read_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    pub storage_written_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "12")]
    pub minor_faults: Option<u64>,
    #[prost(uint64, optional, tag = "13")]
    pub major_faults: Option<u64>,
    #[prost(uint64, optional, tag = "14")]
    pub voluntary_switches: Option<u64>,
    #[prost(uint64, optional, tag = "15")]
    pub forced_switches: Option<u64>,
}

/// How many asyncio tasks of a process waited at one await.
#[derive(Clone, Copy, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Awaited {
    #[prost(uint32, tag = "1")]
    pub process: u32,
    #[prost(uint64, tag = "2")]
    pub at_ns: u64,
    #[prost(uint64, tag = "3")]
    pub stack: u64,
    #[prost(uint32, tag = "4")]
    pub tasks: u32,
    #[prost(uint64, tag = "5")]
    pub since_ns: u64,
}

/// What could not be measured of a process.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Missing {
    #[prost(uint32, tag = "1")]
    pub process: u32,
    #[prost(string, tag = "2")]
    pub what: String,
    #[prost(string, tag = "3")]
    pub why: String,
}

/// A thread.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Thread {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(uint32, tag = "2")]
    pub process: u32,
    #[prost(int32, optional, tag = "3")]
    pub tid: Option<i32>,
    #[prost(string, optional, tag = "4")]
    pub name: Option<String>,
    #[prost(bool, tag = "5")]
    pub is_main: bool,
}

/// A set of attributes.
#[derive(Clone, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Attributes {
    #[prost(uint32, repeated, tag = "1")]
    pub attribute: Vec<u32>,
    #[prost(uint32, repeated, tag = "2")]
    pub value: Vec<u32>,
}

/// How much was lost around one moment by one cause.
#[derive(Clone, Copy, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Loss {
    #[prost(uint32, tag = "1")]
    pub cause: u32,
    #[prost(uint64, tag = "2")]
    pub count: u64,
    #[prost(uint64, tag = "3")]
    pub at_ns: u64,
}

/// How many readings were repeated by one cause.
#[derive(Clone, Copy, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct Repeated {
    #[prost(uint32, tag = "1")]
    pub cause: u32,
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// A rate, and for how long.
#[derive(Clone, Copy, PartialEq, prost::Message)]
#[allow(missing_docs)]
pub struct RateSpan {
    #[prost(uint64, tag = "1")]
    pub millihertz: u64,
    #[prost(uint64, tag = "2")]
    pub time_ns: u64,
    #[prost(uint64, tag = "3")]
    pub ticks: u64,
    #[prost(uint64, tag = "4")]
    pub own_cpu_ns: u64,
}

/// Source text of a function that was seen.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Source {
    /// The file: an index into the strings of the recording.
    #[prost(uint32, tag = "1")]
    pub file: u32,
    /// The number of the text's first line.
    #[prost(uint32, tag = "2")]
    pub first_line: u32,
    /// The lines.
    #[prost(string, tag = "3")]
    pub text: String,
}
