//! A gate that is seen from elsewhere: over HTTPS with the certificate that it made, with a second factor; the lane drawn
//! with a pointer, a backup taken home, and a resident who gives a pass.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::{Client, Locator};
use totp_rs::{Builder, Secret};

use crate::driver::{Driver, Steward};
use crate::support::Gate;

/// The six digits of this secret, so many seconds from now.
fn digits(secret: &str, ahead: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp =
        Builder::new().with_secret(secret).with_account_name("x").with_issuer(Some("plategate")).build().unwrap();
    totp.generate(now + ahead).to_string()
}

/// Drags within the lane's picture, from here to there, in shares of it.
async fn drag(client: &Client, from: (f64, f64), to: (f64, f64)) {
    let lane = client.find(Locator::Css("#lane")).await.unwrap();
    client.execute("document.getElementById('lane').scrollIntoView({block: 'center'})", vec![]).await.unwrap();
    let (_, _, width, height) = lane.rectangle().await.unwrap();
    let place = |(x, y): (f64, f64)| PointerAction::MoveToElement {
        element: lane.clone(),
        duration: Some(Duration::from_millis(100)),
        x: (x - 0.5) * width,
        y: (y - 0.5) * height,
    };
    let mouse = MouseActions::new("mouse".into())
        .then(place(from))
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(place(to))
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    client.perform_actions(mouse).await.unwrap();
}

async fn number(client: &Client, id: &str) -> i64 {
    let field = client.find(Locator::Id(id)).await.unwrap();
    field.prop("value").await.unwrap().unwrap().parse().unwrap()
}

