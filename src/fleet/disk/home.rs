//! What the sync wants of the gate, word by word.

use jiff::Timestamp;

use super::Disk;
use crate::fleet::command::{Act, Answer};
use crate::fleet::home::{EventsTold, Home, HomeError, Next};
use crate::fleet::sync::receipts;
use crate::fleet::wire::{Health, Upward};
use crate::ledger::Hash;
use crate::ledger::verify::Record;
use crate::register::share::{Heard, Outcome, Told, Use};
use crate::register::shared::Kind;
use crate::register::{Key, Member};

impl Home for Disk {
    fn generation(&self) -> u64 {
        self.register.generation()
    }

    fn heard(&self) -> Result<Heard, HomeError> {
        Ok(self.register.heard()?)
    }

    fn begin_stream(&self, heard: &Heard) -> Result<(), HomeError> {
        Ok(self.register.begin_stream(heard)?)
    }

    fn unsent(&self, most: usize) -> Result<Vec<Told>, HomeError> {
        Ok(self.register.unsent(most)?)
    }

    fn unsent_count(&self) -> usize {
        self.register.unsent_count()
    }

    fn sent(&self, told: &[(Told, u64)]) -> Result<(), HomeError> {
        Ok(self.register.sent(told)?)
    }

    fn refuses(&self, told: &Told) -> Option<String> {
        let members = self.register.members().unwrap_or_default();
        let admitted = self.admits(told, &members);
        admitted.and_then(|()| crate::register::share::check(told, Timestamp::now())).err()
    }

    fn supersede(&self, is_it: &dyn Fn(&Key) -> bool, seq: u64) -> Result<(), HomeError> {
        Ok(self.register.supersede(is_it, seq).map(drop)?)
    }

    fn hear(&self, told: Vec<Told>, heard: &Heard) -> Result<Outcome, HomeError> {
        let outcome = self.register.hear(&told, heard)?;
        for (key, lost) in &outcome.lost {
            let what = if lost.field.is_empty() { String::new() } else { format!(" {}", lost.field) };
            // What was said of a visitor goes when the pass goes, and this line stays.
            let passing = matches!(key.kind(), Some(Kind::Pass | Kind::Digits));
            let value = if passing { String::new() } else { format!(" = {}", lost.value) };
            let about = format!("{what}{value}（{}）→ {}", lost.by, lost.to);
            self.hands.note(&lost.by, "修改冲突，未采用", key.id(), &about);
        }
        self.expect_members()?;
        Ok(outcome)
    }

    fn own_uses(&self) -> Result<Vec<Use>, HomeError> {
        Ok(self.register.own_uses()?)
    }

    fn hear_uses(&self, uses: &[Use]) -> Result<(), HomeError> {
        for pass in self.register.hear_uses(uses)? {
            let most = pass.entries.unwrap_or_default();
            let about = format!("#{} {} {}/{most}", pass.id, pass.household, pass.used);
            self.hands.note("-", "通行证超次使用", &about, "");
        }
        Ok(())
    }

    fn newest_event(&self) -> u64 {
        self.events.newest_number()
    }

    fn events_told(&self) -> Result<EventsTold, HomeError> {
        Ok(self.cursor.told())
    }

    fn keep_events_told(&self, told: EventsTold) -> Result<(), HomeError> {
        let at = self.events.get(told.id)?.map(|event| event.at);
        Ok(self.cursor.keep(told, at)?)
    }

    fn events_after(&self, told: EventsTold, most: usize) -> Result<Next, HomeError> {
        // Asked first: what is given a number afterwards is looked for the next time.
        let newest = self.events.newest_number();
        let events = self.events.since(told.id, most)?;
        let numbers: Vec<u64> = events.iter().map(|event| event.id).collect();
        let all = (events.len() < most).then_some(newest);
        let (count, up_to) = self.waits.lock().may(told.id, &numbers, all, std::time::Instant::now());
        Ok(Next { events: events[..count].iter().map(|event| self.upward(event, told.epoch)).collect(), up_to })
    }

