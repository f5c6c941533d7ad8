//! How threads hand things over: an inbox whose pictures replace each other, and a slot of one.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::message::Message;

/// Most messages that wait; keys and log entries beyond it are dropped and counted.
const WAITING_MAX: usize = 256;

/// Messages for the drawing thread. Of the pictures that wait only the newest is kept.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<Waiting>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Message>,
    dropped: u64,
    /// How many messages were left, were taken, and were carried out, since the start.
    left: u64,
    taken: u64,
    done: u64,
}

/// A lock that a thread died with still holds whole messages: every change here is one call.
fn whole<'a, T>(
    locked: Result<MutexGuard<'a, T>, PoisonError<MutexGuard<'a, T>>>,
) -> MutexGuard<'a, T> {
    locked.unwrap_or_else(PoisonError::into_inner)
}

impl Inbox {
    /// Leaves a message.
    pub fn push(&self, message: Message) {
        let _ = self.leave(message);
    }

    /// Leaves a message and waits until it was carried out. After one that ends the dashboard that is
    /// never: whoever reads keys then reads none of the next program's.
    pub fn hand_over(&self, message: Message) {
        let number = self.leave(message);
        let waiting = whole(self.state.lock());
        drop(self.ready.wait_while(waiting, |waiting| waiting.done < number));
    }

    /// The number of this message.
    fn leave(&self, message: Message) -> u64 {
        let mut waiting = whole(self.state.lock());
        waiting.left += 1;
        let number = waiting.left;
        let older = waiting.messages.iter().position(|other| message.replaces(other));
        let is_full = waiting.messages.len() >= WAITING_MAX;
        match older.and_then(|at| waiting.messages.get_mut(at)) {
            Some(slot) => *slot = message,
            None if is_full => waiting.dropped += 1,
            None => waiting.messages.push_back(message),
        }
        drop(waiting);
        self.ready.notify_all();
        number
    }

    /// Everything that waits, after at most `wait`; and how many were dropped since the last time.
    /// What was taken before counts as carried out.
    pub fn take(&self, wait: Duration) -> (VecDeque<Message>, u64) {
        let mut waiting = whole(self.state.lock());
        waiting.done = waiting.taken;
        self.ready.notify_all();
        let waited = self.ready.wait_timeout_while(waiting, wait, |w| w.messages.is_empty());
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        waiting.taken = waiting.left;
        (std::mem::take(&mut waiting.messages), std::mem::take(&mut waiting.dropped))
    }
}

/// Nobody will put anything into the slot any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// A place for one value: a newer one replaces it.
#[derive(Debug)]
pub struct Slot<T> {
    state: Mutex<(Option<T>, bool)>,
    ready: Condvar,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { state: Mutex::new((None, false)), ready: Condvar::new() }
    }
}

impl<T> Slot<T> {
    /// Puts a value, over what may wait.
    pub fn put(&self, value: T) {
        whole(self.state.lock()).0 = Some(value);
        self.ready.notify_one();
    }

    /// Says that nothing will come any more.
    pub fn close(&self) {
        whole(self.state.lock()).1 = true;
        self.ready.notify_one();
    }

    /// What waits, after at most `wait`.
    pub fn take(&self, wait: Duration) -> Result<Option<T>, Closed> {
        let state = whole(self.state.lock());
        let is_idle = |state: &mut (Option<T>, bool)| state.0.is_none() && !state.1;
        let waited = self.ready.wait_timeout_while(state, wait, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.1 { Err(Closed) } else { Ok(state.0.take()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::Range;
    use crate::snapshot::{Snapshot, StoreState};
    use std::sync::Arc;

    #[test]
    fn the_newest_picture_wins_and_the_queue_is_bounded() {
        let inbox = Inbox::default();
        let picture =
            |range| Message::Measured(Arc::new(Snapshot::empty(range, StoreState::Reading)));
        inbox.push(picture(Range::Hour));
        inbox.push(Message::Quit);
        inbox.push(picture(Range::Day));
        for _ in 0..WAITING_MAX {
            inbox.push(Message::Quit);
        }
        let (messages, dropped) = inbox.take(Duration::ZERO);
        assert_eq!((messages.len(), dropped), (WAITING_MAX, 2));
        assert!(matches!(&messages[0], Message::Measured(newest) if newest.range == Range::Day));
        assert_eq!(inbox.take(Duration::from_millis(1)), (VecDeque::new(), 0));
    }

    #[test]
    fn who_hands_over_waits_until_it_was_carried_out() {
        let inbox = Arc::new(Inbox::default());
        let (tell, told) = std::sync::mpsc::channel();
        let hands = Arc::clone(&inbox);
        let thread = std::thread::spawn(move || {
            hands.hand_over(Message::Quit);
            tell.send(()).unwrap();
        });
        while inbox.take(Duration::from_millis(5)).0.is_empty() {}
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "it is only taken yet");
        assert_eq!(inbox.take(Duration::ZERO), (VecDeque::new(), 0));
        told.recv_timeout(Duration::from_secs(20)).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_slot_holds_the_newest_until_it_is_closed() {
        let slot = Slot::default();
        slot.put(1);
        slot.put(2);
        assert_eq!(slot.take(Duration::ZERO), Ok(Some(2)));
        assert_eq!(slot.take(Duration::from_millis(1)), Ok(None));
        slot.close();
        assert_eq!(slot.take(Duration::from_secs(9)), Err(Closed));
    }
}
