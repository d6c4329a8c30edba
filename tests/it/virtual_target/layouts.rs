//! Turns a CPython version into where its structs have what a virtual target writes, and into what it does when.
//!
//! The offsets come from a C program with `offsetof` on the headers of each version, apart from
//! `src/cpython/layout`: where the two disagree, no share is right.

/// All versions, the oldest first.
pub const ALL: [&Python; 10] = [
    &V3_6, &V3_7, &V3_8, &V3_9, &V3_10, &V3_11, &V3_12, &V3_13, &V3_14, &V3_15,
];

/// One version. Offsets are in bytes from the start of the struct that the comment names.
#[derive(Debug)]
pub struct Python {
    /// `PY_VERSION_HEX`.
    pub hex: u32,
    /// What `_PyRuntime` starts with from 3.13 on, copied from a running interpreter.
    pub runtime_start: &'static [u8],
    /// `_PyRuntimeState` (3.6: the variable `interp_head`): `interpreters.head`.
    pub interpreters: u64,
    /// `_PyRuntimeState`, 3.7 to 3.11: `gilstate.tstate_current`.
    pub current_thread: Option<u64>,
    /// `_PyRuntimeState`, 3.7 to 3.11: `ceval.gil.last_holder`; `locked` and `switch_number` are the next two words.
    pub last_holder: Option<u64>,
    /// `PyInterpreterState`: `threads.head` or `tstate_head`.
    pub threads: u64,
    /// `PyInterpreterState`, from 3.12 on: `ceval.gil`, a pointer. `last_holder` is the second word there.
    pub gil: Option<u64>,
    /// `PyThreadState`: `frame`, `cframe` or `current_frame`.
    pub frame: u64,
    /// `PyThreadState`: `thread_id`, `native_thread_id`.
    pub ident: u64,
    pub native: Option<u64>,
    /// `_PyCFrame`, 3.11 and 3.12: `current_frame`, `previous`, its size.
    pub cframe: Option<(u64, u64, u64)>,
    pub frames: Frames,
    pub code: Code,
    /// `sizeof(PyASCIIObject)`.
    pub str_size: usize,
}

/// How frames are kept.
#[derive(Debug)]
pub enum Frames {
    /// Up to 3.10.
    Objects(ObjectFrames),
    /// From 3.11 on.
    DataStack(StackFrames),
}

/// `PyFrameObject`, and `PyGenObject` around it.
#[derive(Debug)]
pub struct ObjectFrames {
    /// `f_lasti`.
    pub instruction: u64,
    /// `f_executing` (up to 3.9), `f_state` (3.10).
    pub state: u64,
    /// What these are before the first instruction, executing, suspended and in the end.
    pub created: i8,
    pub executing: i8,
    pub suspended: i8,
    pub over: i8,
    /// `f_localsplus`.
    pub locals: u64,
    /// `PyCodeObject`: `co_zombieframe`.
    pub zombie: u64,
}

/// `f_back`, `f_code`, `f_valuestack` in `PyFrameObject`, the same from 3.6 to 3.10; `gi_frame` in `PyGenObject`.
pub const BACK: u64 = 24;
pub const FRAME_CODE: u64 = 32;
pub const GENERATOR_FRAME: u64 = 16;

