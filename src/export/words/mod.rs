//! Turns what a profile holds into the words that several formats share.

pub mod escape;
pub mod facts;
pub mod findings;
pub mod fit;
pub mod health;
pub mod idle;
pub mod labels;
pub mod lost;
pub mod number;
pub mod paths;
pub mod precision;
pub mod rates;
pub mod selection;
pub mod table;
pub mod time_axis;
pub mod units;
pub mod usage;
pub mod work;
