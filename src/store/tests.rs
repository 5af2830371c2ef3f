use std::path::Path;

use super::*;

const MANY: u32 = 103;

fn put(store: &Store, n: u32, text: &str) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    batch.put(&store.tree("things").unwrap(), n.to_be_bytes(), &(n, text));
    store.write(batch)
}

fn fill(folder: &Path) {
    let store = Store::open(folder).unwrap();
    for n in 0..MANY {
        put(&store, n, "苏F12345").unwrap();
    }
}

fn things(store: &Store) -> Vec<(u32, String)> {
    store.tree("things").unwrap().all().unwrap()
}

/// Exactly what was acknowledged, in order, and nothing else.
fn expect_all(store: &Store) {
    let wanted: Vec<_> = (0..MANY).map(|n| (n, "苏F12345".to_owned())).collect();
    assert_eq!(things(store), wanted);
}

fn newest_journal(folder: &Path) -> PathBuf {
    Journal::files(&folder.join("journal")).last().unwrap().clone()
}

#[test]
fn a_torn_snapshot_does_not_keep_the_store_shut() {
    for torn in [&b""[..], &b"half a snapshot"[..]] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        std::fs::write(folder.path().join("register.sled/snap.0000000000FFFFFF.generating"), torn).unwrap();
        let store = Store::open(folder.path()).unwrap();
        expect_all(&store);
        assert!(store.told().is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("set-aside")).unwrap().count(), 1);
    }
}

#[test]
fn a_lock_that_is_about_to_be_let_go_is_waited_for() {
    for held in ["lock", "register.sled/db"] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let holder = File::open(folder.path().join(held)).unwrap();
        patiently(|| holder.try_lock(), |_| true).unwrap();
        let going = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(holder);
        });
        expect_all(&Store::open(folder.path()).unwrap());
        going.join().unwrap();
    }
}

#[test]
fn a_second_instance_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("data")).err().unwrap().to_string();
    assert!(error.contains("data") && !error.contains('\n'), "{error}");
}

#[test]
fn a_damaged_record_is_passed_over_named_and_brought_back_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    {
        let store = Store::open(folder.path()).unwrap();
        let tree = store.tree("things").unwrap();
        tree.inner.insert(5u32.to_be_bytes(), b"\x01\0\0\0\0 5".to_vec()).unwrap();
        assert_eq!(things(&store).len(), MANY as usize - 1);
        let error = tree.get::<(u32, String)>(&5u32.to_be_bytes()).err().unwrap().to_string();
        assert!(error.contains("checksum"), "{error}");
        store.commit().unwrap();
    }
    let store = Store::open(folder.path()).unwrap();
    expect_all(&store);
    let told = store.told().join("\n");
    assert!(told.contains("things") && told.contains("checksum") && told.contains("put right"), "{told}");
    assert!(folder.path().join("set-aside/records.jsonl").exists());
}

#[test]
fn a_sled_that_refuses_to_open_is_built_anew_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    // The newest snapshot, by its name; it is none.
    std::fs::write(folder.path().join("register.sled/snap.00000000FFFFFFFF"), "no snapshot").unwrap();
    let store = Store::open(folder.path()).unwrap();
    expect_all(&store);
    assert!(store.told()[0].contains("built anew from its journal"), "{:?}", store.told());
    drop(store);
    let again = Store::open(folder.path()).unwrap();
    expect_all(&again);
    assert!(again.told().is_empty(), "{:?}", again.told());
}

#[test]
fn whatever_sled_makes_of_damage_all_over_its_log_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let db = folder.path().join("register.sled/db");
    let mut bytes = std::fs::read(&db).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        bytes[at] ^= 0x5a;
    }
    std::fs::write(&db, &bytes).unwrap();
    expect_all(&Store::open(folder.path()).unwrap());
}

#[test]
fn without_sleds_files_the_journal_has_everything_and_the_other_way_round() {
    for lost in ["register.sled", "journal"] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        std::fs::remove_dir_all(folder.path().join(lost)).unwrap();
        let store = Store::open(folder.path()).unwrap();
        expect_all(&store);
        put(&store, MANY, "one more").unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(things(&store).len(), MANY as usize + 1, "{lost}");
        assert!(store.told().is_empty(), "{:?}", store.told());
    }
}

