//! What goes, and when: strangers' numbers after their time, all arrivals after theirs, the oldest pictures when the disk's
//! share is used up, one plate when its owner asks for it. An arrival never goes silently: what was deleted is counted.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::events::Events;
use super::index::whole;
use super::{StoreError, encode};
use crate::gate::event::{Event, Rule};
use crate::plate::Plate;

/// How much room pictures may take.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes of pictures.
    pub pictures: u64,
    /// Bytes of the disk that stay free.
    pub free: u64,
}

impl From<&crate::config::Data> for Room {
    fn from(data: &crate::config::Data) -> Room {
        Room { pictures: data.pictures_mb << 20, free: data.keep_free_mb << 20 }
    }
}

/// What went to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinned {
    /// Pictures.
    pub pictures: usize,
    /// Their bytes.
    pub bytes: u64,
    /// There is nothing left to delete, and still too little room: something else fills the disk.
    pub still_short: bool,
}

/// What was forgotten of a plate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Arrivals that carried it, or named it among the candidates.
    pub arrivals: usize,
    /// Pictures.
    pub pictures: usize,
}

/// When a plate came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// So often.
    pub times: usize,
    /// The last time.
    pub last: Timestamp,
}

/// The newest days whose pictures stay, whatever else fills the disk.
const LATELY: usize = 2;
/// Arrivals of one plate that are looked through.
const MOST_OF_A_PLATE: usize = 1000;

impl Events {
    /// Forgets what has been kept long enough: the numbers and pictures of strangers after `strangers_days` (that they came
    /// stays, with a mark by which the same car is known again), all arrivals after `events_days`. Gives how many arrivals
    /// were changed or went.
    pub fn prune(&self, now: Timestamp, strangers_days: u32, events_days: u32) -> Result<usize, StoreError> {
        self.store.guarded(|| self.prune_now(now, strangers_days, events_days))
    }

    fn prune_now(&self, now: Timestamp, strangers_days: u32, events_days: u32) -> Result<usize, StoreError> {
        let before = |days: u32| now - SignedDuration::from_hours(24 * i64::from(days));
        let (strangers, all) = (before(strangers_days), before(events_days));
        let date = |at: Timestamp| at.to_zoned(TimeZone::system()).date();
        let mut changed = 0;
        for day in self.index.days()?.into_iter().filter(|day| *day <= date(strangers.max(all))) {
            if day > date(all) && self.index.tally(day)?.is_some_and(|t| t.strangers_gone) {
                continue;
            }
            for number in self.index.of_day(day, u64::MAX) {
                changed += usize::from(self.forget_if_due(number?, strangers, all)?);
            }
            if day < date(strangers) {
                self.index.mark_strangers_gone(day)?;
            }
        }
        if changed > 0 {
            self.store.commit()?;
        }
        Ok(changed)
    }

    fn forget_if_due(&self, id: u64, strangers: Timestamp, all: Timestamp) -> Result<bool, StoreError> {
        let key = id.to_be_bytes();
        let Some(event) = self.tree.inner.get(key)?.and_then(|b| whole(&b)) else { return Ok(false) };
        if event.at < all {
            self.delete_picture(&event);
            self.tree.inner.remove(key)?;
            self.index.remove(&event)?;
            return Ok(true);
        }
        let stranger = event.vehicle.is_none() || matches!(event.rule, Rule::NearMiss | Rule::Stranger);
        if !stranger || event.at >= strangers {
            return Ok(false);
        }
        let new = match event.rule {
            // Who pressed and why is no stranger's; who stood before the arm may be.
            Rule::ByHand => Event { picture: None, ..event.clone() },
            _ => event
                .clone()
                .anonymous(event.plate.map(|plate| self.hasher.mark(&plate.to_string())).or(event.hashed.clone())),
        };
        if new == event {
            return Ok(false);
        }
        self.delete_picture(&event);
        self.rewrite(&event, &new)?;
        Ok(true)
    }

    fn rewrite(&self, old: &Event, new: &Event) -> Result<(), StoreError> {
        self.tree.inner.insert(old.id.to_be_bytes(), encode(new))?;
        self.index.replace(old, new)
    }

