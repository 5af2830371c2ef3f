//! A steward's first day.

use std::time::Duration;

use fantoccini::Locator;

use crate::driver::{Driver, Steward};
use crate::support::Gate;

const PLATE: &str = "苏F8K291";

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_s_first_day() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let gate = Gate::start(&["--camera", "rendered", "--data", &data]);
    let steward = Steward::new(driver.connect().await, format!("http://{}", gate.address));
    let s = &steward;

    // The first sign-in, with the code of the console.
    s.go("/").await;
    s.wait_for("设置码").await;
    s.look("01-setup").await;
    let code = gate.code.clone().unwrap();
    s.fill("main form", &[("code", &code), ("name", "王阿姨"), ("password", "first long password")]).await;
    s.press("main form button", "开闸").await;

    // The painted lane brings cars; nobody is registered yet.
    s.go("/cars").await;
    s.wait_for("还没有登记车辆").await;
    s.look("02-no-cars").await;
    s.go("/cars/new").await;
    s.look("03-new-car").await;
    let form = [("plate", PLATE), ("building", "2"), ("unit", "301"), ("name", "李明"), ("note", "白色轿车")];
    s.fill("main form", &form).await;
    s.press("main form .primary", "已登记").await;
    s.look("04-car").await;
    // Its share is paid, and stands in the book.
    s.go(&format!("/book/take?car={PLATE}")).await;
    s.look("04-take").await;
    s.press("main form .primary", "已收 100 元").await;
    s.look("04-taken").await;

    // The car comes, is read, and the gate opens for it.
    for _ in 0..300 {
        s.go(&format!("/arrivals?outcome=opened&plate={PLATE}")).await;
        if s.text().await.contains("已抬杆") && s.client.find(Locator::Css(".rows a")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    s.look("05-arrivals").await;
    s.client.find(Locator::Css(".rows a")).await.unwrap().click().await.unwrap();
    s.wait_for("逐位识别").await;
    s.wait_for("已登记，已缴费").await;
    let shown = "return document.querySelector('.shot').complete && document.querySelector('.shot').naturalWidth";
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(s.client.execute(shown, vec![]).await.unwrap().as_f64().unwrap() > 100.0, "its picture is shown");
    s.look("06-why-it-opened").await;

    // A stranger stayed out, and the page says why.
    for _ in 0..300 {
        s.go("/arrivals?outcome=refused").await;
        if s.client.find(Locator::Css(".rows a")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    s.client.find(Locator::Css(".rows a")).await.unwrap().click().await.unwrap();
    s.wait_for("未放行").await;
    s.look("07-why-it-stayed-out").await;

    // Now: the live picture moves, and opening by hand asks why.
    s.go("/").await;
    let drawn = "return document.getElementById('live').src";
    let first = s.client.execute(drawn, vec![]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_ne!(s.client.execute(drawn, vec![]).await.unwrap(), first, "the live picture moves");
    s.look("08-now").await;
    s.fill(".open", &[("reason", "快递或送货"), ("note", "冰箱")]).await;
    s.client.find(Locator::Css(".open .big")).await.unwrap().click().await.unwrap();
    s.wait_for("抬杆").await;

    // A visitor's pass.
    s.go("/visitors/new").await;
    s.look("09-new-pass").await;
    s.fill("main form", &[("plate", "皖A6P42Z"), ("household", "2-301"), ("note", "外婆")]).await;
    s.press("main form .primary", "通行证已生效").await;
    s.look("10-pass").await;
    let digits = s.client.find(Locator::Css(".code")).await.unwrap().text().await.unwrap();
    assert!(digits.len() == 6 && digits.chars().all(|c| c.is_ascii_digit()), "{digits}");
    s.go(&format!("/visitors?code={digits}")).await;
    s.wait_for("皖A6P42Z").await;
    s.go("/visitors").await;
    s.look("11-visitors").await;

    s.go("/households/2-301").await;
    let name = s.client.find(Locator::Css("main [name=name]")).await.unwrap().prop("value").await.unwrap();
    assert_eq!(name.as_deref(), Some("李明"));

    // Everything else is there, in both languages, and fits.
    for (path, name, wanted) in [
        ("/cars", "12-cars", "2-301"),
        ("/households", "13-households", "李明"),
        ("/households/2-301", "14-household", "2 号楼 301"),
        ("/cars/import", "15-import", "Excel"),
        ("/numbers", "16-numbers", "最近 7 天"),
        ("/book", "16-book", "100"),
        ("/book/statement", "16-statement", "100"),
        ("/board", "16-board", "阳光账本"),
        ("/settings", "17-settings", "保留期限"),
        ("/settings/users", "18-users", "王阿姨"),
        ("/settings/access", "19-access", "令牌"),
        ("/settings/lane", "20-lane", "车道"),
        ("/settings/audit", "21-audit", "手动开闸"),
        ("/settings/notices", "21-notices", "按了抬杆"),
        ("/account", "22-account", "两步验证"),
        ("/account/second", "23-second", "六位数字"),
        ("/no/such/page", "24-error", "没有找到"),
        ("/cars?lang=en", "25-english", "Register a car"),
    ] {
        s.go(path).await;
        s.wait_for(wanted).await;
        s.look(name).await;
    }
    let log = s.client.execute("return document.querySelectorAll('style, [style], [onclick]').length", vec![]).await;
    assert_eq!(log.unwrap().as_f64(), Some(0.0), "nothing inline");

    // Out, and nothing is left open.
    s.client.find(Locator::Css(".me form button")).await.unwrap().click().await.unwrap();
    s.wait_for("Sign in").await;
    s.go("/cars").await;
    s.wait_for("Sign in").await;
    s.look("26-sign-in").await;
    steward.close().await;
}
