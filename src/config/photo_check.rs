//! `[photo_check]`: A photograph of a plate must not open the gate.

use serde::Deserialize;

use super::Problem;

/// `[photo_check]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhotoCheck {
    /// What is done about it.
    pub strength: Strength,
    /// Where a plate is when it is first read, and how wide: the centre's x and y and the width, as shares 0..1 of the
    /// frame's width, height and width.
    pub far: Option<[f32; 3]>,
    /// The same where it stands before the arm.
    pub near: Option<[f32; 3]>,
}

/// How much weight the check for photographs has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strength {
    /// Not looked at.
    Off,
    /// Looked at and put on record; it keeps nobody out.
    Watch,
    /// What does not look like a car stays out.
    #[default]
    Refuse,
}

impl PhotoCheck {
    pub(super) fn check(&self) -> Result<(), Problem> {
        let expected = "both or none of far and near: x, y, width as shares 0..1, near lower and wider than far";
        let show = |place: Option<[f32; 3]>| place.map_or("not set".to_owned(), |p| format!("{p:?}"));
        let refuse = |key, found: Option<[f32; 3]>| Err(Problem::new(key, show(found), expected));
        let (far, near) = match (self.far, self.near) {
            (None, None) => return Ok(()),
            (Some(far), Some(near)) => (far, near),
            (None, _) => return refuse("photo_check.far", self.far),
            (_, None) => return refuse("photo_check.near", self.near),
        };
        let fits = |place: [f32; 3]| place.iter().all(|v| (0.0..=1.0).contains(v)) && place[2] > 0.0;
        if !fits(far) {
            return refuse("photo_check.far", self.far);
        }
        if !fits(near) || near[1] <= far[1] || near[2] <= far[2] {
            return refuse("photo_check.near", self.near);
        }
        Ok(())
    }
}
