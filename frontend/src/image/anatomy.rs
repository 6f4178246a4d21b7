//! Where in the picture the segments of an image are, and where beside it their names fit.

use pixelrts_shared::catalog::{Entry, Role};

/// The bytes of payload in one strip, four for each pixel. Each segment begins with a new strip.
const STRIP: u64 = 65_536 * 4;

/// A segment beside the picture. Lengths are pixels on the screen, from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    pub name: String,
    pub role: Role,
    /// In bytes.
    pub size: u64,
    pub top: u32,
    pub bottom: u32,
    /// Where the name is put, so that names do not overlap.
    pub label: u32,
}

/// The height of a picture that is fitted into a plate of this width and height, in pixels; ratios go from 1:2 to 2:1.
#[must_use]
pub fn height(entry: &Entry, plate: (u32, u32)) -> u32 {
    let (width, height) = (u64::from(entry.width.unwrap_or(0)), u64::from(entry.height.unwrap_or(0)));
    let fitted = (u64::from(plate.0) * height).checked_div(width).unwrap_or(u64::MAX);
    u32::try_from(fitted).unwrap_or(u32::MAX).clamp(plate.0 / 2, plate.1)
}

/// Brackets for a picture `height` pixels high, with names `line` pixels high. Only streamable images have their
/// segments in bands; other images get no brackets.
#[must_use]
pub fn brackets(entry: &Entry, height: u32, line: u32) -> Vec<Bracket> {
    let pixels = u64::from(entry.width.unwrap_or(0)) * u64::from(entry.height.unwrap_or(0));
    if entry.index_sha256.is_none() || pixels == 0 {
        return Vec::new();
    }
    let payload = u128::from(pixels) * 4;
    let place = |offset: u64| {
        let place = u128::from(offset).min(payload) * u128::from(height) / payload;
        u32::try_from(place).unwrap_or(height)
    };
    let (mut offset, mut free) = (0_u64, 0);
    entry
        .segments
        .iter()
        .map(|segment| {
            let (top, end) = (place(offset), offset.saturating_add(segment.size));
            let bottom = place(end).max(top + 1);
            offset = end.checked_next_multiple_of(STRIP).unwrap_or(u64::MAX);
            let label = (u32::midpoint(top, bottom)).saturating_sub(line / 2).max(free);
            free = label + line;
            Bracket { name: segment.name.to_string(), role: segment.role, size: segment.size, top, bottom, label }
        })
        .collect()
}

impl Bracket {
    /// The bracket and the line from it to the name, as an SVG path.
    #[must_use]
    pub fn path(&self) -> String {
        let middle = u32::midpoint(self.top, self.bottom);
        let (height, name) = (self.bottom - self.top, self.label + 9);
        format!("M2 {}.5h5v{height}h-5M7 {middle}.5h8V{name}.5h9", self.top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(sizes: &[u64]) -> Entry {
        let segments: Vec<_> =
            sizes.iter().map(|size| json!({"name": format!("s{size}"), "role": "other", "size": size})).collect();
        serde_json::from_value(json!({
            "id": "e", "name": "E", "size": 1, "sha256": "00".repeat(32), "index_sha256": "00".repeat(32),
            "width": 512, "height": 1280, "segments": segments
        }))
        .unwrap()
    }

    #[test]
    fn segments_stand_at_their_strips_and_names_do_not_overlap() {
        // Ten strips, 28 pixels each: one, one, eight.
        let found = brackets(&entry(&[1000, STRIP, 8 * STRIP]), 280, 34);
        assert_eq!(found.iter().map(|b| (b.top, b.bottom)).collect::<Vec<_>>(), [(0, 1), (28, 56), (56, 280)]);
        assert!(found.windows(2).all(|pair| pair[0].label + 34 <= pair[1].label), "{found:?}");
        assert_eq!(found[2].label, 168 - 17);
        assert!(found[0].path().starts_with("M2 0.5h5v1h-5"));
    }

    #[test]
    fn a_picture_is_fitted_into_its_plate() {
        let sides = |width, height| Entry { width, height, ..entry(&[1]) };
        for (width, high) in [(1000, 111), (400, 222), (200, 280), (1, 280), (0, 280)] {
            assert_eq!(height(&sides(Some(width), Some(400)), (222, 280)), high, "{width}");
        }
        assert_eq!(height(&sides(None, None), (222, 280)), 280);
    }

    #[test]
    fn a_classic_image_and_lying_sizes_are_harmless() {
        assert!(brackets(&Entry { index_sha256: None, ..entry(&[1]) }, 280, 34).is_empty());
        let found = brackets(&entry(&[u64::MAX, u64::MAX]), 280, 34);
        assert_eq!(found.iter().map(|b| (b.top, b.bottom)).collect::<Vec<_>>(), [(0, 280), (280, 281)]);
    }
}
