//! Turns what a profile holds into the words that several formats share.

pub(crate) mod escape;
pub(crate) mod facts;
pub(crate) mod findings;
pub(crate) mod fit;
pub(crate) mod health;
pub(crate) mod idle;
pub(crate) mod labels;
pub(crate) mod lost;
pub(crate) mod number;
pub(crate) mod paths;
pub(crate) mod precision;
pub(crate) mod rates;
pub(crate) mod selection;
pub(crate) mod table;
pub(crate) mod time_axis;
pub(crate) mod units;
pub(crate) mod usage;
pub(crate) mod work;