/// The finished download, once it is there.
async fn downloaded(folder: &Path) -> PathBuf {
    for _ in 0..600 {
        let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        if let Some(file) = files.into_iter().find(|path| path.to_string_lossy().ends_with(".tar.zst")) {
            return file;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no backup came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_in_a_network() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, downloads) = (folder.path().join("data"), folder.path().join("downloads"));
    std::fs::create_dir(&downloads).unwrap();
    let gate = Gate::start_at("0.0.0.0:0", &["--camera", "rendered", "--data", &data.display().to_string()]);
    let preferences =
        serde_json::json!({"download.default_directory": downloads, "download.prompt_for_download": false});
    let client = driver.connect_with(&[], preferences.clone()).await;
    let s = Steward::new(client, format!("https://127.0.0.1:{}", gate.address.port()));

    s.go("/").await;
    s.wait_for("设置码").await;
    let code = gate.code.clone().unwrap();
    s.fill("main form", &[("code", &code), ("name", "王阿姨"), ("password", "first long password")]).await;
    s.press("main form button", "开闸").await;
    let cookies = s.client.get_all_cookies().await.unwrap();
    let session = cookies.iter().find(|cookie| cookie.name() == "plategate").unwrap();
    assert!(session.secure() == Some(true) && session.http_only() == Some(true));

    two_factors(&s).await;
    lane(&s).await;

    // The backup is whole, and everything is in it.
    s.go("/settings").await;
    s.client.find(Locator::Css("form[action='/settings/backup'] button")).await.unwrap().click().await.unwrap();
    let file = downloaded(&downloads).await;
    let restored = folder.path().join("restored");
    let program = env!("CARGO_BIN_EXE_plategate");
    let restore = std::process::Command::new(program).arg("restore").arg(&file).arg("--to").arg(&restored).output();
    let restore = restore.unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let users = std::process::Command::new(program).args(["users", "list", "--data"]).arg(&restored).output().unwrap();
    assert!(String::from_utf8_lossy(&users.stdout).contains("王阿姨"), "{users:?}");

    let invitation = invite(&s).await;
    // The resident's own telephone, by night.
    let client = driver.connect_with(&["--blink-settings=preferredColorScheme=0"], preferences).await;
    resident(Steward::new(client, s.base.clone()), &invitation).await;
    s.go("/visitors").await;
    s.wait_for("皖B77Q20").await;
    s.close().await;
}

/// Turned on with the first digits, and asked for at the next sign-in.
async fn two_factors(s: &Steward) {
    s.go("/account/second").await;
    let secret = s.client.find(Locator::Css("main .mono")).await.unwrap().text().await.unwrap();
    s.fill("main form", &[("digits", "000000")]).await;
    s.press("main form button", "六位数字不对").await;
    s.look("30-second-wrong").await;
    s.fill("main form", &[("digits", &digits(&secret, 0))]).await;
    s.press("main form button", "两步验证已开启").await;
    s.look("31-second-on").await;
    s.press(".me form button", "六位验证码").await;
    let form = [("name", "王阿姨"), ("password", "first long password")];
    s.fill("main form", &form).await;
    s.press("main form button", "名字、密码或验证码不对").await;
    s.look("32-sign-in-wrong").await;
    s.fill("main form", &form).await;
    // Those that set it up are used; the next ones are taken a little early.
    s.fill("main form", &[("digits", &digits(&secret, 30))]).await;
    s.press("main form button", "开闸").await;
}

/// A corner that is dragged moves, and the lane is kept.
async fn lane(s: &Steward) {
    s.client.set_window_size(1280, 900).await.unwrap();
    s.go("/settings/lane").await;
    assert_eq!((number(&s.client, "left").await, number(&s.client, "width").await), (0, 100));
    drag(&s.client, (0.02, 0.02), (0.25, 0.4)).await;
    drag(&s.client, (0.98, 0.98), (0.75, 0.9)).await;
    let (left, top) = (number(&s.client, "left").await, number(&s.client, "top").await);
    let (width, height) = (number(&s.client, "width").await, number(&s.client, "height").await);
    assert!((24..=26).contains(&left) && (39..=41).contains(&top), "{left} {top}");
    assert!((48..=52).contains(&width) && (48..=52).contains(&height), "{width} {height}");
    let ticked = "return document.querySelector('[name=whole]').checked";
    assert_eq!(s.client.execute(ticked, vec![]).await.unwrap(), false);
    s.look("33-lane-drawn").await;
    s.press("main form .primary", "已保存，立即生效").await;
    assert_eq!((number(&s.client, "left").await, number(&s.client, "height").await), (left, height));
}

/// Registers a car and invites its household; gives the address that the invitation names.
async fn invite(s: &Steward) -> String {
    s.go("/cars/new").await;
    let form = [("plate", "苏F8K291"), ("building", "2"), ("unit", "301"), ("name", "李明")];
    s.fill("main form", &form).await;
    s.press("main form .primary", "已登记").await;
    s.go("/households/2-301").await;
    s.look("34-household").await;
    s.press("form[action$='/invite'] button", "只显示这一次").await;
    s.look("35-invitation").await;
    let message = s.client.find(Locator::Css("textarea")).await.unwrap().prop("value").await.unwrap().unwrap();
    let address = message.split_whitespace().find(|word| word.contains("/join?code=")).unwrap().to_owned();
    assert!(address.starts_with(&s.base), "{address}");
    address
}

/// Joins, sees the own car, gives a pass and takes it back.
async fn resident(r: Steward, invitation: &str) {
    r.client.goto(invitation).await.unwrap();
    r.wait_for("邀请码").await;
    r.look("36-join").await;
    r.fill("main form", &[("name", "李明"), ("password", "resident's password")]).await;
    r.press("main form .primary", "我家的车").await;
    assert!(r.text().await.contains("苏F8K291"));
    r.look("37-home").await;
    r.go("/home/passes/new").await;
    r.look("38-resident-new-pass").await;
    r.fill("main form", &[("plate", "苏F8K291")]).await;
    r.press("main form .primary", "不用通行证").await;
    r.look("39-resident-pass-wrong").await;
    r.fill("main form", &[("plate", "皖B77Q20"), ("note", "外婆")]).await;
    r.press("main form .primary", "通行证已生效").await;
    r.look("40-resident-pass").await;
    let digits = r.client.find(Locator::Css(".code")).await.unwrap().text().await.unwrap();
    assert!(digits.len() == 6 && digits.chars().all(|c| c.is_ascii_digit()), "{digits}");
    r.go("/home").await;
    r.look("41-home-with-pass").await;
    r.go("/cars").await;
    r.wait_for("您的角色不能做这件事").await;
    r.look("42-not-for-residents").await;
    for (path, name) in [("/account", "43-account-dark"), ("/board", "44-board-dark")] {
        r.go(path).await;
        r.look(name).await;
    }
    r.close().await;
}
