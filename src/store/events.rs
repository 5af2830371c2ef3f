//! The journal of arrivals: a record in sled, the picture in a file beside it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::Date;

use super::hashed::Hasher;
use super::index::{Index, Query, Tally, whole};
use super::retention::sorted;
use super::{Store, StoreError, Tree, encode};
use crate::gate::event::{Arrival, Event};
use crate::picture::Picture;

/// The journal.
pub struct Events {
    pub(super) store: Arc<Store>,
    pub(super) tree: Tree,
    pub(super) index: Index,
    pub(super) hasher: Hasher,
    /// What the pictures take on the disk.
    pub(super) pictures_bytes: AtomicU64,
    next: AtomicU64,
}

/// The longest side of a stored picture, pixels, and its JPEG quality.
const LONGEST: usize = 1280;
const QUALITY: u8 = 82;
/// Arrivals of one plate that are looked through.
const MOST_OF_A_PLATE: usize = 20_000;

impl Events {
    /// Opens the journal.
    pub fn open(store: Arc<Store>) -> Result<Events, StoreError> {
        let tree = store.tree("events")?;
        let next = AtomicU64::new(tree.last_number()? + 1);
        let index = Index::open(&store)?;
        let hasher = Hasher::open(store.folder())?;
        let events = Events { store, tree, index, hasher, pictures_bytes: AtomicU64::new(0), next };
        events.pictures_bytes.store(bytes_below(&events.pictures()), Ordering::Relaxed);
        events.index_the_rest()?;
        Ok(events)
    }

    /// Finds a place in the index for what has none yet.
    fn index_the_rest(&self) -> Result<(), StoreError> {
        let from = (self.index.up_to()? + 1).to_be_bytes();
        for item in self.tree.inner.range(from..) {
            if let Some(event) = whole(&item?.1) {
                self.index.add(&event)?;
            }
        }
        Ok(())
    }

    /// Puts an arrival on record: the picture first, then the event. When this returns both are on the disk.
    /// A picture that cannot be written (a full disk) does not keep the event from being recorded.
    pub fn append(&self, arrival: Arrival) -> Result<Event, StoreError> {
        let Arrival { mut event, picture } = arrival;
        event.id = self.next.fetch_add(1, Ordering::Relaxed);
        match tracing::info_span!("picture").in_scope(|| self.keep_picture(&event, &picture)) {
            Ok(name) => event.picture = Some(name),
            Err(error) => tracing::error!(%error, "the picture of an arrival could not be kept"),
        }
        self.store.guarded(|| {
            tracing::info_span!("record").in_scope(|| {
                self.tree.inner.insert(event.id.to_be_bytes(), encode(&event))?;
                self.index.add(&event)
            })?;
            tracing::info_span!("flush").in_scope(|| self.store.commit())
        })?;
        Ok(event)
    }

    /// Puts an event on record without its picture, and not at once on the disk.
    #[cfg(test)]
    pub(super) fn fill(&self, mut event: Event) -> Result<(), StoreError> {
        event.id = self.next.fetch_add(1, Ordering::Relaxed);
        self.tree.inner.insert(event.id.to_be_bytes(), encode(&event))?;
        self.index.add(&event)
    }

    /// The newest events before the number `before` (or all), newest first. Damaged ones are passed over.
    pub fn newest(&self, count: usize, before: Option<u64>) -> Result<Vec<Event>, StoreError> {
        self.tree.before(&before.unwrap_or(u64::MAX).to_be_bytes()).take(count).collect()
    }

    /// The oldest events after the number `after`, oldest first: for those who tell others, one after another.
    pub fn since(&self, after: u64, count: usize) -> Result<Vec<Event>, StoreError> {
        self.tree.since(after).take(count).collect()
    }

    /// The newest events that answer to the query, newest first.
    pub fn find(&self, query: &Query, count: usize) -> Result<Vec<Event>, StoreError> {
        let before = query.before.unwrap_or(u64::MAX);
        if let Some(plate) = &query.plate {
            let numbers = self.index.of_plate(plate, MOST_OF_A_PLATE)?;
            return self.pick(numbers.into_iter().filter(|n| *n < before).map(Ok), query, count);
        }
        match (query.day, query.outcome) {
            (Some(day), _) => self.pick(self.index.of_day(day, before), query, count),
            (None, Some(outcome)) => self.pick(self.index.of_outcome(outcome, before), query, count),
            (None, None) => self.newest(count, query.before),
        }
    }

