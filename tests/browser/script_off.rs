//! A browser that runs no script: everything but the live picture is there, and a list comes in from a workbook.

use std::path::Path;

use fantoccini::Locator;
use rust_xlsxwriter::Workbook;

use crate::driver::{Driver, Steward};
use crate::support::Gate;

/// A list as a steward keeps it; its last line cannot be.
fn list(path: &Path) {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (y, row) in [
        ["车牌", "楼栋", "房号", "户主"],
        ["苏F8K291", "2", "301", "李明"],
        ["苏FD12345", "1", "101", "王芳"],
        ["苏F12O45", "1", "102", "赵敏"],
    ]
    .iter()
    .enumerate()
    {
        for (x, cell) in row.iter().enumerate() {
            sheet.write_string(y as u32, x as u16, *cell).unwrap();
        }
    }
    book.save(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_the_live_picture_without_script() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let gate = Gate::start(&["--camera", "rendered", "--data", &data]);
    let off = serde_json::json!({"profile.managed_default_content_settings.javascript": 2});
    let steward = Steward::new(driver.connect_with(&[], off).await, format!("http://{}", gate.address));
    let s = &steward;

    s.go("/").await;
    s.wait_for("设置码").await;
    let code = gate.code.clone().unwrap();
    s.fill("main form", &[("code", &code), ("name", "王阿姨"), ("password", "first long password")]).await;
    s.press("main form button", "开闸").await;
    // No script runs: what it would show is not there, and nothing is offered that only it can do.
    s.go("/cars/new").await;
    assert!(!s.client.find(Locator::Id("pad")).await.unwrap().is_displayed().await.unwrap(), "script runs");

    // A list comes in: first what it would change, then the change.
    let file = folder.path().join("list.xlsx");
    list(&file);
    s.go("/cars/import").await;
    let input = s.client.find(Locator::Css("input[type=file]")).await.unwrap();
    input.send_keys(&file.display().to_string()).await.unwrap();
    s.press("main form .primary", "苏FD12345").await;
    s.wait_for("第 4 行").await;
    s.look("60-import-preview").await;
    s.press("form[action$='/apply'] .primary", "已导入 2 辆车").await;
    s.go("/cars?q=301").await;
    s.wait_for("苏F8K291").await;

    // Money, a pass, the gate: forms as ever.
    s.go("/book/take?car=苏F8K291").await;
    s.press("main form .primary", "已收 100 元").await;
    s.go("/visitors/new").await;
    s.fill("main form", &[("plate", "皖A6P42Z"), ("household", "2-301")]).await;
    s.press("main form .primary", "通行证已生效").await;
    s.go("/").await;
    s.fill(".open", &[("reason", "访客")]).await;
    s.press(".open .big", "抬杆").await;
    for (path, wanted) in [
        ("/arrivals", "访客"),
        ("/numbers", "来车"),
        ("/book/statement", "100"),
        ("/settings/lane", "左边"),
        ("/settings/audit", "手动开闸"),
        ("/board", "阳光账本"),
    ] {
        s.go(path).await;
        s.wait_for(wanted).await;
    }
    steward.close().await;
}
