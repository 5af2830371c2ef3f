//! The month on paper: no menus, a table that stays one however narrow the telephone is that prints it, nothing cut off.

use std::path::Path;

use fantoccini::wd::PrintConfiguration;

use crate::driver::{Driver, Steward};
use crate::support::{self, Gate};

/// The page as it is printed, on the screen.
const PRINTED: &str = "for (const sheet of document.styleSheets) for (const rule of sheet.cssRules)
      if (rule.media?.mediaText.startsWith('print')) rule.media.mediaText = 'all';
      else if (rule.media?.mediaText.startsWith('screen')) rule.media.mediaText = 'not all';
    const shown = css => [...document.querySelectorAll(css)].some(e => e.getClientRects().length > 0);
    const display = css => getComputedStyle(document.querySelector(css)).display;
    return [shown('header, nav, form, .skip, .no-print'), shown('.signed'), display('main table thead'), display('main table tr'),
      document.documentElement.scrollWidth - innerWidth];";

/// What a sheet of A4 leaves between its margins, in a browser's pixels.
const A4: u32 = 703;

#[tokio::test(flavor = "multi_thread")]
async fn the_month_is_printed() {
    let Some(driver) = Driver::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let token = support::token(&data, "王芳", "steward");
    let gate = Gate::start(&["--camera", "folder:/nonexistent", "--data", &data.display().to_string()]);
    let base = format!("http://{}", gate.address);
    let enter = |path: &str, body: serde_json::Value| {
        let request = ureq::post(format!("{base}/api/v1/{path}")).header("authorization", format!("Bearer {token}"));
        let answer = request.content_type("application/json").send(body.to_string()).unwrap();
        assert_eq!(answer.status(), 201, "{path}");
    };
    for n in 0..60 {
        let household = format!("{}-{}", n % 3 + 1, 101 + n);
        enter(
            "book/contributions",
            serde_json::json!({"household": household, "campaign": "barrier", "amount": 10_000}),
        );
    }
    let title = "道闸机一套，含安装、调试和三年保修，旧杆拆除后由师傅带走，给 苏F8K291 补漆";
    let spending = serde_json::json!({"purpose": "barrier", "title": title, "payee": "张师傅", "amount": 568_000});
    enter("book/spendings", spending);

    let s = Steward::new(driver.connect().await, base.clone());
    s.sign_in("王芳").await;
    for (path, name) in [("/book/statement", "month"), ("/book/statement?wall=on", "month-wall"), ("/board", "board")] {
        s.go(path).await;
        s.wait_for("6000").await;
        s.look(&format!("72-{name}")).await;
        let paper = s.client.print(PrintConfiguration::default()).await.unwrap();
        assert!(paper.starts_with(b"%PDF"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/screenshots/72-{name}.pdf"));
        std::fs::write(file, paper).unwrap();
        for width in [A4, 390] {
            s.client.set_window_size(width, 900).await.unwrap();
            let printed = s.client.execute(PRINTED, vec![]).await.unwrap();
            let (menus, signed, head, row, wide): (bool, bool, String, String, f64) =
                serde_json::from_value(printed).unwrap();
            assert!(!menus, "{path}: menus on paper");
            assert_eq!(signed, name != "board", "{path}");
            assert_eq!((head.as_str(), row.as_str()), ("table-header-group", "table-row"), "{path} at {width} px");
            assert!(width != A4 || wide <= 0.0, "{path}: {wide} px are cut off");
        }
        // What is hung up says no more than the board does.
        let text = s.text().await;
        assert_eq!(
            text.contains("1-101") || text.contains("张师傅") || text.contains("8K291"),
            name == "month",
            "{text}"
        );
        assert_eq!(text.contains("王芳"), name == "month", "{text}");
    }
    s.close().await;
}