    fn pick(
        &self,
        numbers: impl Iterator<Item = Result<u64, StoreError>>,
        query: &Query,
        count: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let mut out = Vec::new();
        for number in numbers {
            if out.len() == count {
                break;
            }
            let bytes = self.tree.inner.get(number?.to_be_bytes())?;
            out.extend(bytes.and_then(|b| whole(&b)).filter(|e| query.fits(e)));
        }
        Ok(out)
    }

    /// A day's numbers; they stay when the events go.
    pub fn tally(&self, day: Date) -> Result<Tally, StoreError> {
        Ok(self.index.tally(day)?.unwrap_or_default())
    }

    /// The oldest day that is still on record.
    pub fn oldest_day(&self) -> Result<Option<Date>, StoreError> {
        Ok(self.index.days()?.first().copied())
    }

    /// One event.
    pub fn get(&self, id: u64) -> Result<Option<Event>, StoreError> {
        self.tree.get(&id.to_be_bytes())
    }

    /// The mark by which this plate, or whatever else was looked for, is known again once it is forgotten.
    pub fn mark(&self, plate: &str) -> String {
        self.hasher.mark(plate)
    }

    /// Is there any?
    pub fn has_any(&self) -> bool {
        !self.tree.inner.is_empty()
    }

    /// The number of the newest, which is how many were ever recorded; 0 if there is none.
    pub fn newest_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed) - 1
    }

    /// How many there are; walks through all of them.
    pub fn count(&self) -> usize {
        self.tree.inner.len()
    }

    /// The file of an event's picture. The name in the record is ours: `YYYY-MM-DD/NUMBER.jpg`; anything else is none.
    pub fn picture_path(&self, event: &Event) -> Option<PathBuf> {
        let name = event.picture.as_deref()?;
        let ours = name.len() < 40 && name.chars().all(|c| c.is_ascii_digit() || "-/.jpg".contains(c));
        (ours && !name.contains("..") && !name.starts_with('/')).then(|| self.pictures().join(name))
    }

    pub(super) fn pictures(&self) -> PathBuf {
        self.store.folder().join("pictures")
    }

    fn keep_picture(&self, event: &Event, picture: &Picture) -> Result<String, StoreError> {
        let jpeg = picture
            .shrunk_to(LONGEST)
            .to_jpeg(QUALITY)
            .map_err(|e| StoreError::Archive { path: self.pictures(), problem: e.to_string() })?;
        let day = event.at.to_zoned(jiff::tz::TimeZone::system()).date();
        let name = format!("{day}/{:08}.jpg", event.id);
        write_whole(&self.pictures().join(&name), &jpeg)?;
        self.pictures_bytes.fetch_add(jpeg.len() as u64, Ordering::Relaxed);
        Ok(name)
    }
}

/// What the pictures of all days take.
fn bytes_below(folder: &Path) -> u64 {
    let pictures = sorted(folder).into_iter().flat_map(|day| sorted(&day));
    pictures.filter_map(|path| std::fs::metadata(path).ok()).map(|m| m.len()).sum()
}