    /// Deletes the oldest pictures until there is room. The arrivals stay.
    pub fn thin_out(&self, room: Room) -> Result<Thinned, StoreError> {
        let mut thinned = Thinned::default();
        let mut used = self.pictures_bytes();
        let mut short = self.is_short(room, used);
        if short {
            let days = sorted(&self.pictures());
            'days: for (n, day) in days.iter().enumerate() {
                for picture in sorted(day) {
                    // Where something else fills the disk, what happened lately stays to be seen.
                    let lately = n + LATELY >= days.len() && used <= room.pictures;
                    if !short || lately {
                        break 'days;
                    }
                    let bytes = std::fs::metadata(&picture).map_or(0, |m| m.len());
                    if std::fs::remove_file(&picture).is_ok() {
                        used = self.gave_back(bytes);
                        (thinned.pictures, thinned.bytes) = (thinned.pictures + 1, thinned.bytes + bytes);
                    }
                    short = self.is_short(room, used);
                }
                // Only an empty one goes.
                let _ = std::fs::remove_dir(day);
            }
        }
        thinned.still_short = short;
        Ok(thinned)
    }

    fn is_short(&self, room: Room, used: u64) -> bool {
        let free = rustix::fs::statvfs(self.store.folder()).map(|s| s.f_bavail.saturating_mul(s.f_frsize));
        used > room.pictures || free.is_ok_and(|free| free < room.free)
    }

    /// Bytes that the pictures of arrivals take.
    pub fn pictures_bytes(&self) -> u64 {
        self.pictures_bytes.load(Ordering::Relaxed)
    }

    /// Forgets a plate wherever an arrival carries or names it: number, picture and mark.
    pub fn forget(&self, plate: &Plate) -> Result<Forgotten, StoreError> {
        self.store.guarded(|| self.forget_now(plate))
    }

    fn forget_now(&self, plate: &Plate) -> Result<Forgotten, StoreError> {
        let (text, mark) = (plate.to_string(), self.hasher.mark(&plate.to_string()));
        let mut forgotten = Forgotten::default();
        for item in self.tree.inner.iter() {
            let Some(event) = whole(&item?.1) else { continue };
            let carries = event.plate == Some(*plate)
                || event.text == text
                || event.hashed.as_ref() == Some(&mark)
                || event.vehicle.as_ref().is_some_and(|v| v.plate == *plate);
            let named =
                event.candidates.iter().any(|c| c.plate == *plate) || event.looks.iter().any(|l| l.text == text);
            let new = if carries {
                forgotten.pictures += usize::from(self.delete_picture(&event));
                event.clone().anonymous(None)
            } else if named {
                let mut new = event.clone();
                new.candidates.retain(|c| c.plate != *plate);
                new.looks.iter_mut().filter(|l| l.text == text).for_each(|l| l.text.clear());
                new
            } else {
                continue;
            };
            self.rewrite(&event, &new)?;
            forgotten.arrivals += 1;
        }
        self.store.commit()?;
        Ok(forgotten)
    }

    /// How often, and when last, this plate came before that arrival; forgotten numbers count too, by their mark.
    pub fn seen_before(&self, plate: &Plate, before: u64) -> Result<Option<Seen>, StoreError> {
        let text = plate.to_string();
        let mut numbers = self.index.of_exact_plate(&text, MOST_OF_A_PLATE)?;
        numbers.extend(self.index.of_mark(&self.hasher.mark(&text), MOST_OF_A_PLATE)?);
        numbers.retain(|n| *n < before);
        let Some(newest) = numbers.iter().max() else { return Ok(None) };
        Ok(self.get(*newest)?.map(|event| Seen { times: numbers.len(), last: event.at }))
    }

    /// Fewer bytes; gives how many there are.
    fn gave_back(&self, bytes: u64) -> u64 {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let before = self.pictures_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        before.unwrap_or_default().saturating_sub(bytes)
    }

    /// Was there one?
    fn delete_picture(&self, event: &Event) -> bool {
        let Some(path) = self.picture_path(event) else { return false };
        let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
        // Already gone is as good.
        let gone = std::fs::remove_file(&path).is_ok();
        if gone {
            self.gave_back(bytes);
            let _ = path.parent().map(std::fs::remove_dir);
        }
        gone
    }
}

