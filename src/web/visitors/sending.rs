//! What is sent to a visitor: the words, the six digits, the square code.

use qrcode::QrCode;
use qrcode::render::svg;

use crate::fleet::pass_code;
use crate::register::Pass;
use crate::store::StoreError;
use crate::web::Site;
use crate::web::visit::Visit;

/// What is sent to a visitor.
pub(in crate::web) struct Sending {
    /// The six digits.
    pub digits: String,
    /// The square code, which leads a steward's telephone to the pass.
    pub qr: String,
    /// The words.
    pub message: String,
}

impl Sending {
    pub(in crate::web) fn of(site: &Site, v: &Visit, pass: &Pass) -> Result<Sending, StoreError> {
        let digits = site.digits.of(pass.id)?.unwrap_or_default();
        let qr = square(&format!("{}/visitors?code={}", v.base, in_square(site, pass, &digits)));
        let message = v.f(
            "访客通行证：车牌 {}，{} 至 {}，到 {} 户。车牌识别不了时，请向管家报通行码 {}。",
            &[&pass.plate, &v.short_time(&pass.from), &v.short_time(&pass.to), &pass.household, &digits],
        );
        Ok(Sending { digits, qr, message })
    }
}

/// A text as a square code, as SVG without any style of its own.
pub(in crate::web) fn square(text: &str) -> String {
    let Ok(code) = QrCode::new(text.as_bytes()) else { return String::new() };
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
    // The XML declaration has no place inside a page.
    drawn.split_once("?>").map_or(drawn.clone(), |(_, svg)| svg.to_owned())
}

/// What the square leads a steward's telephone to: the signed code where there are other gates, else the six digits.
fn in_square(site: &Site, pass: &Pass, digits: &str) -> String {
    let signed = site.gate.fleet.as_ref().map(|fleet| pass_code::issue(&fleet.identity, pass));
    match signed {
        Some(Ok(code)) => code,
        Some(Err(error)) => {
            tracing::error!(error, "a pass code could not be signed");
            digits.to_owned()
        }
        None => digits.to_owned(),
    }
}