/// Writes a file so that it is there whole or not at all, and on the disk when this returns.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        std::fs::rename(&part, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&part);
        StoreError::disk(path, error)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::gate::event::{Outcome, Rule};

    pub(crate) fn arrival(at: Timestamp, rule: Rule) -> Arrival {
        let (plate, text) = ("苏F12345".parse().ok(), "苏F12345".into());
        let event = Event { rule, plate, text, posterior: 0.5, frames: 3, ..Event::blank("gate", at) };
        Arrival { event, picture: Picture::filled(1920, 1080, [50, 90, 130]) }
    }

    #[test]
    fn arrivals_are_numbered_and_found_again_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..2u64 {
            let events = Events::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
            for n in 1..=3 {
                let event = events.append(arrival(Timestamp::now(), Rule::Stranger)).unwrap();
                assert_eq!(event.id, 3 * round + n);
                let picture = std::fs::read(events.picture_path(&event).unwrap()).unwrap();
                assert_eq!(Picture::decode(&picture).unwrap().width, 1280);
            }
        }
        let events = Events::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let ids = |events: Vec<Event>| events.iter().map(|e| e.id).collect::<Vec<_>>();
        assert_eq!(ids(events.newest(4, None).unwrap()), [6, 5, 4, 3]);
        assert_eq!(ids(events.newest(9, Some(3)).unwrap()), [2, 1]);
        assert!(events.get(99).unwrap().is_none());
    }

    #[test]
    fn arrivals_are_found_by_day_plate_and_outcome_also_in_a_journal_without_index() {
        let folder = tempfile::tempdir().unwrap();
        let noon: Timestamp = "2026-11-20T04:00:00Z".parse().unwrap();
        let day = |at: Timestamp| at.to_zoned(TimeZone::system()).date();
        let open = || Events::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        {
            let events = open();
            for (n, plate) in ["苏F12345", "苏FD60817", "皖A6P42Z"].iter().cycle().take(30).enumerate() {
                let mut arrival = arrival(noon + SignedDuration::from_hours(24 * (n as i64 / 10)), Rule::Stranger);
                arrival.event.plate = plate.parse().ok();
                arrival.event.outcome = if n % 2 == 0 { Outcome::Refused } else { Outcome::Opened };
                arrival.picture = Picture::filled(8, 8, [0, 0, 0]);
                events.append(arrival).unwrap();
            }
            // As an older version left it.
            events.store.tree("event_index").unwrap().inner.clear().unwrap();
        }
        let events = open();
        let ids = |query: &Query, count| events.find(query, count).unwrap().iter().map(|e| e.id).collect::<Vec<_>>();
        let plate = |text: &str| Query { plate: Some(text.into()), ..Query::default() };
        assert_eq!(ids(&Query { day: Some(day(noon)), ..Query::default() }, 3), [10, 9, 8]);
        assert_eq!(ids(&Query { day: Some(day(noon)), before: Some(3), ..Query::default() }, 9), [2, 1]);
        assert_eq!(ids(&Query { outcome: Some(Outcome::Opened), ..Query::default() }, 2), [30, 28]);
        for text in ["苏F12345", "苏F1", "F123", "2345"] {
            assert_eq!(ids(&plate(text), 2), [28, 25], "{text}");
        }
        let all = Query { day: Some(day(noon)), outcome: Some(Outcome::Opened), ..plate("817") };
        assert_eq!(ids(&all, 9), [8, 2]);
        assert!(ids(&plate("9"), 9).is_empty());
        let tally = events.tally(day(noon)).unwrap();
        assert_eq!((tally.hours.iter().sum::<u32>(), tally.outcomes["opened"]), (10, 5));
        assert_eq!(events.oldest_day().unwrap(), Some(day(noon)));

        let later = noon + SignedDuration::from_hours(24 * 32 + 1);
        assert_eq!(events.prune(later, 30, 365).unwrap(), 30);
        assert!(ids(&plate("2345"), 9).is_empty() && events.tally(day(noon)).unwrap().outcomes["opened"] == 5);
    }

    #[test]
    fn a_picture_that_cannot_be_kept_does_not_lose_the_event() {
        let folder = tempfile::tempdir().unwrap();
        let events = Events::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        std::fs::write(folder.path().join("pictures"), "in the way").unwrap();
        let event = events.append(arrival(Timestamp::now(), Rule::Stranger)).unwrap();
        assert!(event.picture.is_none() && events.get(event.id).unwrap().is_some());
    }

    #[test]
    fn names_from_a_record_never_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let events = Events::open(Arc::new(Store::open(folder.path()).unwrap())).unwrap();
        let mut event = arrival(Timestamp::now(), Rule::Stranger).event;
        for name in ["../../etc/passwd", "/etc/passwd", "2026-01-01/../../x.jpg"] {
            event.picture = Some(name.into());
            assert!(events.picture_path(&event).is_none(), "{name}");
        }
    }
}
