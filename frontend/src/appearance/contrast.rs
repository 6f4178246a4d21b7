//! WCAG 2.2, level AA, of the tokens in `style/tokens.css`: text needs a contrast of 4.5, shapes and borders of controls 3.

use std::collections::HashMap;

/// The light and the dark color of each token.
fn tokens() -> HashMap<&'static str, [[f64; 3]; 2]> {
    let css = include_str!("../../style/tokens.css");
    let pair = |line: &'static str| {
        let (name, rest) = line.trim().strip_prefix("--")?.split_once(":light-dark(#")?;
        let (light, dark) = rest.split_once(",#")?;
        Some((name, [color(light.get(..6)?)?, color(dark.get(..6)?)?]))
    };
    css.lines().filter_map(pair).collect()
}

fn color(hex: &str) -> Option<[f64; 3]> {
    let part = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok().map(|part| f64::from(part) / 255.0);
    Some([part(0)?, part(2)?, part(4)?])
}

fn luminance(color: [f64; 3]) -> f64 {
    let [red, green, blue] =
        color.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_pair_of_colors_has_enough_contrast_in_both_themes() {
    let tokens = tokens();
    let texts = ["ink", "ink-soft", "ink-faint", "accent", "arriving", "booting", "retrying", "failed", "stopped"];
    let shapes = ["edge", "role-kernel", "role-initrd", "role-disk", "role-other"];
    let grounds = ["wall", "panel", "raised", "sunk"];
    let on_grounds = texts.iter().flat_map(|text| grounds.map(|ground| (*text, ground, 4.5)));
    let of_shapes = shapes.iter().flat_map(|shape| ["wall", "panel", "raised"].map(|ground| (*shape, ground, 3.0)));
    let others = [
        ("on-accent", "accent", 4.5),
        ("on-accent", "accent-strong", 4.5),
        ("accent", "accent-soft", 4.5),
        ("accent", "accent-wash", 4.5),
        ("ink", "accent-wash", 4.5),
        ("ink-soft", "accent-wash", 4.5),
        ("ink-faint", "accent-wash", 4.5),
        ("panel", "ink", 4.5),
    ];
    for (front, ground, least) in on_grounds.chain(of_shapes).chain(others) {
        let themes = tokens[front].into_iter().zip(tokens[ground]).zip(["light", "dark"]);
        for ((front_color, ground_color), theme) in themes {
            let found = contrast(front_color, ground_color);
            assert!(found >= least, "{front} on {ground}: {found:.2} in the {theme} theme");
        }
    }
}

#[test]
fn black_on_white_is_twenty_one() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    assert!((contrast(color("777777").unwrap(), [1.0; 3]) - 4.48).abs() < 0.01);
}
