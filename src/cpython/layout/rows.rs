//! Turns a CPython version into its row: where its structs have their fields, and its traits.
//!
//! A row writes down what its version changed; the rest is that of the version before. This is the only place that knows
//! which version has what: everything else asks for an offset or a trait.

use super::debug_fields::DebugFields;
use super::traits::{
    CallMark, EntryMark, GilHome, InstructionForm, LoopAnchor, Owners, StateOwner, TopRule, Traits,
};
use super::{Layout, RuntimeLayout, tables};
use crate::cpython::line_table::LineFormat;
use crate::cpython::version::Version;

/// What rsamp knows of one CPython version.
#[derive(Debug)]
pub struct Row {
    /// The first release that it stands for: (7, 4) is 3.7.4. It stands for all up to the next row.
    pub since: (u8, u8),
    /// Where the structs have their fields, by the headers. What an interpreter says of itself goes before this.
    pub layout: &'static Layout,
    /// What an interpreter says of itself; `None` up to 3.12, which says nothing.
    pub(super) debug_offsets: Option<SelfDescription>,
    /// What the offsets do not tell.
    pub traits: Traits,
}

/// How an interpreter says where its structs have their fields: `_Py_DebugOffsets` (3.13 on).
#[derive(Debug)]
pub(super) struct SelfDescription {
    /// Where the struct has its words.
    pub fields: &'static DebugFields,
    /// As [`Row::layout`], for a free-threaded build.
    pub free_threaded: &'static Layout,
}

/// All rows, the oldest version first.
pub static ROWS: &[Row] = &[
    V3_6, V3_7_0, V3_7, V3_8, V3_9, V3_10, V3_11, V3_12, V3_13, V3_14, V3_15,
];

/// The versions before the first row: the py-spy crate reads these.
const LEGACY: [(u8, u8); 4] = [(2, 7), (3, 3), (3, 4), (3, 5)];

/// Frames are objects in the heap, linked from the thread state. One GIL, in variables of its own.
const V3_6: Row = Row {
    since: (6, 0),
    layout: &tables::V3_6,
    debug_offsets: None,
    traits: Traits {
        gil: GilHome::Variable,
        state_owner: StateOwner::Unknown,
        top_rule: TopRule::Pointer,
        instruction: InstructionForm::Index { unit_bytes: 1 },
        owners: Owners::NONE,
        reference_tags: 0,
        entry_mark: EntryMark::Nothing,
        loop_anchor: LoopAnchor::Nothing,
        call_mark: CallMark::Nothing,
        clears_stacktop: false,
        has_init_frame: false,
        line_format: LineFormat::Lnotab,
    },
};

/// 3.7.0–3.7.3: `_PyRuntime` came, and the GIL is in it.
const V3_7_0: Row = Row {
    since: (7, 0),
    layout: &LAYOUT_3_7_0,
    debug_offsets: None,
    traits: Traits {
        gil: GilHome::Runtime,
        ..V3_6.traits
    },
};

/// Debian 10 has 3.7.3. `gil.h` did not yet define `FORCE_SWITCHING` itself, so that `_PyRuntime` lacked
/// `ceval.gil.switch_cond` (48 bytes) and `switch_mutex` (40) ahead of `gilstate`. py-spy's `get_tstate_current_offset` has
/// the same distance. As no headers of such a build were at hand, the rest of `ceval.gil` is not relied on: nothing is known
/// of the last holder.
const LAYOUT_3_7_0: Layout = Layout {
    runtime: RuntimeLayout {
        gil_holder: Some(1392),
        gil_last_holder: None,
        ..tables::V3_7.runtime
    },
    ..tables::V3_7
};

/// From 3.7.4 on.
const V3_7: Row = Row {
    since: (7, 4),
    layout: &tables::V3_7,
    debug_offsets: None,
    traits: V3_7_0.traits,
};

/// Nothing but offsets.
const V3_8: Row = Row {
    since: (8, 0),
    layout: &tables::V3_8,
    debug_offsets: None,
    traits: V3_7.traits,
};

/// Nothing but offsets.
const V3_9: Row = Row {
    since: (9, 0),
    layout: &tables::V3_9,
    debug_offsets: None,
    traits: V3_8.traits,
};