/// `_PyInterpreterFrame`, and `PyGenObject` around it.
#[derive(Debug)]
pub struct StackFrames {
    /// `PyThreadState`: `datastack_chunk`; `datastack_top` and `datastack_limit` are the next two words.
    pub chunk: u64,
    pub code: u64,
    pub previous: u64,
    pub function: u64,
    pub instruction: u64,
    /// `stacktop`, 3.11 to 3.13.
    pub stacktop: Option<u64>,
    /// `stackpointer`, from 3.14 on.
    pub stackpointer: Option<u64>,
    /// `return_offset`, from 3.12 on.
    pub return_offset: Option<u64>,
    /// `is_entry`, 3.11.
    pub is_entry: Option<u64>,
    pub owner: u64,
    pub locals: u64,
    /// `PyGenObject`: `gi_iframe`, `gi_frame_state`.
    pub generator_frame: u64,
    pub generator_state: u64,
    /// `FRAME_CREATED`, `FRAME_SUSPENDED`, `FRAME_EXECUTING`, `FRAME_CLEARED`.
    pub states: [i8; 4],
    /// The owner of an entry frame on the C stack, from 3.12 on.
    pub entry_owner: Option<u8>,
    /// Whether `for` and `await` run a generator in the same loop, from 3.12 on.
    pub inlines_generators: bool,
    /// Whether `stacktop` becomes 0 when the variables are freed (3.13).
    pub clears_stacktop: bool,
    /// Whether references in frames are tagged, and gone after a return: from 3.14 on.
    pub has_tagged_references: bool,
    /// Whether a frame that belongs to no function comes before all others (3.15).
    pub has_base_frame: bool,
}

/// `PyCodeObject`.
#[derive(Debug)]
pub struct Code {
    pub first_line: u64,
    pub filename: u64,
    pub name: u64,
    pub qualname: Option<u64>,
    pub line_table: u64,
    pub stack_size: u64,
    /// `co_nlocalsplus`, `co_framesize`, `co_code_adaptive`.
    pub variables: Option<u64>,
    pub frame_size: Option<u64>,
    pub start: Option<u64>,
    pub flags: u64,
    pub size: usize,
}

const CODE_3_6: Code = Code {
    first_line: 36,
    filename: 96,
    name: 104,
    qualname: None,
    line_table: 112,
    stack_size: 28,
    variables: None,
    frame_size: None,
    start: None,
    flags: 32,
    size: 144,
};

const CODE_3_8: Code = Code {
    first_line: 40,
    filename: 104,
    name: 112,
    qualname: None,
    line_table: 120,
    stack_size: 32,
    variables: None,
    frame_size: None,
    start: None,
    flags: 36,
    size: 176,
};

const CODE_3_13: Code = Code {
    first_line: 68,
    filename: 112,
    name: 120,
    qualname: Some(128),
    line_table: 136,
    stack_size: 64,
    variables: Some(72),
    frame_size: Some(76),
    start: Some(200),
    flags: 48,
    size: 208,
};

const OBJECTS_3_9: ObjectFrames = ObjectFrames {
    instruction: 104,
    state: 116,
    created: 0,
    executing: 1,
    suspended: 0,
    over: 0,
    locals: 360,
    zombie: 128,
};

const STACK_3_13: StackFrames = StackFrames {
    chunk: 232,
    code: 0,
    previous: 8,
    function: 16,
    instruction: 56,
    stacktop: Some(64),
    stackpointer: None,
    return_offset: Some(68),
    is_entry: None,
    owner: 70,
    locals: 72,
    generator_frame: 72,
    generator_state: 67,
    states: [-3, -2, 0, 4],
    entry_owner: Some(3),
    inlines_generators: true,
    clears_stacktop: true,
    has_tagged_references: false,
    has_base_frame: false,
};

/// Python 3.9.18.
pub const V3_9: Python = Python {
    hex: 0x0309_12f0,
    runtime_start: &[],
    interpreters: 32,
    current_thread: Some(568),
    last_holder: Some(360),
    threads: 8,
    gil: None,
    frame: 24,
    ident: 176,
    native: None,
    cframe: None,
    frames: Frames::Objects(OBJECTS_3_9),
    code: CODE_3_8,
    str_size: 48,
};

/// Python 3.6.15.
pub const V3_6: Python = Python {
    hex: 0x0306_0ff0,
    interpreters: 0,
    current_thread: None,
    last_holder: None,
    ident: 152,
    frames: Frames::Objects(ObjectFrames {
        instruction: 120,
        state: 132,
        locals: 376,
        zombie: 120,
        ..OBJECTS_3_9
    }),
    code: CODE_3_6,
    ..V3_9
};

/// Python 3.7.16.
pub const V3_7: Python = Python {
    hex: 0x0307_10f0,
    interpreters: 24,
    current_thread: Some(1480),
    last_holder: Some(1272),
    frames: Frames::Objects(ObjectFrames {
        zombie: 120,
        ..OBJECTS_3_9
    }),
    code: CODE_3_6,
    ..V3_9
};

