//! The sunshine board is every neighbour's, until a maintainer switches it off.

use fantoccini::Locator;

use crate::driver::{Driver, Steward};
use crate::support::{self, Gate};

#[tokio::test(flavor = "multi_thread")]
async fn the_board_is_switched_off_and_on_again() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for role in ["steward", "maintainer"] {
        support::token(&data, role, role);
    }
    let gate = Gate::start(&["--camera", "folder:/nonexistent", "--data", &data.display().to_string()]);
    let base = format!("http://{}", gate.address);
    let neighbour = Steward::new(driver.connect().await, base.clone());
    let n = &neighbour;
    n.go("/sign-in").await;
    n.press("main a[href='/board']", "还没有收支").await;

    let maintainer = Steward::new(driver.connect().await, base.clone());
    let m = &maintainer;
    m.sign_in("maintainer").await;
    m.go("/settings").await;
    m.wait_for("邻居不登录也能看").await;
    let tick = "form[action='/settings/board'] [name=on]";
    m.client.find(Locator::Css(tick)).await.unwrap().click().await.unwrap();
    m.press("form[action='/settings/board'] button", "已关闭").await;
    m.look("70-board-off").await;

    // The neighbour is told nothing, and no page leads there any more.
    n.client.refresh().await.unwrap();
    n.wait_for("没有找到").await;
    assert!(!n.text().await.contains("收支"), "{}", n.text().await);
    n.look("71-no-board").await;
    n.go("/sign-in").await;
    assert!(n.client.find(Locator::Css("a[href='/board']")).await.is_err(), "a link that leads nowhere");
    // A steward cannot switch it.
    let steward = Steward::new(driver.connect().await, base);
    steward.sign_in("steward").await;
    steward.go("/settings").await;
    steward.wait_for("已关闭").await;
    assert!(steward.client.find(Locator::Css("form[action='/settings/board']")).await.is_err());
    steward.go("/book").await;
    steward.wait_for("账本").await;
    assert!(steward.client.find(Locator::Css("a[href='/board']")).await.is_err(), "a link that leads nowhere");
    steward.close().await;

    m.client.find(Locator::Css(tick)).await.unwrap().click().await.unwrap();
    m.press("form[action='/settings/board'] button", "邻居不登录也能看").await;
    n.go("/sign-in").await;
    n.press("main a[href='/board']", "还没有收支").await;
    maintainer.close().await;
    neighbour.close().await;
}