/// `f_lasti` counts code units, line tables have a new format (PEP 626), and the C stack has a `CFrame`.
const V3_10: Row = Row {
    since: (10, 0),
    layout: &tables::V3_10,
    debug_offsets: None,
    traits: Traits {
        state_owner: StateOwner::CStack,
        instruction: InstructionForm::Index { unit_bytes: 2 },
        loop_anchor: LoopAnchor::CFrame {
            previous: 8,
            is_shared: false,
        },
        line_format: LineFormat::Pairs,
        ..V3_9.traits
    },
};

/// Frames lie on a data stack, are no objects any more, and call each other within one C function; line tables have columns
/// (PEP 657).
const V3_11: Row = Row {
    since: (11, 0),
    layout: &tables::V3_11,
    debug_offsets: None,
    traits: Traits {
        top_rule: TopRule::StackTop,
        instruction: InstructionForm::Address,
        owners: tables::OWNERS_3_11,
        entry_mark: EntryMark::InFrame,
        loop_anchor: LoopAnchor::CFrame {
            previous: 16,
            is_shared: true,
        },
        call_mark: CallMark::HasBegun,
        line_format: LineFormat::Locations,
        ..V3_10.traits
    },
};

/// A GIL for each interpreter (PEP 684), entry frames on the C stack, and a frame around `__init__`.
const V3_12: Row = Row {
    since: (12, 0),
    layout: &tables::V3_12,
    debug_offsets: None,
    traits: Traits {
        gil: GilHome::Interpreter,
        owners: tables::OWNERS_3_12,
        entry_mark: EntryMark::EntryFrame,
        loop_anchor: LoopAnchor::EntryFrame,
        has_init_frame: true,
        ..V3_11.traits
    },
};

/// The interpreter says its offsets, `_PyCFrame` is gone, and frames name the instruction that they execute.
const V3_13: Row = Row {
    since: (13, 0),
    layout: &tables::V3_13,
    debug_offsets: Some(SelfDescription {
        fields: &tables::DEBUG_3_13,
        free_threaded: &tables::V3_13T,
    }),
    traits: Traits {
        state_owner: StateOwner::ThreadId,
        owners: tables::OWNERS_3_13,
        call_mark: CallMark::ReturnOffset,
        clears_stacktop: true,
        ..V3_12.traits
    },
};

/// Frames have tagged references, and a stack pointer that says nothing of whether they are executing.
const V3_14: Row = Row {
    since: (14, 0),
    layout: &tables::V3_14,
    debug_offsets: Some(SelfDescription {
        fields: &tables::DEBUG_3_14,
        free_threaded: &tables::V3_14T,
    }),
    traits: Traits {
        top_rule: TopRule::ClearedCode,
        owners: tables::OWNERS_3_14,
        reference_tags: tables::REFERENCE_TAGS_3_14,
        clears_stacktop: false,
        ..V3_13.traits
    },
};

/// Entry frames have one number only.
const V3_15: Row = Row {
    since: (15, 0),
    layout: &tables::V3_15,
    debug_offsets: Some(SelfDescription {
        fields: &tables::DEBUG_3_15,
        free_threaded: &tables::V3_15T,
    }),
    traits: Traits {
        owners: tables::OWNERS_3_15,
        reference_tags: tables::REFERENCE_TAGS_3_15,
        ..V3_14.traits
    },
};

impl Row {
    /// The row of `version`; `None` where there is none.
    #[must_use]
    pub fn of(version: Version) -> Option<&'static Row> {
        Row::of_release(version.major, version.minor, version.micro)
    }

    /// The row of the newest release of a minor version; `None` where there is none.
    #[must_use]
    pub fn of_minor(major: u8, minor: u8) -> Option<&'static Row> {
        Row::of_release(major, minor, u8::MAX)
    }

    fn of_release(major: u8, minor: u8, micro: u8) -> Option<&'static Row> {
        let rows = ROWS.iter().rev();
        let mut begun = rows.filter(|row| major == 3 && row.since <= (minor, micro));
        begun.next().filter(|row| row.since.0 == minor)
    }

    /// Whether interpreters of this version say where their structs have their fields
    /// ([`debug_offsets`](super::debug_offsets)).
    #[must_use]
    pub fn describes_itself(&self) -> bool {
        self.debug_offsets.is_some()
    }
}