/// Python 3.8.18.
pub const V3_8: Python = Python {
    hex: 0x0308_12f0,
    current_thread: Some(1368),
    last_holder: Some(1160),
    ..V3_9
};

/// Python 3.10.13.
pub const V3_10: Python = Python {
    hex: 0x030a_0df0,
    frames: Frames::Objects(ObjectFrames {
        instruction: 96,
        state: 108,
        created: -2,
        executing: 0,
        suspended: -1,
        over: 1,
        locals: 352,
        zombie: 128,
    }),
    ..V3_9
};

/// Python 3.11.7.
pub const V3_11: Python = Python {
    hex: 0x030b_07f0,
    runtime_start: &[],
    interpreters: 40,
    current_thread: Some(576),
    last_holder: Some(368),
    threads: 16,
    gil: None,
    frame: 56,
    ident: 152,
    native: Some(160),
    cframe: Some((8, 16, 24)),
    frames: Frames::DataStack(StackFrames {
        chunk: 296,
        code: 32,
        previous: 48,
        function: 0,
        return_offset: None,
        is_entry: Some(68),
        owner: 69,
        generator_frame: 80,
        generator_state: 75,
        states: [-2, -1, 0, 4],
        entry_owner: None,
        inlines_generators: false,
        clears_stacktop: false,
        ..STACK_3_13
    }),
    code: Code {
        first_line: 72,
        stack_size: 68,
        variables: Some(76),
        frame_size: None,
        start: Some(184),
        size: 192,
        ..CODE_3_13
    },
    str_size: 48,
};

/// Python 3.12.1.
pub const V3_12: Python = Python {
    hex: 0x030c_01f0,
    current_thread: None,
    last_holder: None,
    threads: 72,
    gil: Some(384),
    ident: 136,
    native: Some(144),
    cframe: Some((0, 8, 16)),
    frames: Frames::DataStack(StackFrames {
        states: [-2, -1, 0, 4],
        clears_stacktop: false,
        ..STACK_3_13
    }),
    code: Code {
        start: Some(192),
        size: 200,
        ..CODE_3_13
    },
    str_size: 40,
    ..V3_11
};

/// Python 3.13.0.
pub const V3_13: Python = Python {
    hex: 0x030d_00f0,
    runtime_start: include_bytes!("../../images/debug_offsets_3.13.0"),
    interpreters: 632,
    current_thread: None,
    last_holder: None,
    threads: 7344,
    gil: Some(16),
    frame: 72,
    ident: 152,
    native: Some(160),
    cframe: None,
    frames: Frames::DataStack(STACK_3_13),
    code: CODE_3_13,
    str_size: 40,
};

const STACK_3_14: StackFrames = StackFrames {
    stacktop: None,
    stackpointer: Some(64),
    return_offset: Some(72),
    owner: 74,
    locals: 80,
    clears_stacktop: false,
    has_tagged_references: true,
    ..STACK_3_13
};

const CODE_3_14: Code = Code {
    start: Some(208),
    size: 216,
    ..CODE_3_13
};

/// Python 3.14.10.
pub const V3_14: Python = Python {
    hex: 0x030e_0af0,
    runtime_start: include_bytes!("../../images/debug_offsets_3.14.10"),
    interpreters: 808,
    frames: Frames::DataStack(STACK_3_14),
    code: CODE_3_14,
    ..V3_13
};

/// Python 3.15.2.
pub const V3_15: Python = Python {
    hex: 0x030f_02f0,
    runtime_start: include_bytes!("../../images/debug_offsets_3.15.2"),
    interpreters: 936,
    threads: 7336,
    ident: 176,
    native: Some(184),
    frames: Frames::DataStack(StackFrames {
        chunk: 256,
        states: [0, 1, 4, 5],
        has_base_frame: true,
        ..STACK_3_14
    }),
    code: CODE_3_14,
    ..V3_13
};
