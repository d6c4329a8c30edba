//! Turns samples into shares, and compares these with the true ones.

use std::fmt::Write as _;

use super::program::Function;

/// So many standard deviations from the truth is chance.
const SIGMAS: f64 = 4.0;

/// At most this part of the time may be of stacks with a function that is not known: while nothing is stopped, a frame
/// may be overwritten before it is read.
const MOST_LOST: f64 = 0.001;

/// The time of each function of a thread: alone, and with its callees.
#[derive(Debug, Clone)]
pub struct Shares {
    own: Vec<f64>,
    total: Vec<f64>,
    sum: f64,
    lost: f64,
    /// The squares of the weights of the samples, and the weight of the one that stands now.
    squares: f64,
    weight: f64,
}

impl Shares {
    /// Of so many functions.
    pub fn new(functions: usize) -> Shares {
        Shares {
            own: vec![0.0; functions],
            total: vec![0.0; functions],
            sum: 0.0,
            lost: 0.0,
            squares: 0.0,
            weight: 0.0,
        }
    }

    /// Takes in that another sample is drawn.
    pub fn draw(&mut self) {
        self.squares += self.weight * self.weight;
        self.weight = 0.0;
    }

    /// Adds time of a stack, innermost function first; `None`: it is not known.
    pub fn add(&mut self, stack: Option<&[Function]>, time: f64) {
        self.sum += time;
        self.weight += time;
        let Some(stack) = stack else {
            self.lost += time;
            return;
        };
        if let Some(innermost) = stack.first() {
            self.own[*innermost] += time;
        }
        for (number, function) in stack.iter().enumerate() {
            if !stack[..number].contains(function) {
                self.total[*function] += time;
            }
        }
    }

    /// What deviates from `truth` by more than chance and `points`, a line each, and the largest deviation in points.
    pub fn deviations(&self, truth: &Shares, names: &[&str], points: f64) -> (String, f64) {
        let draws = self.sum * self.sum / (self.squares + self.weight * self.weight);
        let (mut wrong, mut largest) = (String::new(), 0.0_f64);
        let mut compare = |what: &str, name: &str, found: f64, expected: f64| {
            let (found, expected) = (found / self.sum, expected / truth.sum);
            let spread = (expected * (1.0 - expected)).max(expected / draws) / draws;
            let limit = SIGMAS * spread.sqrt() + points / 100.0;
            largest = largest.max(100.0 * (found - expected).abs());
            if (found - expected).abs() > limit {
                let _ = writeln!(
                    wrong,
                    "  {what} of {name}: {:.3} %, true {:.3} %, {:.1} sigma",
                    100.0 * found,
                    100.0 * expected,
                    (found - expected) / spread.sqrt(),
                );
            }
        };
        for (number, name) in names.iter().enumerate() {
            compare("self", name, self.own[number], truth.own[number]);
            compare("total", name, self.total[number], truth.total[number]);
        }
        let lost = self.lost / self.sum;
        if lost > MOST_LOST {
            let _ = writeln!(wrong, "  lost: {:.3} %", 100.0 * lost);
        }
        (wrong, largest)
    }
}