    fn arrived(&self, events: Vec<Upward>) {
        for event in events {
            let (plate, inwards, elsewhere) = (event.plate, event.inwards, event.gate != self.identity.gate);
            let recent = event.at > Timestamp::now() - jiff::SignedDuration::from_hours(24);
            let (new, twice) = self.gates.arrived(event);
            if let Some(twice) = twice {
                // By the arrivals' numbers: a visitor's plate goes with them, and this line stays.
                let [first, second] =
                    [&twice.first, &twice.second].map(|event| format!("{} #{}", event.gate, event.id));
                self.hands.note("-", "同一车牌在两个门内", &format!("{first} → {second}"), "");
            }
            // So that this gate's lane knows it, too. Its own cars it knows already.
            if let (true, true, true, Some(plate)) = (new, elsewhere, recent, plate) {
                match inwards {
                    Some(true) => drop(self.inside.comes_in(plate)),
                    Some(false) => self.inside.leaves(plate),
                    None => {}
                }
            }
        }
    }

    fn events_heard(&self) -> Option<u64> {
        *self.events_heard.lock()
    }

    fn keep_events_heard(&self, seq: u64) {
        let mut heard = self.events_heard.lock();
        *heard = (*heard).max(Some(seq));
    }

    fn keeps_book(&self) -> bool {
        self.register.is_keeper().unwrap_or(false)
    }

    fn book_head(&self) -> u64 {
        self.register.ledger().book().head().0
    }

    fn book_after(&self, number: u64, most: usize) -> Vec<Record> {
        self.register.book_after(number, most)
    }

    fn hear_book(&self, records: Vec<Record>) -> Result<(), HomeError> {
        self.register.hear_book(&records).map(drop).map_err(|error| HomeError(error.to_string()))
    }

    fn missing_receipts(&self) -> Vec<Hash> {
        let ledger = self.register.ledger();
        ledger.receipts().missing(&ledger.book())
    }

    fn holders(&self) -> Vec<String> {
        let keeper = self.register.keeper().map_or(0, |keeper| keeper.station);
        let members = self.register.members().unwrap_or_default();
        let mut others: Vec<Member> =
            members.into_iter().filter(|m| !m.out && m.number != self.identity.number).collect();
        others.sort_by_key(|m| (m.number != keeper, m.number));
        others.into_iter().map(|m| m.gate).collect()
    }

    fn keep_receipt(&self, hash: &Hash, jpeg: &[u8]) -> Result<bool, HomeError> {
        Ok(self.register.ledger().receipts().keep_copy(hash, jpeg)?)
    }

    fn health(&self) -> Health {
        let (ready, mode, trouble) = self.hands.how_it_is();
        Health {
            gate: self.identity.gate.clone(),
            station: self.identity.number,
            at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready,
            mode,
            trouble,
            cars: self.register.snapshot().vehicles().len(),
            events: self.events.newest_number(),
            book: self.book_head(),
        }
    }

    fn heard_health(&self, health: Health) {
        self.gates.heard(health, Timestamp::now());
    }

    fn obey(&self, message: &[u8]) -> Answer {
        let command = match self.judged(message) {
            Ok(command) => command,
            Err(refused) => return refused,
        };
        let done = match &command.act {
            Act::Open => self.hands.open(&command.by, &command.why),
            Act::HoldOpen { until } => self.hands.hold_open(&command.by, *until),
            Act::Normal => self.hands.normal(&command.by),
            Act::Picture { .. } | Act::Receipt { .. } => Err("pictures are asked for elsewhere".to_owned()),
        };
        done.map_or_else(Answer::refused, Answer::done)
    }

    fn picture(&self, message: &[u8]) -> Result<Vec<u8>, Answer> {
        let command = self.judged(message)?;
        match command.act {
            Act::Picture { event } => self.hands.picture(event, &command.by).map_err(Answer::refused),
            Act::Receipt { hash, from } => {
                let path = self.register.ledger().receipts().path(&hash);
                let jpeg = std::fs::read(path).map_err(|_| Answer::refused("that receipt is not here"))?;
                Ok(receipts::part(&jpeg, from))
            }
            _ => Err(Answer::refused("only pictures are handed out here")),
        }
    }

    fn admit(&self, message: &[u8]) -> Vec<u8> {
        let (reply, member) = crate::fleet::join::admit(&self.identity, self.cursor.folder(), message);
        if let Some(member) = member {
            self.hands.note("-", "主机加入", &format!("{} {}", member.number, member.gate), "");
            if let Err(error) = self.learn_members(&[member]) {
                tracing::error!(%error, "the new box could not be put on record; the next start tries again");
            }
        }
        reply
    }

    fn admitted(&self) {
        crate::fleet::join::tell_broker(&self.identity, self.cursor.folder());
    }
}
