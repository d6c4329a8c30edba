//! Turns an unwind entry into the rule that holds at one instruction, and that into the registers of the caller.

use std::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameOffset, Encoding, EndianSlice, EvaluationResult,
    Expression, LittleEndian, Location, RegisterRule, UnwindContext, UnwindExpression,
    UnwindSection, Value,
};

use super::eh_frame::UnwindEntry;
use super::registers::{CALLEE_SAVED, RETURN_ADDRESS, Registers, STACK_POINTER};

/// The most operations of one DWARF expression. Compilers write some five, glibc's for signal frames fewer.
const MAX_OPERATIONS: u32 = 256;

/// The most bytes of one DWARF expression.
const MAX_EXPRESSION_BYTES: usize = 1024;

type Section<'s> = EhFrame<EndianSlice<'s, LittleEndian>>;

/// What holds at an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// How to find the caller's registers.
    Caller(CallerRule),
    /// There is no caller: the function begins a thread (its return address is undefined).
    Outermost,
}

/// How to find the caller's registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerRule {
    cfa: Cfa,
    /// Of the registers that have one.
    saved: Vec<(u16, Saved)>,
    encoding: Encoding,
    /// Whether a signal interrupted the caller: its instruction was not a call.
    pub is_signal_frame: bool,
}

/// How to find the canonical frame address: the stack pointer as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cfa {
    Register(u16, i64),
    Expression(Box<[u8]>),
}

/// Where the caller's value of a register is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Saved {
    /// Lost.
    Nowhere,
    /// At this distance from the CFA.
    At(i64),
    /// The CFA and this.
    Value(i64),
    Register(u16),
    /// At the address that this gives.
    AtExpression(Box<[u8]>),
    Expression(Box<[u8]>),
}