/// Whether the py-spy crate reads `version`, as it is older than the first row.
#[must_use]
pub fn is_legacy(version: Version) -> bool {
    LEGACY.contains(&(version.major, version.minor))
}

/// The versions that have a row, as errors name them.
#[must_use]
pub fn known() -> String {
    let minor = |row: Option<&Row>| row.map_or(0, |row| row.since.0);
    format!("3.{} to 3.{}", minor(ROWS.first()), minor(ROWS.last()))
}

#[cfg(test)]
mod tests {
    use super::super::{GilLayout, Offset, debug_offsets};
    use super::*;

    fn version(major: u8, minor: u8, micro: u8) -> Version {
        let hex = u32::from_be_bytes([major, minor, micro, 0xf0]);
        Version::from_hex(hex, false)
    }

    #[test]
    fn each_release_has_the_row_that_began_last() {
        for (minor, micro, since) in [
            (6, 0, (6, 0)),
            (7, 0, (7, 0)),
            (7, 3, (7, 0)),
            (7, 4, (7, 4)),
            (7, 17, (7, 4)),
            (12, 255, (12, 0)),
        ] {
            let row = Row::of(version(3, minor, micro)).expect("a row");
            assert_eq!(row.since, since, "3.{minor}.{micro}");
        }
        assert_eq!(Row::of_minor(3, 7).expect("a row").since, (7, 4));
    }

    #[test]
    fn other_versions_have_no_row() {
        for (major, minor) in [(2, 7), (3, 5), (3, 99), (4, 6), (0, 0), (255, 255)] {
            assert!(Row::of_minor(major, minor).is_none(), "{major}.{minor}");
            assert!(Row::of(version(major, minor, 0)).is_none());
        }
    }

    #[test]
    fn versions_before_the_rows_are_for_py_spy() {
        for (major, minor) in [(2, 7), (3, 3), (3, 5)] {
            assert!(is_legacy(version(major, minor, 1)));
        }
        for (major, minor) in [(2, 6), (3, 2), (3, 6), (3, 15), (4, 3)] {
            assert!(!is_legacy(version(major, minor, 1)), "{major}.{minor}");
        }
    }

    #[test]
    fn rows_are_in_order_and_no_minor_version_is_missing() {
        assert!(ROWS.is_sorted_by(|a, b| a.since < b.since));
        let mut minors: Vec<u8> = ROWS.iter().map(|row| row.since.0).collect();
        minors.dedup();
        let (first, last) = (minors[0], minors[minors.len() - 1]);
        assert_eq!(minors, Vec::from_iter(first..=last));
        assert_eq!(known(), "3.6 to 3.15");
    }

    /// Where a trait relies on a field, the tables have it: a trait that is copied to the wrong version shows.
    #[test]
    fn the_traits_of_a_row_fit_its_offsets() {
        for row in ROWS {
            let own = row.debug_offsets.as_ref();
            let own = own.map(|own| own.free_threaded);
            for layout in [row.layout].into_iter().chain(own) {
                let frame = &layout.frame;
                let found = (
                    (
                        layout.runtime.gil_holder.is_some(),
                        layout.interpreter.gil.is_some(),
                    ),
                    layout.thread.cframe.is_some(),
                    (frame.owner.is_some(), frame.function.is_some()),
                    frame.is_entry.is_some(),
                    (frame.stacktop.is_some(), frame.stackpointer.is_some()),
                );
                let traits = &row.traits;
                let on_data_stack = traits.instruction == InstructionForm::Address;
                let expected = (
                    (
                        traits.gil == GilHome::Runtime,
                        traits.gil == GilHome::Interpreter,
                    ),
                    traits.state_owner == StateOwner::CStack,
                    (on_data_stack, on_data_stack),
                    traits.entry_mark == EntryMark::InFrame,
                    (
                        traits.top_rule == TopRule::StackTop,
                        traits.top_rule == TopRule::ClearedCode,
                    ),
                );
                assert_eq!(found, expected, "{:?}", row.since);
                let is_needed = traits.call_mark == CallMark::ReturnOffset;
                assert!(frame.return_offset.is_some() || !is_needed);
                assert!(frame.stacktop.is_some() || !traits.clears_stacktop);
            }
        }
    }

