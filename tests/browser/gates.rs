//! All gates at a glance: two that know each other, a car inside at both, one of them cut off, the broker gone.

use std::time::Duration;

use fantoccini::Locator;

use crate::compound::{Compound, Gate, encoded};
use crate::driver::{Driver, Steward};

const PLATE: &str = "苏F8K291";

async fn sign_in(driver: &Driver, gate: &Gate) -> Steward {
    let s = Steward::new(driver.connect().await, format!("http://{}", gate.inner.address));
    s.sign_in("王芳").await;
    s
}

/// Asks for the page again and again until it says this.
async fn comes(s: &Steward, wanted: &str) {
    for _ in 0..300 {
        s.go("/gates").await;
        if s.text().await.contains(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{wanted:?} did not come: {}", s.text().await);
}

/// A registered car, which the painted lane brings to every gate.
fn registered(gate: &Gate) {
    let car = serde_json::json!({"building": 2, "unit": "301", "name": "李明", "note": "白色轿车"});
    let (status, told) = gate.ask("PUT", &format!("/api/v1/vehicles/{}", encoded(PLATE)), Some(&car));
    assert_eq!(status, 200, "{told}");
    let pass = serde_json::json!({"plate": PLATE, "household": "2-301", "entries": 99});
    assert_eq!(gate.ask("POST", "/api/v1/passes", Some(&pass)).0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gates_at_a_glance() {
    let Some(driver) = Driver::start() else { return };
    let Some(mut compound) = Compound::found("1GB") else { return };
    let main = Gate::with_camera(&compound.main, "rendered");
    main.wait_state("connected");
    let north = Gate::with_camera(&compound.join("north"), "rendered");
    north.wait_state("connected");
    registered(&main);
    let s = sign_in(&driver, &main).await;

    // One car at both gates within minutes.
    comes(&s, "同一车牌在两个门内").await;
    s.look("60-gates").await;
    s.client.find(Locator::Css("[role=alert] summary")).await.unwrap().click().await.unwrap();
    let both = "return [...document.querySelectorAll('.pair img')].slice(0, 2).filter(i => i.complete && i.naturalWidth > 100).length";
    let mut shown = 0.0;
    for _ in 0..100 {
        shown = s.client.execute(both, vec![]).await.unwrap().as_f64().unwrap();
        if shown == 2.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(shown, 2.0, "both pictures, one of them from the other gate");
    s.look("61-inside-twice").await;

    // The other gate is opened from here.
    s.go("/gates").await;
    s.client.find(Locator::Css("td details summary")).await.unwrap().click().await.unwrap();
    s.look("62-open-another").await;
    s.fill("td form", &[("why", "快递")]).await;
    s.press("td form button[value=open]", "north: opened").await;
    s.look("63-opened").await;

    // It is switched off.
    drop(north);
    comes(&s, "没有消息").await;
    s.look("64-one-is-silent").await;

    // The broker is gone, too.
    compound.broker.cut();
    comes(&s, "本门照常放行").await;
    s.look("65-cut-off").await;
    s.close().await;
}
