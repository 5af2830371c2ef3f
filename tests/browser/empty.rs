//! A gate on its first morning: no camera, no cars, no money. Every page says so, and what to do.

use crate::driver::{Driver, Steward};
use crate::support::{self, Gate};

/// Pages of each role, with what they say where there is nothing.
const STEWARD: [(&str, &str); 13] = [
    ("/", "摄像头"),
    ("/cars", "还没有登记车辆"),
    ("/households", "还没有住户"),
    ("/visitors", "现在没有有效的通行证"),
    ("/arrivals", "还没有车来过"),
    ("/numbers", "这段时间没有来车"),
    ("/book", "还没有记过账"),
    ("/book/take", "收款"),
    ("/book/spend", "记支出"),
    ("/book/cash", "现金"),
    ("/book/reminders", "天"),
    ("/settings", "健康"),
    ("/settings/notices", "道闸还没有记录"),
];
const TREASURER: [(&str, &str); 3] =
    [("/book/rules", "还没有登记表决"), ("/book/statement", "这段时间没有收支"), ("/book/cash", "盘点")];
const MAINTAINER: [(&str, &str); 3] =
    [("/settings/lane", "划定车道"), ("/settings/access", "令牌"), ("/settings/users", "添加用户")];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_empty_gate() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for role in ["steward", "treasurer", "maintainer"] {
        support::token(&data, role, role);
    }
    let gate = Gate::start(&["--camera", "folder:/nonexistent", "--data", &data.display().to_string()]);
    let s = Steward::new(driver.connect().await, format!("http://{}", gate.address));
    s.go("/board").await;
    s.wait_for("还没有收支").await;
    s.look("50-empty-board").await;
    for (name, pages) in [("steward", &STEWARD[..]), ("treasurer", &TREASURER[..]), ("maintainer", &MAINTAINER[..])] {
        s.client.delete_all_cookies().await.unwrap();
        s.sign_in(name).await;
        for (path, wanted) in pages {
            s.go(path).await;
            s.wait_for(wanted).await;
            s.look(&format!("51-empty-{name}{}", path.replace('/', "-"))).await;
        }
    }
    s.close().await;
}
