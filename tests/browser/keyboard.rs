//! The keyboard alone: from the sign-in to an open gate without a pointer, and a focus that is seen all the way.

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, Locator};

use crate::driver::{Driver, Steward};
use crate::support::{self, Gate};

/// One key, pressed and let go.
async fn key(client: &Client, key: char) {
    let keys = KeyActions::new("keyboard".into());
    let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
    client.perform_actions(keys).await.unwrap();
}

async fn write(client: &Client, text: &str) {
    for c in text.chars() {
        key(client, c).await;
    }
}

/// What has the focus, and whether that is seen.
const FOCUSED: &str = "const e = document.activeElement, s = getComputedStyle(e);
    return [e.matches(arguments[0]), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2, e.outerHTML.slice(0, 80)];";

/// Goes on with the tabulator until this has the focus.
async fn tab_to(client: &Client, wanted: &str) {
    for _ in 0..60 {
        key(client, Key::Tab.into()).await;
        let found = client.execute(FOCUSED, vec![wanted.into()]).await.unwrap();
        let (there, seen, what): (bool, bool, String) = serde_json::from_value(found).unwrap();
        // Behind the last element the browser's own controls come; the page itself has no focus then.
        assert!(seen || what.starts_with("<body"), "the focus is not seen on {what}");
        if there {
            return;
        }
    }
    panic!("the tabulator does not come to {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_opened_without_a_pointer() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    support::token(&data, "steward", "steward");
    let gate = Gate::start(&["--camera", "folder:/nonexistent", "--data", &data.display().to_string()]);
    let s = Steward::new(driver.connect().await, format!("http://{}", gate.address));
    s.go("/").await;
    s.wait_for("登录").await;
    tab_to(&s.client, "input[name=name]").await;
    write(&s.client, "steward").await;
    tab_to(&s.client, "input[name=password]").await;
    write(&s.client, "correct horse battery").await;
    tab_to(&s.client, "main button").await;
    key(&s.client, Key::Enter.into()).await;
    s.wait_for("开闸").await;

    // The first thing that the tabulator finds leads past the menu.
    tab_to(&s.client, "a.skip").await;
    key(&s.client, Key::Enter.into()).await;
    tab_to(&s.client, "select[name=reason]").await;
    key(&s.client, Key::Down.into()).await;
    tab_to(&s.client, "input[name=note]").await;
    write(&s.client, "42").await;
    tab_to(&s.client, ".open button").await;
    key(&s.client, Key::Enter.into()).await;
    s.wait_for("已抬杆").await;
    // The rest of the menu can be reached as well.
    for area in ["/cars", "/visitors", "/arrivals", "/book", "/numbers", "/settings"] {
        tab_to(&s.client, &format!("nav a[href='{area}']")).await;
    }
    let opened = s.client.find(Locator::Css("#arrivals .plate")).await.unwrap().text().await.unwrap();
    assert!(opened.contains("42"), "{opened}");
    s.close().await;
}
