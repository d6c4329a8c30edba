//! Turns whose code a frame is into its colour in a flame graph.
//!
//! The hues are those of Okabe and Ito ("Color Universal Design", 2008), which people who see few colours tell apart,
//! light enough for black letters. Modules of one hue differ in lightness, so that neighbours show.

use inferno::flamegraph::color::Color;

use crate::profile::origin::Origin;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Hue {
    /// The user's own code.
    Own,
    /// Another package.
    Package,
    /// The standard library.
    StandardLibrary,
    /// Native code.
    Native,
    /// A thread that waits.
    Waiting,
    /// Threads, processes, marks, and the whole.
    Other,
}

/// So many degrees of lightness there are.
const SHADES: u64 = 4;

impl Hue {
    /// Those that the legend names, in its order.
    pub(super) const ALL: [Hue; 5] = [
        Hue::Own,
        Hue::Package,
        Hue::StandardLibrary,
        Hue::Native,
        Hue::Waiting,
    ];

    /// The words of the legend.
    pub(super) fn words(self) -> &'static str {
        match self {
            Hue::Own => "your code",
            Hue::Package => "other packages",
            Hue::StandardLibrary => "standard library",
            Hue::Native => "native code",
            Hue::Waiting => "waiting",
            Hue::Other => "threads, processes, marks",
        }
    }

    /// The colour as the legend shows it.
    pub(super) fn color(self) -> Color {
        match self {
            Hue::Own => Color::new(236, 160, 20),
            Hue::Package => Color::new(96, 182, 233),
            Hue::StandardLibrary => Color::new(84, 192, 160),
            Hue::Native => Color::new(212, 138, 178),
            Hue::Waiting => Color::new(176, 176, 176),
            Hue::Other => Color::new(228, 228, 228),
        }
    }

    /// The same for a module: lighter by what a hash of its name says, which is the same on every machine (FNV-1a, with
    /// the last step of MurmurHash3 behind it, without which names that differ in their last letters only would look alike).
    pub(super) fn shade(self, module: &str) -> Color {
        let hash = module
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let part = ((hash >> 32) % SHADES) as f64 * 0.14;
        let lighter = |channel: u8| {
            let channel = f64::from(channel);
            (channel + (255.0 - channel) * part).round() as u8
        };
        let Color { r, g, b } = self.color();
        Color::new(lighter(r), lighter(g), lighter(b))
    }
}

impl From<Origin<'_>> for Hue {
    fn from(origin: Origin<'_>) -> Hue {
        match origin {
            Origin::Own => Hue::Own,
            Origin::Package(_) => Hue::Package,
            Origin::StandardLibrary => Hue::StandardLibrary,
            Origin::Native => Hue::Native,
            Origin::Mark => Hue::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::flame_page::{BACKGROUND, LETTERS};

    /// Relative luminance, as WCAG 2.1 defines it.
    fn luminance(color: Color) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(color.r) + 0.7152 * channel(color.g) + 0.0722 * channel(color.b)
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn letters_can_be_read_on_every_colour() {
        let modules: Vec<String> = (0..64).map(|number| format!("m{number}.py")).collect();
        let hues = Hue::ALL.into_iter().chain([Hue::Other]);
        let mut colors: Vec<Color> = hues
            .flat_map(|hue| modules.iter().map(move |module| hue.shade(module)))
            .collect();
        // The deepest red and blue of a differential flame graph (`color_scale` of inferno).
        colors.extend([Color::new(255, 100, 100), Color::new(100, 100, 255)]);
        colors.push(BACKGROUND);
        for color in colors {
            let ratio = contrast(LETTERS, color);
            assert!(ratio >= 4.5, "{color:?}: {ratio}");
        }
    }

    #[test]
    fn modules_of_one_hue_differ_in_lightness() {
        let shades: std::collections::HashSet<u8> = (0..64)
            .map(|number| Hue::Own.shade(&format!("m{number}.py")).b)
            .collect();
        assert_eq!(shades.len() as u64, SHADES);
    }
}