/// The addresses of the function that an entry is for.
#[must_use]
pub fn function_range(entry: &UnwindEntry) -> Option<Range<u64>> {
    let section = Section::new(&entry.section, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(entry.at);
    let offset = EhFrameOffset(entry.fde);
    let fde = section.fde_from_offset(&bases, offset, EhFrame::cie_from_offset);
    let fde = fde.ok()?;
    Some(fde.initial_address()..fde.end_address())
}

impl Rule {
    /// The rule at the target's address `instruction`; `None` where the entry is of another function, or damaged.
    #[must_use]
    pub fn of(entry: &UnwindEntry, instruction: u64) -> Option<Rule> {
        let section = Section::new(&entry.section, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(entry.at);
        let offset = EhFrameOffset(entry.fde);
        let fde = section.fde_from_offset(&bases, offset, EhFrame::cie_from_offset);
        let fde = fde.ok().filter(|fde| fde.contains(instruction))?;
        let mut context = UnwindContext::new();
        let row = fde
            .unwind_info_for_address(&section, &bases, &mut context, instruction)
            .ok()?;
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => Cfa::Register(register.0, *offset),
            CfaRule::Expression(expression) => Cfa::Expression(bytes_of(*expression, &section)?),
        };
        let mut saved = Vec::new();
        for (register, rule) in row.registers() {
            saved.extend(Saved::of(rule.clone(), &section)?.map(|saved| (register.0, saved)));
        }
        let return_address = saved.iter().find(|(number, _)| *number == RETURN_ADDRESS);
        if return_address.is_none_or(|(_, saved)| *saved == Saved::Nowhere) {
            return Some(Rule::Outermost);
        }
        Some(Rule::Caller(CallerRule {
            cfa,
            saved,
            encoding: fde.cie().encoding(),
            is_signal_frame: fde.is_signal_trampoline(),
        }))
    }
}

impl Saved {
    /// `Some(None)`: as the callee has it.
    fn of(rule: RegisterRule<usize>, section: &Section<'_>) -> Option<Option<Saved>> {
        Some(Some(match rule {
            RegisterRule::SameValue => return Some(None),
            RegisterRule::Offset(offset) => Saved::At(offset),
            RegisterRule::ValOffset(offset) => Saved::Value(offset),
            RegisterRule::Register(other) => Saved::Register(other.0),
            RegisterRule::Expression(expression) => {
                Saved::AtExpression(bytes_of(expression, section)?)
            }
            RegisterRule::ValExpression(expression) => {
                Saved::Expression(bytes_of(expression, section)?)
            }
            _ => Saved::Nowhere,
        }))
    }
}

fn bytes_of(expression: UnwindExpression<usize>, section: &Section<'_>) -> Option<Box<[u8]>> {
    let Expression(bytes) = expression.get(section).ok()?;
    let bytes = bytes.slice();
    (bytes.len() <= MAX_EXPRESSION_BYTES).then(|| bytes.into())
}

impl CallerRule {
    /// The same, for a frame of which the CFA itself is known, and in the place of the stack pointer.
    #[must_use]
    pub fn at_cfa(&self) -> CallerRule {
        CallerRule {
            cfa: Cfa::Register(STACK_POINTER, 0),
            ..self.clone()
        }
    }

    /// Whether the CFA is told by this register.
    #[must_use]
    pub fn needs(&self, register: u16) -> bool {
        matches!(self.cfa, Cfa::Register(needed, _) if needed == register)
    }

    /// The registers of the caller; `None` where one that is needed is not known, or `read` does not have a word. The
    /// stack pointer and the instruction are always among them.
    pub fn apply(
        &self,
        callee: &Registers,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<Registers> {
        let evaluate =
            |bytes: &[u8], first: Option<u64>| evaluate(bytes, first, self.encoding, callee, &read);
        let cfa = match &self.cfa {
            Cfa::Register(register, offset) => callee.get(*register)?.wrapping_add_signed(*offset),
            Cfa::Expression(bytes) => evaluate(bytes, None)?,
        };
        let mut caller = Registers::waiting(cfa, 0);
        for register in CALLEE_SAVED {
            if let Some(value) = callee.get(register) {
                caller.set(register, value);
            }
        }
        for (register, saved) in &self.saved {
            let value = match saved {
                Saved::Nowhere => None,
                Saved::At(offset) => read(cfa.wrapping_add_signed(*offset)),
                Saved::Value(offset) => Some(cfa.wrapping_add_signed(*offset)),
                Saved::Register(other) => callee.get(*other),
                Saved::AtExpression(bytes) => evaluate(bytes, Some(cfa)).and_then(&read),
                Saved::Expression(bytes) => evaluate(bytes, Some(cfa)),
            };
            match value {
                Some(value) => caller.set(*register, value),
                None if [STACK_POINTER, RETURN_ADDRESS].contains(register) => return None,
                None => caller.forget(*register),
            }
        }
        Some(caller)
    }
}

/// What an expression comes to; `first` is on its stack when it begins.
fn evaluate(
    bytes: &[u8],
    first: Option<u64>,
    encoding: Encoding,
    registers: &Registers,
    read: impl Fn(u64) -> Option<u64>,
) -> Option<u64> {
    let expression = Expression(EndianSlice::new(bytes, LittleEndian));
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(MAX_OPERATIONS);
    if let Some(first) = first {
        evaluation.set_initial_value(first);
    }
    let mut result = evaluation.evaluate().ok()?;
    // Each round takes at least one operation.
    for _ in 0..MAX_OPERATIONS {
        result = match result {
            EvaluationResult::Complete => {
                return match evaluation.as_result().last()?.location {
                    Location::Address { address } => Some(address),
                    _ => None,
                };
            }
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = Value::Generic(registers.get(register.0)?);
                evaluation.resume_with_register(value).ok()?
            }
            EvaluationResult::RequiresMemory { address, size, .. } => {
                let unused_bits = 64_u32.checked_sub(u32::from(size) * 8)?;
                let mask = u64::MAX.checked_shr(unused_bits)?;
                let value = Value::Generic(read(address)? & mask);
                evaluation.resume_with_memory(value).ok()?
            }
            _ => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where the function of the test begins; it has 0x100 bytes.
    const START: u64 = 0x40_1000;

    /// An entry with these instructions in the CIE and in the FDE.
    fn entry(augmentation: &str, common: &[u8], own: &[u8]) -> UnwindEntry {
        // Version 1, code alignment 1, data alignment -8, return address in register 16.
        let mut cie = vec![0, 0, 0, 0, 1];
        cie.extend(augmentation.as_bytes());
        cie.extend([0, 1, 0x78, 16]);
        if augmentation.starts_with('z') {
            // The encoding of addresses: DW_EH_PE_absptr.
            cie.extend([1, 0]);
        }
        cie.extend(common);
        let mut section = with_length(cie);
        let fde = section.len();
        let mut body = (fde as u32 + 4).to_le_bytes().to_vec();
        body.extend(START.to_le_bytes());
        body.extend(0x100_u64.to_le_bytes());
        if augmentation.starts_with('z') {
            body.push(0);
        }
        body.extend(own);
        section.extend(with_length(body));
        UnwindEntry {
            section,
            at: 0x60_0000,
            fde,
        }
    }

    fn with_length(body: Vec<u8>) -> Vec<u8> {
        let mut all = (body.len() as u32).to_le_bytes().to_vec();
        all.extend(body);
        all
    }

    /// `def_cfa: rsp + 8; offset: return address at cfa - 8`, as every compiler begins.
    const USUAL: &[u8] = &[0x0c, 7, 8, 0x90, 1];

    /// A stack of words, each of which is its own address and 1.
    fn read(at: u64) -> Option<u64> {
        (at < 0x8000).then_some(at + 1)
    }

    fn caller(entry: &UnwindEntry, instruction: u64, callee: &Registers) -> Option<Registers> {
        match Rule::of(entry, instruction)? {
            Rule::Caller(rule) => rule.apply(callee, read),
            Rule::Outermost => None,
        }
    }

    #[test]
    fn a_caller_is_found_by_the_stack_pointer_and_its_registers_where_they_were_saved() {
        // After 1 byte rbp is saved at cfa - 16 and the cfa is rsp + 16; after 4 it is rbp + 16.
        let own = [0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6];
        let entry = entry("zR", USUAL, &own);
        let callee = Registers::waiting(0x1000, START);
        let found = caller(&entry, START, &callee).expect("a caller");
        assert_eq!(found.get(STACK_POINTER), Some(0x1008));
        assert_eq!(found.get(RETURN_ADDRESS), Some(0x1001));
        assert_eq!(found.get(6), None);
        let found = caller(&entry, START + 1, &callee).expect("a caller");
        assert_eq!(found.get(STACK_POINTER), Some(0x1010));
        assert_eq!(found.get(6), Some(0x1001));
        assert_eq!(caller(&entry, START + 4, &callee), None, "rbp is not known");
        let mut callee = callee;
        callee.set(6, 0x2000);
        let found = caller(&entry, START + 4, &callee).expect("a caller");
        assert_eq!(found.get(STACK_POINTER), Some(0x2010));
        assert_eq!(Rule::of(&entry, START - 1), None, "another function");
        assert_eq!(Rule::of(&entry, START + 0x100), None);
    }

    #[test]
    fn a_realigned_stack_is_followed_by_its_expression() {
        // def_cfa_expression: rbp - 8, dereferenced.
        let entry = entry("zR", USUAL, &[0x0f, 3, 0x76, 0x78, 0x06]);
        let mut callee = Registers::waiting(0x1000, START);
        callee.set(6, 0x2000);
        let found = caller(&entry, START, &callee).expect("a caller");
        assert_eq!(found.get(STACK_POINTER), Some(0x1ff9));
    }

    #[test]
    fn a_signal_frame_says_so_and_gives_every_register() {
        // The cfa is the word at rsp + 160; register 16 is saved at rsp + 168 (breg7).
        let own = [0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 16, 3, 0x77, 0xa8, 1];
        let entry = entry("zRS", USUAL, &own);
        let Some(Rule::Caller(rule)) = Rule::of(&entry, START) else {
            panic!("a caller");
        };
        assert!(rule.is_signal_frame);
        let found = rule.apply(&Registers::waiting(0x1000, START), read);
        let found = found.expect("a caller");
        assert_eq!(found.get(STACK_POINTER), Some(0x10a1));
        assert_eq!(found.get(RETURN_ADDRESS), Some(0x10a9));
    }

    #[test]
    fn a_thread_begins_where_the_return_address_is_undefined() {
        let entry = entry("zR", USUAL, &[0x07, 16]);
        assert_eq!(Rule::of(&entry, START), Some(Rule::Outermost));
    }

    #[test]
    fn an_expression_that_never_ends_is_given_up() {
        // DW_OP_skip -3, and a stack that grows for ever.
        for endless in [&[0x2f, 0xfd, 0xff][..], &[0x30, 0x2f, 0xfc, 0xff]] {
            let mut own = vec![0x0f, endless.len() as u8];
            own.extend(endless);
            let entry = entry("zR", USUAL, &own);
            assert_eq!(
                caller(&entry, START, &Registers::waiting(0x1000, START)),
                None
            );
        }
    }

    proptest! {
        #[test]
        fn damaged_entries_never_panic(
            common in proptest::collection::vec(any::<u8>(), 0..40),
            own in proptest::collection::vec(any::<u8>(), 0..200),
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
            into in 0_u64..0x100,
        ) {
            let mut entry = entry("zRS", &common, &own);
            for (at, byte) in damage {
                let at = at.index(entry.section.len());
                entry.section[at] = byte;
            }
            let mut callee = Registers::waiting(0x1000, START + into);
            callee.set(6, 0x2000);
            let _ = caller(&entry, START + into, &callee);
            let _ = function_range(&entry);
        }
    }
}