#[test]
fn one_flipped_bit_in_any_file_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    fill(&whole);
    let files: Vec<PathBuf> = ["journal", "register.sled"]
        .iter()
        .flat_map(|place| std::fs::read_dir(whole.join(place)).unwrap().flatten().map(|e| e.path()))
        .filter(|path| path.is_file())
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let length = std::fs::metadata(&file).unwrap().len() as usize;
        for n in 0..6 {
            let copy = folder.path().join("copy");
            let _ = std::fs::remove_dir_all(&copy);
            assert!(std::process::Command::new("cp").arg("-r").args([&whole, &copy]).status().unwrap().success());
            let hit = copy.join(file.strip_prefix(&whole).unwrap());
            let mut bytes = std::fs::read(&hit).unwrap();
            if bytes.is_empty() {
                continue;
            }
            bytes[length * n / 6 + n % 3] ^= 1 << n;
            std::fs::write(&hit, &bytes).unwrap();
            let store = Store::open(&copy).unwrap_or_else(|e| panic!("{} {n}: {e}", hit.display()));
            expect_all(&store);
        }
    }
}

#[test]
fn a_torn_last_line_was_never_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let journal = newest_journal(folder.path());
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.extend(b"0badc0de {\"n\":105,\"writes\":[{\"tree\":\"things\"");
    std::fs::write(&journal, &bytes).unwrap();
    let store = Store::open(folder.path()).unwrap();
    expect_all(&store);
    assert!(store.told().is_empty());
    put(&store, MANY, "one more").unwrap();
    drop(store);
    assert_eq!(things(&Store::open(folder.path()).unwrap()).len(), MANY as usize + 1);
}

#[test]
fn what_sled_lost_comes_back_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let copy = folder.path().join("early.sled");
    let inside = folder.path().join("register.sled");
    assert!(std::process::Command::new("cp").arg("-r").args([&inside, &copy]).status().unwrap().success());
    let store = Store::open(folder.path()).unwrap();
    put(&store, MANY, "late").unwrap();
    let mut batch = Batch::default();
    batch.remove(&store.tree("things").unwrap(), 0u32.to_be_bytes());
    store.write(batch).unwrap();
    drop(store);
    // As if nothing of it had reached sled's file.
    std::fs::remove_dir_all(&inside).unwrap();
    std::fs::rename(&copy, &inside).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let all = things(&store);
    assert_eq!((all.len(), all[0].0, all.last().unwrap().1.as_str()), (MANY as usize, 1, "late"));
}

#[test]
fn a_change_that_the_journal_cannot_take_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let journal = newest_journal(folder.path());
    {
        let store = Store::open(folder.path()).unwrap();
        // The file is closed to writing under it: every write to it fails.
        *store.journal.lock() = Journal::read_only(&journal);
        assert!(put(&store, MANY, "refused").is_err());
        assert!(put(&store, 0, "refused").is_err());
        expect_all(&store);
    }
    expect_all(&Store::open(folder.path()).unwrap());
}

#[test]
fn a_sled_that_panics_is_an_error_and_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    {
        let store = Store::open(folder.path()).unwrap();
        let panics = || -> Result<(), StoreError> { panic!("a disk that fails") };
        assert!(matches!(store.guarded(panics), Err(StoreError::Unsure { .. })));
        assert!(store.is_broken());
        let error = put(&store, MANY, "refused").unwrap_err().to_string();
        assert!(error.contains("after the next start") && !error.contains('\n'), "{error}");
        expect_all(&store);
    }
    // The next start is another process: this one never lets go of a sled that gave up, nor of its lock.
    let next = tempfile::tempdir().unwrap();
    let next = next.path().join("data");
    assert!(std::process::Command::new("cp").arg("-r").args([folder.path(), &next]).status().unwrap().success());
    let store = Store::open(&next).unwrap();
    expect_all(&store);
    put(&store, MANY, "taken").unwrap();
}

#[test]
fn a_long_journal_is_begun_anew_and_the_one_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let text = "x".repeat(1 << 20);
    {
        let store = Store::open(folder.path()).unwrap();
        for _ in 0..10 {
            put(&store, 7, &text).unwrap();
        }
    }
    assert!(std::fs::metadata(newest_journal(folder.path())).unwrap().len() > journal::LONG);
    let store = Store::open(folder.path()).unwrap();
    let files = Journal::files(&folder.path().join("journal"));
    assert_eq!(files.len(), 2);
    assert!(std::fs::metadata(&files[1]).unwrap().len() < 2 << 20);
    put(&store, 8, "after").unwrap();
    drop(store);
    std::fs::remove_dir_all(folder.path().join("register.sled")).unwrap();
    assert_eq!(things(&Store::open(folder.path()).unwrap()).len(), 2);
}