    #[test]
    fn each_minor_version_has_its_line_format() {
        let of = |minor| Row::of_minor(3, minor).expect("a row").traits.line_format;
        assert_eq!([6, 7, 8, 9].map(of), [LineFormat::Lnotab; 4]);
        assert_eq!(of(10), LineFormat::Pairs);
        assert_eq!([11, 12, 13, 14, 15].map(of), [LineFormat::Locations; 5]);
    }

    #[test]
    fn debug_offsets_of_each_version_are_read_whole() {
        for own in ROWS.iter().filter_map(|row| row.debug_offsets.as_ref()) {
            assert!(own.fields.size <= debug_offsets::MAX_BYTES);
        }
    }

    #[test]
    fn early_3_7_has_its_gil_elsewhere() {
        let runtime = |micro| {
            let row = Row::of(version(3, 7, micro)).expect("a row");
            &row.layout.runtime
        };
        let (early, late) = (runtime(3), runtime(4));
        assert_eq!(
            (early.gil_holder, late.gil_holder),
            (Some(1392), Some(1480))
        );
        assert_eq!(
            (early.gil_last_holder, late.gil_last_holder),
            (None, Some(1272))
        );
        assert_eq!(early.gil_switch_number, late.gil_switch_number);
    }

    /// Written down from py-spy 0.4.3 (`python_bindings`: bindgen's output on other headers than ours, and
    /// its hand-kept offsets into `_PyRuntime`): head of the interpreters, holder of the GIL; first thread, modules;
    /// frame, ident; previous, code, instruction; file name, name, line table, first line, code.
    const SEEN_BY_PY_SPY: [(u8, [Offset; 14]); 7] = [
        (6, [0, 0, 8, 16, 24, 152, 24, 32, 120, 96, 104, 112, 36, 40]),
        (
            7,
            [24, 1480, 8, 40, 24, 176, 24, 32, 104, 96, 104, 112, 36, 40],
        ),
        (
            8,
            [32, 1368, 8, 56, 24, 176, 24, 32, 104, 104, 112, 120, 40, 48],
        ),
        (
            9,
            [32, 568, 8, 856, 24, 176, 24, 32, 104, 104, 112, 120, 40, 48],
        ),
        (
            10,
            [32, 568, 8, 856, 24, 176, 24, 32, 96, 104, 112, 120, 40, 48],
        ),
        (
            11,
            [
                40, 576, 16, 888, 56, 152, 48, 32, 56, 112, 120, 136, 72, 184,
            ],
        ),
        (
            12,
            [40, 0, 72, 944, 56, 136, 8, 0, 56, 112, 120, 136, 68, 192],
        ),
    ];

    #[test]
    fn tables_agree_with_py_spy() {
        for (minor, expected) in SEEN_BY_PY_SPY {
            let l = Row::of_minor(3, minor).expect("a row").layout;
            let ours = [
                l.runtime.interpreters_head,
                l.runtime.gil_holder.unwrap_or(0),
                l.interpreter.threads_head,
                l.interpreter.modules,
                l.thread.frame,
                l.thread.thread_id,
                l.frame.previous,
                l.frame.code,
                l.frame.instruction,
                l.code.filename,
                l.code.name,
                l.code.linetable,
                l.code.first_line,
                l.code.code,
            ];
            assert_eq!(ours, expected, "3.{minor}");
        }
    }

    #[test]
    fn later_fields_agree_with_py_spy() {
        let (v3_11, v3_12) = (&tables::V3_11, &tables::V3_12);
        assert_eq!(v3_11.thread.datastack_chunk, Some(296));
        assert_eq!(v3_11.thread.native_thread_id, Some(160));
        assert_eq!(
            (v3_11.frame.stacktop, v3_11.frame.owner),
            (Some(64), Some(69))
        );
        assert_eq!(v3_11.code.qualname, Some(128));
        assert_eq!(v3_12.thread.datastack_chunk, Some(232));
        assert_eq!(v3_12.thread.native_thread_id, Some(144));
        assert_eq!(
            (v3_12.frame.stacktop, v3_12.frame.owner),
            (Some(64), Some(70))
        );
        assert_eq!(v3_12.interpreter.gil, Some(384));
        let gil = GilLayout {
            last_holder: 8,
            locked: 16,
            switch_number: 24,
        };
        assert_eq!(v3_12.interpreter.gil_state, Some(gil));
    }
}
