use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::gate::event::Rule;
use crate::plate::Plate;
use crate::register::{Register, demo};
use crate::store::Store;
use crate::store::events::{Events, tests::arrival};

fn filled(folder: &Path) -> Arc<Store> {
    let store = Arc::new(Store::open(folder).unwrap());
    demo::load(&Register::open(store.clone()).unwrap()).unwrap();
    let events = Events::open(store.clone()).unwrap();
    for _ in 0..2 {
        events.append(arrival(jiff::Timestamp::now(), Rule::Paid)).unwrap();
    }
    std::fs::create_dir(folder.join("corrections")).unwrap();
    std::fs::write(folder.join("corrections/00000001.jpg"), "a picture").unwrap();
    store
}

#[test]
fn what_was_backed_up_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.tar.zst");
    let store = filled(&folder.path().join("data"));
    let made = backup(&store, &file, &How::default()).unwrap();
    verify(&file, &made).unwrap();
    let summary = made.summary;
    assert_eq!((summary.records["vehicles"], summary.records["events"], summary.pictures), (103, 2, 3));
    assert_eq!(check(&file, &Keys::default()).unwrap(), summary);
    let back = folder.path().join("back");
    let brought = restore(&file, &back, &Keys::default()).unwrap();
    assert_eq!(brought, Restored { summary, config: None });
    let restored = Arc::new(Store::open(&back).unwrap());
    assert_eq!(Register::open(restored.clone()).unwrap().snapshot().vehicles().len(), 103);
    let events = Events::open(restored).unwrap();
    let event = events.get(2).unwrap().unwrap();
    assert!(events.picture_path(&event).unwrap().exists() && back.join("corrections/00000001.jpg").exists());
}

#[test]
fn an_encrypted_one_is_for_the_key_alone_and_brings_the_marks_key_too() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("backup.tar.zst.age"), folder.path().join("data"));
    let (own, foreign) = (folder.path().join("own"), folder.path().join("foreign"));
    let how = How { recipients: vec![make_key(&own).unwrap()], pictures: false, config: None };
    make_key(&foreign).unwrap();
    let made = backup(&filled(&data), &file, &how).unwrap();
    verify(&file, &made).unwrap();
    assert_eq!(made.summary.pictures, 0);
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1") && !bytes.windows(7).any(|w| w == b"plate\":"));
    let back = folder.path().join("back");
    for (keys, why) in [(Keys::default(), "--identity FILE"), (Keys::read(&foreign).unwrap(), "another key")] {
        let error = restore(&file, &back, &keys).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains('\n') && !back.exists(), "{error}");
    }
    assert_eq!(restore(&file, &back, &Keys::read(&own).unwrap()).unwrap().summary, made.summary);
    let key = |folder: &Path| std::fs::read(folder.join("strangers.key")).unwrap();
    assert_eq!(key(&back), key(&data));
}

