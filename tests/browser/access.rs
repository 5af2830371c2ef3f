//! Can everybody use the page? What WCAG 2.2 AA asks of a page and a browser can tell by itself: names, labels, structure,
//! contrast, sizes, and a focus that is seen.

use fantoccini::Client;

/// Looks at the page that is shown; gives every fault.
pub async fn faults(client: &Client) -> Vec<String> {
    let faults = client.execute(include_str!("access.js"), vec![]).await.unwrap();
    serde_json::from_value(faults).unwrap()
}
