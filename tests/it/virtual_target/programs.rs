//! Turns what Python programs do, construct by construct, into the programs of the virtual target.

use super::program::Program;
use super::program::Step::{
    Await, Call, CallFromC, CallWith, Drive, For, ForInC, Raise, Recurse, Repeat, Run, Switch,
    Yield,
};

/// Plain calls of 20 to 500 ns.
pub fn calls() -> Program {
    Program::new(
        "calls",
        &[
            (
                "main",
                vec![Run(20, 60), Call(1), Call(2), Run(10, 200), Call(3)],
            ),
            ("long", vec![Run(100, 500), Call(3), Run(20, 40)]),
            (
                "caller",
                vec![Repeat(1, 6, vec![Run(10, 20), Call(3), Call(4)])],
            ),
            ("leaf", vec![Run(20, 60)]),
            ("other", vec![Run(15, 150)]),
        ],
    )
}

/// Generators and generator expressions.
pub fn generators() -> Program {
    Program::new(
        "generators",
        &[
            ("main", vec![Run(30, 60), Call(1), Call(3), Run(20, 50)]),
            (
                "consume",
                vec![For(2, vec![Run(15, 40), Call(6)]), Run(10, 20)],
            ),
            (
                "generate",
                vec![Repeat(2, 9, vec![Run(20, 50), Yield]), Run(10, 30)],
            ),
            (
                "any_all",
                vec![Run(20, 40), ForInC(4), Run(10, 20), ForInC(5)],
            ),
            ("<genexpr>", vec![Repeat(2, 9, vec![Run(15, 40), Yield])]),
            (
                "calling",
                vec![Repeat(1, 4, vec![Call(6), Run(10, 20), Yield])],
            ),
            ("leaf", vec![Run(15, 50)]),
        ],
    )
}

/// Coroutines that await coroutines, which an event loop runs.
pub fn awaits() -> Program {
    Program::new(
        "awaits",
        &[
            ("main", vec![Run(50, 90), Call(1)]),
            (
                "run_once",
                vec![Run(30, 60), Drive(2, vec![Run(40, 80)]), Run(10, 20)],
            ),
            ("task", vec![Run(20, 40), Await(3), Run(10, 40), Await(4)]),
            ("middle", vec![Run(20, 40), Await(4), Call(6), Await(5)]),
            ("read", vec![Repeat(1, 3, vec![Run(20, 60), Await(5)])]),
            ("future", vec![Run(10, 30), Yield, Run(10, 20)]),
            ("leaf", vec![Run(20, 60)]),
        ],
    )
}

/// Operators, `__init__`, sort keys, `map`: Python code that C code calls.
pub fn operators() -> Program {
    Program::new(
        "operators",
        &[
            ("main", vec![Run(30, 60), Call(1), Call(2)]),
            (
                "vectors",
                vec![Repeat(
                    2,
                    5,
                    vec![Run(20, 40), CallFromC(3), Run(10, 30), CallFromC(4)],
                )],
            ),
            (
                "sorts",
                vec![Run(20, 40), Repeat(3, 12, vec![CallFromC(5)]), Run(30, 50)],
            ),
            ("__sub__", vec![Run(20, 50), CallFromC(4)]),
            ("__init__", vec![Run(30, 70)]),
            ("<lambda>", vec![Run(15, 40), CallFromC(6)]),
            ("__lt__", vec![Run(20, 30)]),
        ],
    )
}

/// Recursion of every depth up to 60.
pub fn recursion() -> Program {
    Program::new(
        "recursion",
        &[
            (
                "main",
                vec![
                    Run(30, 60),
                    CallWith(1, 1, 60),
                    Run(20, 40),
                    CallWith(2, 1, 20),
                ],
            ),
            ("visit", vec![Run(10, 40), Recurse(1), Run(10, 30), Call(3)]),
            ("walk", vec![Run(10, 40), Call(3), Recurse(2)]),
            ("leaf", vec![Run(20, 60)]),
        ],
    )
}

/// Exceptions that end several frames.
pub fn exceptions() -> Program {
    Program::new(
        "exceptions",
        &[
            (
                "main",
                vec![Run(50, 90), Call(1), Run(20, 40), Call(2), Run(10, 60)],
            ),
            ("attempt", vec![Run(20, 40), Call(2)]),
            ("parse", vec![Run(30, 50), Call(3), Run(10, 20), Call(4)]),
            ("token", vec![Run(20, 80), Call(4)]),
            ("fail", vec![Run(10, 40), Raise(2)]),
        ],
    )
}

/// Greenlets that switch to one another.
pub fn greenlets() -> Program {
    let program = Program::new(
        "greenlets",
        &[
            ("main", vec![Run(50, 150), Call(1), Call(4)]),
            ("hub", vec![Run(20, 60), Switch(1), Run(20, 40), Switch(2)]),
            ("first", vec![Run(40, 90), Call(4), Switch(0)]),
            ("second", vec![Run(20, 40), Call(5), Run(20, 40)]),
            ("leaf", vec![Run(30, 60)]),
            ("deeper", vec![Run(30, 60), Switch(0), Run(20, 40)]),
        ],
    );
    program.with_greenlets(&[2, 3])
}
