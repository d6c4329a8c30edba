//! Turns functions, as a test writes them down, into lists of operations.

/// A function of a program, by its number.
pub type Function = usize;

/// What a function does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Runs for some nanoseconds.
    Run(u64, u64),
    /// Calls a function.
    Call(Function),
    /// Has C code call a function: an operator, a sort key, `map`.
    CallFromC(Function),
    /// Calls a function that gets a number of this range, both included.
    CallWith(Function, u64, u64),
    /// Calls a function with the own number less one, unless that is 0.
    Recurse(Function),
    /// Iterates over a generator.
    For(Function, Vec<Step>),
    /// The same in C code, which does nothing between: `any`, `sum`.
    ForInC(Function),
    /// Awaits a coroutine: all that it yields is yielded.
    Await(Function),
    /// Runs a coroutine as an event loop does, from C code, with these steps after each yield.
    Drive(Function, Vec<Step>),
    /// Yields.
    Yield,
    /// Does the steps as often as this range says.
    Repeat(u64, u64, Vec<Step>),
    /// Raises an exception that ends so many frames, this one among them.
    Raise(usize),
    /// Switches to the greenlet of this number; 0 is the one that runs `main`.
    Switch(usize),
}

/// One operation. Positions are those of the list it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Run(u64, u64),
    Call(Function),
    CallFromC(Function),
    CallWith(Function, u64, u64),
    Recurse(Function),
    /// Makes a generator, the innermost one of the frame.
    Make(Function),
    /// Resumes the innermost generator; goes on at `over` when it has ended.
    Next {
        over: usize,
        from_c: bool,
    },
    /// Lets go of the innermost generator.
    Drop,
    Yield,
    Begin(u64, u64),
    /// Goes back to this position unless it was done often enough.
    Again(usize),
    Jump(usize),
    Raise(usize),
    Switch(usize),
    Return,
}

/// A program: its functions, of which the first is `main` and repeats itself for ever.
#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    pub functions: Vec<(&'static str, Vec<Op>)>,
    /// The function that each greenlet begins with, from number 1 on.
    pub greenlets: Vec<Function>,
}

impl Program {
    /// From the functions' names and steps.
    pub fn new(name: &'static str, functions: &[(&'static str, Vec<Step>)]) -> Program {
        let flat = |(name, steps): &(&'static str, Vec<Step>)| {
            let mut ops = Vec::new();
            flatten(steps, &mut ops);
            ops.push(Op::Return);
            (*name, ops)
        };
        Program {
            name,
            functions: functions.iter().map(flat).collect(),
            greenlets: Vec::new(),
        }
    }

    /// The same with greenlets that begin with these functions, which never end.
    pub fn with_greenlets(self, greenlets: &[Function]) -> Program {
        Program {
            greenlets: greenlets.to_vec(),
            ..self
        }
    }
}

fn flatten(steps: &[Step], ops: &mut Vec<Op>) {
    for step in steps {
        match step {
            Step::Run(least, most) => ops.push(Op::Run(*least, *most)),
            Step::Call(function) => ops.push(Op::Call(*function)),
            Step::CallFromC(function) => ops.push(Op::CallFromC(*function)),
            Step::CallWith(function, least, most) => {
                ops.push(Op::CallWith(*function, *least, *most));
            }
            Step::Recurse(function) => ops.push(Op::Recurse(*function)),
            Step::For(function, body) => resume_all(*function, body, false, ops),
            Step::ForInC(function) => resume_all(*function, &[], true, ops),
            Step::Await(function) => resume_all(*function, &[Step::Yield], false, ops),
            Step::Drive(function, body) => resume_all(*function, body, true, ops),
            Step::Yield => ops.push(Op::Yield),
            Step::Repeat(least, most, body) => {
                ops.push(Op::Begin(*least, *most));
                let start = ops.len();
                flatten(body, ops);
                ops.push(Op::Again(start));
            }
            Step::Raise(frames) => ops.push(Op::Raise(*frames)),
            Step::Switch(greenlet) => ops.push(Op::Switch(*greenlet)),
        }
    }
}

fn resume_all(function: Function, body: &[Step], from_c: bool, ops: &mut Vec<Op>) {
    ops.push(Op::Make(function));
    let next = ops.len();
    ops.push(Op::Return);
    flatten(body, ops);
    ops.push(Op::Jump(next));
    ops[next] = Op::Next {
        over: ops.len(),
        from_c,
    };
    ops.push(Op::Drop);
}

impl Program {
    /// Whether a function makes generators or coroutines.
    pub fn makes_generators(&self, function: Function) -> bool {
        self.functions[function].1.contains(&Op::Yield)
    }
}