#[test]
fn keys_are_never_overwritten_and_what_is_none_is_said() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    assert!(make_key(&path).unwrap().starts_with("age1"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    assert!(make_key(&path).unwrap_err().to_string().contains("never overwritten"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    for text in ["", "no key", "AGE-SECRET-KEY-1QQQQ", "\u{0}\u{ff}"] {
        std::fs::write(&path, text).unwrap();
        let error = Keys::read(&path).err().unwrap().to_string();
        assert!(error.contains("AGE-SECRET-KEY-1") && !error.contains("1QQQQ") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_cut_or_damaged_backup_restores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let sealed = How { recipients: vec![make_key(&key).unwrap()], ..How::default() };
    let store = filled(&folder.path().join("data"));
    for how in [How::default(), sealed] {
        let file = folder.path().join("backup").with_extension(how.suffix());
        let made = backup(&store, &file, &how).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let to = folder.path().join("back");
        for n in 0..24 {
            let mut bad = whole.clone();
            match n % 2 {
                0 => bad.truncate(whole.len() * n / 24),
                _ => bad[whole.len() * n / 24] ^= 0x55,
            }
            std::fs::write(&file, &bad).unwrap();
            assert!(verify(&file, &made).is_err());
            // zstd has unused bits; a flip there changes nothing and may pass. Of an encrypted one every bit counts.
            if let Err(error) = restore(&file, &to, &Keys::read(&key).unwrap()) {
                assert!(!error.to_string().contains('\n'), "{error}");
                assert!(!to.exists(), "something was left after {error}");
            } else {
                assert!(n % 2 == 1 && how.recipients.is_empty());
                std::fs::remove_dir_all(&to).unwrap();
            }
        }
    }
}

/// A backup of these files, the manifest where this format has it.
fn by_hand(format: u32, files: &[(&str, &[u8])], manifest: &[(&str, &[u8])]) -> Vec<u8> {
    let listed = manifest.iter().map(|(name, bytes)| ((*name).to_owned(), FileInfo::of(bytes))).collect();
    let made = jiff::Timestamp::now();
    let manifest = Manifest { format: (format == 1).then_some(1), files: listed };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let head = serde_json::to_vec(&Head { format, made }).unwrap();
    let mut all: Vec<(&str, &[u8])> = Vec::new();
    all.push(if format == 1 { (MANIFEST, &manifest) } else { (HEAD, &head) });
    all.extend(files);
    if format > 1 {
        all.push((MANIFEST, &manifest));
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in all {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // Names that the tar library would refuse to write.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    }
    zstd::encode_all(&tar.into_inner().unwrap()[..], 1).unwrap()
}

#[test]
fn older_backups_are_read_and_forged_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (file, to) = (folder.path().join("b.tar.zst"), folder.path().join("back"));
    let plate: Plate = "苏F12345".parse().unwrap();
    let line = serde_json::json!({"key": plate.to_string().as_bytes(), "record": 1}).to_string();
    let good: [(&str, &[u8]); 2] = [("things.jsonl", line.as_bytes()), ("pictures/2026-11-26/00000001.jpg", b"x")];
    for format in [1, 2] {
        std::fs::write(&file, by_hand(format, &good, &good)).unwrap();
        let Restored { summary, config } = restore(&file, &to, &Keys::default()).unwrap();
        assert_eq!((summary.records["things"], summary.pictures, summary.config, config), (1, 1, false, None));
        std::fs::remove_dir_all(&to).unwrap();
    }
    let evil: [(&str, &[u8], &str); 8] = [
        ("config/../outside", b"x", "does not belong"),
        ("config/.hidden", b"x", "does not belong"),
        ("config/below/x", b"x", "does not belong"),
        ("../../outside.jpg", b"x", "does not belong"),
        ("pictures/../../outside.jpg", b"x", "does not belong"),
        ("/etc/outside.jpg", b"x", "does not belong"),
        ("store.jsonl", line.as_bytes(), "does not belong"),
        ("things.jsonl", b"{\"key\":7}", "things.jsonl"),
    ];
    for (name, bytes, why) in evil {
        for format in [1, 2] {
            std::fs::write(&file, by_hand(format, &[(name, bytes)], &[(name, bytes)])).unwrap();
            let error = restore(&file, &to, &Keys::default()).unwrap_err().to_string();
            assert!(error.contains(why) && !to.exists(), "{name} {format}: {error}");
        }
    }
    let one = good[0];
    for (files, manifest, why) in [
        (vec![one], vec![one, good[1]], "1 of 2 files"),
        (vec![one, one], vec![one], "twice"),
        (vec![("things.jsonl", &b""[..])], vec![one], "damaged"),
        (vec![one, good[1]], vec![one], "2 of 1 files"),
    ] {
        std::fs::write(&file, by_hand(2, &files, &manifest)).unwrap();
        let error = restore(&file, &to, &Keys::default()).unwrap_err().to_string();
        assert!(error.contains(why) && !to.exists(), "{error}");
    }
    std::fs::write(&file, by_hand(9, &good, &good)).unwrap();
    assert!(check(&file, &Keys::default()).unwrap_err().to_string().contains("format 9"));
}

#[test]
fn the_configuration_and_its_files_are_put_beside_the_data_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let config = path("gate.toml");
    let text = format!(
        "[camera]\nsource = \"rtsp://gate@10.0.0.5/live\"\npassword_file = {:?}\n[mqtt]\nca_file = {:?}\n",
        path("password"),
        path("not-there.pem")
    );
    std::fs::write(&config, &text).unwrap();
    std::fs::write(path("password"), "s3cret\n").unwrap();
    let store = filled(&path("data"));
    let sealed =
        How { recipients: vec![make_key(&path("key")).unwrap()], config: Some(config.clone()), ..How::default() };
    let keys = Keys::read(&path("key")).unwrap();
    let made = backup(&store, &path("b"), &sealed).unwrap();
    assert!(made.summary.config && made.summary.config_files == 1, "{made:?}");
    assert!(made.left_out.unwrap().contains("mqtt.ca_file"));
    assert_eq!(check(&path("b"), &keys).unwrap(), made.summary);
    for n in ["back-config", "back-config-2"] {
        let Restored { summary, config } = restore(&path("b"), &path("back"), &keys).unwrap();
        assert_eq!((summary, config), (made.summary.clone(), Some(path(n))));
        assert_eq!(std::fs::read_to_string(path(n).join("plategate.toml")).unwrap(), text);
        assert_eq!(std::fs::read(path(n).join("camera.password_file")).unwrap(), b"s3cret\n");
        assert!(!path("back/config.restoring").exists());
        std::fs::remove_dir_all(path("back")).unwrap();
    }
    // Not encrypted: not the password; and not the configuration if it holds one, or nobody knows.
    let open = How { recipients: Vec::new(), ..sealed };
    let made = backup(&store, &path("b"), &open).unwrap();
    assert!(made.summary.config && made.summary.config_files == 0, "{made:?}");
    assert!(made.left_out.unwrap().contains("camera.password_file"));
    for (text, why) in [("[camera]\nsource = \"rtsp://a:s3cret@b/c\"\n", "camera.source"), ("[camera", "understood")] {
        std::fs::write(&config, text).unwrap();
        let made = backup(&store, &path("b"), &open).unwrap();
        assert!(!made.summary.config && made.left_out.as_ref().unwrap().contains(why), "{made:?}");
    }
    std::fs::remove_file(&config).unwrap();
    let made = backup(&store, &path("b"), &open).unwrap();
    assert!(!made.summary.config && made.left_out.unwrap().contains("gate.toml"));
}

#[test]
fn a_backup_is_of_one_moment_while_the_gate_goes_on() {
    use crate::ledger::{Account, Draft, Fen, What};
    use crate::register::{Change, Vehicle};
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("data")).unwrap());
    let register = Arc::new(Register::open(store.clone()).unwrap());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stopped, writes) = (stop.clone(), register.clone());
    // A car and the money for it, together or not at all.
    let writer = std::thread::spawn(move || {
        let campaign = writes.ledger().book().main_campaign().name;
        for n in 10_000..20_000 {
            if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            let car = Change::Vehicle(Vehicle::new(format!("苏F{n}").parse().unwrap(), "2-301"));
            let (household, amount) = ("2-301".to_owned(), Fen::of(100));
            let what =
                What::Contribution { campaign: campaign.clone(), plate: None, household, amount, into: Account::Bank };
            writes.apply_and_enter("test", &[car], &[Draft::now("test", what)]).unwrap();
        }
    });
    let mut seen = 0;
    for n in 0..1000 {
        let file = folder.path().join(format!("{n}.tar.zst"));
        let records = backup(&store, &file, &How::default()).unwrap().summary.records;
        let (cars, entries) = (records.get("vehicles"), records.get("ledger"));
        seen = seen.max(cars.copied().unwrap_or(0));
        assert_eq!(cars.copied().unwrap_or(0), entries.copied().unwrap_or(0), "{records:?}");
        std::fs::remove_file(&file).unwrap();
        if n >= 5 && seen > 20 {
            break;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    assert!(seen > 20, "nothing was written meanwhile");
}
