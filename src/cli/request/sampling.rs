//! Turns the options on sampling into rates, times and bounds.

use crate::cli::args::SamplingArgs;
use crate::run::request::{Extras, Sampling};
use crate::sampler::{Bounds, Budget, Children, Rate, StopPolicy};

/// `children` is how they are followed, if they are.
pub(super) fn sampling(args: &SamplingArgs, children: Children) -> Sampling {
    let rate = args.rate.unwrap_or(Rate::Auto);
    Sampling {
        rate,
        budget: match (args.max_overhead, rate) {
            (Some(part), _) => Budget::Held(part),
            (None, Rate::Auto) => Budget::Usual,
            (None, Rate::Fixed(_)) => Budget::Unlimited,
        },
        duration: args.duration,
        delay: args.delay,
        stops: match (args.never_stop, args.always_stop) {
            (true, _) => StopPolicy::Never,
            (false, true) => StopPolicy::Always,
            (false, false) => StopPolicy::WhereNeeded,
        },
        children: if args.no_children {
            Children::Ignored
        } else {
            children
        },
        native: args.native,
    }
}

/// Between which functions to record.
pub(super) fn bounds(args: &SamplingArgs) -> Bounds {
    Bounds {
        start_at: args.start_at.clone(),
        stop_at: args.stop_at.clone(),
    }
}

/// What a recording holds beside the samples.
pub(super) fn extras(args: &SamplingArgs) -> Extras {
    Extras {
        environment: args.env.clone(),
        source: !args.no_source,
        max_size_bytes: args.max_size,
    }
}