/// The entries of a folder by their names; none where there is none.
pub(super) fn sorted(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::Store;
    use super::super::events::tests::arrival;
    use super::super::index::Query;
    use super::*;
    use crate::gate::event::{Candidate, VehicleRef};
    use crate::register::Standing;

    const PLATE: &str = "苏F12345";

    fn open(folder: &Path) -> Events {
        Events::open(Arc::new(Store::open(folder).unwrap())).unwrap()
    }

    fn found(events: &Events, plate: &str) -> Vec<u64> {
        let query = Query { plate: Some(plate.into()), ..Query::default() };
        events.find(&query, 99).unwrap().iter().map(|e| e.id).collect()
    }

    fn days(n: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * n)
    }

    #[test]
    fn a_strangers_number_goes_with_its_picture_and_the_car_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let events = open(folder.path());
        let now = Timestamp::now();
        let old = events.append(arrival(now - days(40), Rule::Stranger)).unwrap();
        let new = events.append(arrival(now, Rule::Stranger)).unwrap();
        assert_eq!(events.prune(now, 30, 365).unwrap(), 1);
        assert!(!events.picture_path(&old).unwrap().exists() && events.picture_path(&new).unwrap().exists());
        let forgotten = events.get(old.id).unwrap().unwrap();
        assert!(forgotten.is_anonymous() && forgotten.hashed.is_some() && forgotten.rule == Rule::Stranger);
        assert!(!serde_json::to_string(&forgotten).unwrap().contains(&PLATE[3..]));
        assert_eq!(found(&events, PLATE), [new.id]);
        let seen = events.seen_before(&PLATE.parse().unwrap(), new.id).unwrap().unwrap();
        assert_eq!((seen.times, seen.last), (1, old.at));
        assert_eq!(events.seen_before(&"苏F12346".parse().unwrap(), u64::MAX).unwrap(), None);
        // Once is enough, and a year later it is all gone.
        assert_eq!(events.prune(now, 30, 365).unwrap(), 0);
        assert_eq!(events.prune(now + days(400), 30, 365).unwrap(), 2);
        assert_eq!((events.count(), events.pictures_bytes()), (0, 0));
        assert_eq!(events.seen_before(&PLATE.parse().unwrap(), u64::MAX).unwrap(), None);
    }

    #[test]
    fn registered_cars_and_presses_by_hand_stay_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let events = open(folder.path());
        let now = Timestamp::now();
        let mut paid = arrival(now - days(40), Rule::Paid);
        let plate = PLATE.parse().unwrap();
        paid.event.vehicle = Some(VehicleRef { plate, household: "2-301".into(), standing: Standing::Paid });
        let paid = events.append(paid).unwrap();
        let mut hand = arrival(now - days(40), Rule::ByHand);
        (hand.event.plate, hand.event.text) = (None, "王伟 访客".into());
        let hand = events.append(hand).unwrap();
        assert_eq!(events.prune(now, 30, 365).unwrap(), 1);
        assert_eq!(events.get(paid.id).unwrap().unwrap(), paid);
        let kept = events.get(hand.id).unwrap().unwrap();
        assert_eq!((kept.text.as_str(), kept.picture), ("王伟 访客", None));
        assert_eq!(events.prune(now, 30, 365).unwrap(), 0);
    }

    #[test]
    fn the_oldest_pictures_make_room_and_no_arrival_goes() {
        let folder = tempfile::tempdir().unwrap();
        let events = open(folder.path());
        let now = Timestamp::now();
        let all: Vec<Event> = (0..6).map(|n| events.append(arrival(now - days(6 - n), Rule::Paid)).unwrap()).collect();
        let one = events.pictures_bytes() / 6;
        assert!(one > 1000);
        assert_eq!(events.thin_out(Room { pictures: 6 * one + 6, free: 0 }).unwrap(), Thinned::default());
        let thinned = events.thin_out(Room { pictures: 4 * one, free: 0 }).unwrap();
        assert_eq!((thinned.pictures, thinned.still_short), (2, false), "{thinned:?}");
        let there: Vec<bool> = all.iter().map(|e| events.picture_path(e).unwrap().exists()).collect();
        assert_eq!(there, [false, false, true, true, true, true]);
        assert_eq!(events.count(), 6);
        // A disk that is full of other things: all but the newest days' go, and that is told.
        let thinned = events.thin_out(Room { pictures: u64::MAX, free: u64::MAX }).unwrap();
        assert_eq!((thinned.pictures, thinned.still_short, events.count()), (2, true, 6));
        let left = events.pictures_bytes();
        drop(events);
        assert_eq!(open(folder.path()).pictures_bytes(), left);
        assert!(left > 0);
    }

    #[test]
    fn a_forgotten_plate_is_nowhere_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let events = open(folder.path());
        let now = Timestamp::now();
        let plate: Plate = PLATE.parse().unwrap();
        events.append(arrival(now - days(40), Rule::Stranger)).unwrap();
        events.prune(now, 30, 365).unwrap();
        let own = events.append(arrival(now, Rule::Stranger)).unwrap();
        let mut other = arrival(now, Rule::NearMiss);
        (other.event.plate, other.event.text) = ("苏F12346".parse().ok(), "苏F12346".into());
        let candidate = Candidate { plate, household: "2-301".into(), posterior: 0.1, has_lookalike: false };
        other.event.candidates = vec![candidate];
        let other = events.append(other).unwrap();
        assert_eq!(events.forget(&plate).unwrap(), Forgotten { arrivals: 3, pictures: 1 });
        assert!(!events.picture_path(&own).unwrap().exists() && events.picture_path(&other).unwrap().exists());
        for event in events.newest(9, None).unwrap() {
            let text = serde_json::to_string(&event).unwrap();
            assert!(!text.contains(PLATE) && event.hashed.is_none(), "{text}");
        }
        assert!(found(&events, PLATE).is_empty() && found(&events, "苏F12346") == [other.id]);
        assert_eq!(events.seen_before(&plate, u64::MAX).unwrap(), None);
        assert_eq!(events.forget(&plate).unwrap(), Forgotten::default());
    }
}
